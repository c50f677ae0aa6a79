//! How far behind a follower is, and what it has counted.

use super::slot::{Slot, Standing, Table};
use super::{Follower, Phase};
use crate::inbox::Memory;
use unison_base::{Lsn, NamespaceName};

/// The connection, as a person wants to see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// No connection; the next attempt is due then.
    Offline {
        /// Milliseconds of the driver's clock.
        next_attempt_ms: u64,
    },
    /// Connected, the leader has not answered yet.
    Greeting,
    /// The leader has answered.
    Live,
    /// To be closed by the driver.
    Closing,
}

/// How far one namespace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// How it stands with the leader.
    pub standing: Standing,
    /// The leader's newest durable record, as last heard.
    pub leader_durable: Lsn,
    /// Newest record handed to the driver.
    pub received: Lsn,
    /// Newest record durable here.
    pub durable: Lsn,
    /// Newest record readers see here.
    pub applied: Lsn,
    /// Records the leader has and this node does not hold safely.
    pub records_behind: u64,
    /// Milliseconds since this node last held all that the leader had, as far as that is known: what
    /// the leader says is as old as the line is slow. 0 while it does and its leader's word is no
    /// older than three beats; `None` when it never did.
    pub since_in_sync_ms: Option<u64>,
}

/// Totals since the follower was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections opened.
    pub connections: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Runs handed out.
    pub runs: u64,
    /// Bytes of frames handed out.
    pub run_bytes: u64,
    /// Records handed out.
    pub records: u64,
    /// Runs refused.
    pub refused_runs: u64,
    /// Records that came again.
    pub duplicate_records: u64,
    /// Runs that came after their request was withdrawn.
    pub stale_runs: u64,
    /// Messages of unknown optional kinds.
    pub skipped_messages: u64,
}

impl<M: Memory, T: Table> Follower<M, T> {
    /// State of the connection.
    #[must_use]
    pub const fn state(&self) -> LinkState {
        match self.phase {
            Phase::Offline => LinkState::Offline { next_attempt_ms: self.reconnect_at_ms },
            Phase::Greeting => LinkState::Greeting,
            Phase::Live => LinkState::Live,
            Phase::Closing => LinkState::Closing,
        }
    }

    /// The leader's name, empty before it first answered.
    #[must_use]
    pub fn leader(&self) -> &str {
        &self.leader
    }

    /// Name of a followed namespace.
    #[must_use]
    pub fn name(&self, namespace: u32) -> Option<&NamespaceName> {
        self.slot(namespace).map(Slot::name)
    }

    /// Smoothed round trip, milliseconds.
    #[must_use]
    pub const fn rtt_ms(&self) -> Option<u32> {
        self.pulse.rtt_ms()
    }

    /// Totals.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// How far a namespace is.
    #[must_use]
    pub fn lag(&self, namespace: u32, now_ms: u64) -> Option<Lag> {
        let slot = self.slot(namespace)?;
        let records_behind = slot.leader_durable().since(slot.durable());
        let in_sync = self.phase == Phase::Live && slot.is_in_sync();
        let word_ms = slot.is_in_sync().then_some(self.pulse.word_ms());
        let since_ms = slot.in_sync_at_ms().max(word_ms).map(|at_ms| now_ms.saturating_sub(at_ms));
        let holds_ms = self.pulse.word_holds_ms();
        Some(Lag {
            standing: slot.standing(),
            leader_durable: slot.leader_durable(),
            received: slot.end().cursor.lsn,
            durable: slot.durable(),
            applied: slot.applied(),
            records_behind,
            since_in_sync_ms: since_ms
                .map(|since_ms| if in_sync && since_ms <= holds_ms { 0 } else { since_ms }),
        })
    }
}
