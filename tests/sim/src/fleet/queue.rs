//! What happens next, and when.

use super::link::{ConnectionId, Direction};
use super::node::NodeNumber;
use std::collections::BTreeMap;

/// Which life of a node an event belongs to: one for an earlier life is void.
pub(super) type Life = u32;

/// Something that is due.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// The hub's clients write.
    Clients,
    /// What a hub of weaker durability has appended is to be synced.
    SyncDue(Life),
    /// The hub's sync ends.
    Synced(Life),
    /// A flush of a node ends.
    Flushed(NodeNumber, Life),
    /// Bytes of a connection arrive.
    Arrives(ConnectionId, Direction),
    /// A follower's machine wants to be woken.
    FollowerTimer(NodeNumber, Life),
    /// A leader's machine of a connection wants to be woken.
    LeaderTimer(ConnectionId),
    /// A connection that a follower asked for is made, or is not.
    Connects(NodeNumber, Life),
    /// A follower gives up waiting for a connection to be made.
    ConnectTimeout(NodeNumber, Life),
    /// A process starts.
    Starts(NodeNumber, Life),
    /// The atlas strikes.
    Strikes,
    /// A disk has room again.
    RoomAgain(NodeNumber),
    /// Everything is looked at.
    Looks,
}

/// Events in order of time, and of their making where that is equal.
#[derive(Debug, Default)]
pub(super) struct Queue {
    events: BTreeMap<(u64, u64), Event>,
    made: u64,
}

impl Queue {
    pub(super) fn push(&mut self, at_ms: u64, event: Event) {
        self.made += 1;
        self.events.insert((at_ms, self.made), event);
    }

    /// The next event, unless it is due later than `until_ms`.
    pub(super) fn pop(&mut self, until_ms: u64) -> Option<(u64, Event)> {
        let entry = self.events.first_entry().filter(|entry| entry.key().0 <= until_ms)?;
        let (at_ms, _) = *entry.key();
        Some((at_ms, entry.remove()))
    }
}
