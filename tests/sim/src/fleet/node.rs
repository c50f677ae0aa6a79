//! One node of the fleet: what survives its process, and the process.

use super::Store;
use super::clock::NodeClock;
use super::home::Home;
use super::hub::Hub;
use super::link::{ConnectionId, Line};
use super::queue::Life;
use super::replica::FleetReplica;
use crate::disk::Moment;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use unison_base::{LogId, Lsn};
use unison_engine::Engine;
use unison_node::FollowerSession;
use unison_walfs::LogReader;

/// Index of a node; the hub is 0.
pub(super) type NodeNumber = usize;

/// The hub.
pub(super) const HUB: NodeNumber = 0;

/// Where a node's records come from, and how.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) leader: NodeNumber,
    pub(super) line: Line,
}

/// What runs on a node.
pub(super) enum Process {
    Hub(Box<Hub>),
    Follower(Box<FollowerSession<FleetReplica>>),
}

/// One node.
pub(super) struct Node {
    pub(super) name: String,
    pub(super) upstream: Option<Upstream>,
    /// Whether others follow it.
    pub(super) leads: bool,
    pub(super) clock: NodeClock,
    pub(super) home: Rc<RefCell<Home>>,
    pub(super) process: Option<Process>,
    pub(super) life: Life,
    /// What the monotonic clock showed when the process began.
    pub(super) began_local_ms: u64,
    pub(super) connection: Option<ConnectionId>,
    pub(super) connecting: bool,
    pub(super) wake_at_ms: u64,
    pub(super) paused_until_ms: u64,
    pub(super) sync_ms: u64,
    pub(super) flush_due: bool,
    /// A sync failed and so does the repair: a power cut is next.
    pub(super) cut_soon: bool,
    /// When the process came up.
    pub(super) started_ms: u64,
    pub(super) marks: Marks,
}

/// What the checkers remember of a node.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// All records up to here have been compared with the hub's; those from `unread` on again.
    pub(super) compared: Lsn,
    /// The oldest record that could not be read when it was compared.
    pub(super) unread: Option<Lsn>,
    /// The newest record that was ever durable here since the disk was damaged or begun anew.
    pub(super) durable: Lsn,
    /// The newest record that was durable before a suffix was set aside: those who were served it
    /// may still be acknowledging it.
    pub(super) had: Lsn,
    /// When records had become durable here, the newest last.
    pub(super) progress: VecDeque<(u64, Lsn)>,
    /// When bytes of the leader came last.
    pub(super) heard_ms: u64,
    /// Frames have changed by themselves, and the log has not been seen whole and right since.
    pub(super) damaged: bool,
    /// The medium has forgotten a write that the cache may still show, until the power goes.
    pub(super) is_stale: bool,
    /// A cut of the log failed half way: the log may have lost more than was asked, and values that the
    /// tree points to with it, until they are fetched again.
    pub(super) cut_failed: bool,
    /// Frames have changed since the last start.
    pub(super) rotted: bool,
    /// The disk as it was some time ago, for writes that it forgets.
    pub(super) earlier: Option<Moment>,
    /// The generation of the replica that was seen last.
    pub(super) generation: u32,
}

impl Node {
    /// Milliseconds since the process began, as it sees them.
    pub(super) fn local_ms(&self, now_ms: u64) -> u64 {
        self.clock.local_ms(now_ms).saturating_sub(self.began_local_ms)
    }

    /// The true time of a deadline of the process, later than `now_ms`.
    pub(super) fn true_ms(&self, local_ms: u64, now_ms: u64) -> u64 {
        let local_ms = local_ms.saturating_add(self.began_local_ms);
        self.clock.true_ms(local_ms, now_ms).max(now_ms + 1)
    }

    pub(super) fn engine(&self) -> Option<&Engine<Store>> {
        match self.process.as_ref()? {
            Process::Hub(hub) => Some(&hub.engine),
            Process::Follower(session) => session.replicas().first()?.engine(),
        }
    }

    /// What the node serves, if it can: a relay does so once its log is its leader's.
    pub(super) fn log(&self) -> Option<(LogId, LogReader<Store>)> {
        match self.process.as_ref()? {
            Process::Hub(hub) => Some((hub.log_id, hub.engine.log())),
            Process::Follower(session) => {
                let replica = session.replicas().first()?;
                let engine = replica.engine()?;
                let has_records = engine.appended() > Lsn::ZERO;
                has_records.then(|| (replica.log_id(), engine.log()))
            }
        }
    }

    pub(super) fn follower(&mut self) -> Option<&mut FollowerSession<FleetReplica>> {
        match self.process.as_mut()? {
            Process::Follower(session) => Some(session),
            Process::Hub(_) => None,
        }
    }

    pub(super) fn is_off(&self) -> bool {
        self.home.borrow().disk.is_off()
    }

    pub(super) const fn is_paused(&self, now_ms: u64) -> bool {
        self.paused_until_ms > now_ms
    }
}
