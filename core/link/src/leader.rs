//! The leader's side of one connection.

use crate::close::CloseReason;
use crate::inbox::Inbox;
use crate::messages::{NodeId, Served as ServedLog};
use crate::pulse::{Pulse, Timing};
use crate::reason::{ByeReason, Refusal};
use crate::wire::{HEADER_BYTES, RUN_BODY_MAX};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use unison_base::limits::NAMESPACES_MAX;
use unison_base::{Hlc, Lsn};

mod event;
mod receive;
mod send;
mod served;
mod transmit;

pub use event::LeaderEvent;
pub use send::SendError;
use served::Served;
pub use served::ServedStatus;
pub use transmit::Transmit;

/// Bytes for received messages: a leader receives none with frames.
const INBOX_BYTES: usize = 4 << 10;
/// The part of a Run before its frames, or a whole Seal.
pub type RunHead = heapless::Vec<u8, { HEADER_BYTES + RUN_BODY_MAX }>;

/// What a leader is told once per connection.
#[derive(Clone, Debug)]
pub struct LeaderConfig {
    /// This node's name.
    pub node: NodeId,
    /// Most namespaces one connection may ask for.
    pub namespaces_max: u32,
    /// Times.
    pub timing: Timing,
}

impl LeaderConfig {
    /// A leader of this name, everything else at its default.
    #[must_use]
    pub fn new(node: NodeId) -> Self {
        let namespaces_max = u32::try_from(NAMESPACES_MAX).unwrap_or(u32::MAX);
        Self { node, namespaces_max, timing: Timing::default() }
    }
}

/// A leader's word on a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is served from behind the cursor.
    Serve(ServedLog),
    /// It is not.
    Refuse(Refusal),
}

/// Totals of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaderCounters {
    /// Bytes received.
    pub received_bytes: u64,
    /// Bytes sent, frames included.
    pub sent_bytes: u64,
    /// Runs sent.
    pub runs: u64,
    /// Bytes of frames sent.
    pub run_bytes: u64,
    /// Requests for a namespace.
    pub requests: u64,
    /// Messages of unknown optional kinds.
    pub skipped_messages: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No Hello yet.
    Awaiting,
    /// Hello reported, the driver decides.
    Deciding,
    Live,
    Closing,
}

#[derive(Clone, Copy, Debug, Default)]
struct Closing {
    report: Option<CloseReason>,
    farewell: Option<ByeReason>,
    retry_after_ms: u32,
}

/// Leader state machine of one connection. See the crate's documentation for how a driver uses it.
#[derive(Clone, Debug)]
pub struct Leader {
    config: LeaderConfig,
    inbox: Inbox<Vec<u8>>,
    /// By the follower's number; boxed, so that a high number costs a pointer each below it.
    served: Vec<Option<Box<Served>>>,
    /// Namespaces with something to send, first come first served.
    ready: VecDeque<u32>,
    /// Namespaces with an answer to send.
    answers: VecDeque<u32>,
    pulse: Pulse,
    phase: Phase,
    now_ms: u64,
    hlc: Hlc,
    protocol: u16,
    peer_run_bytes_max: u32,
    welcome_due: bool,
    list_at: Option<usize>,
    closing: Closing,
    beat_from: u32,
    counters: LeaderCounters,
}

impl Leader {
    /// A leader for a connection that was just accepted.
    #[must_use]
    pub fn new(config: LeaderConfig, now_ms: u64) -> Self {
        Self {
            inbox: Inbox::over(vec![0; INBOX_BYTES]),
            served: Vec::new(),
            ready: VecDeque::new(),
            answers: VecDeque::new(),
            pulse: Pulse::new(config.timing, now_ms),
            phase: Phase::Awaiting,
            now_ms,
            hlc: Hlc::default(),
            protocol: 0,
            peer_run_bytes_max: 0,
            welcome_due: false,
            list_at: None,
            closing: Closing::default(),
            beat_from: 0,
            counters: LeaderCounters::default(),
            config,
        }
    }

    /// The follower of [`LeaderEvent::Hello`] is welcome.
    pub fn accept(&mut self) {
        if self.phase == Phase::Deciding {
            self.phase = Phase::Live;
            self.welcome_due = true;
        }
    }

    /// Ends the connection: transmit what is left, then close. The follower comes back no sooner
    /// than `retry_after_ms`.
    pub fn dismiss(&mut self, reason: ByeReason, retry_after_ms: u32) {
        if self.phase != Phase::Closing {
            self.close(CloseReason::Ours(reason));
            self.closing.retry_after_ms = retry_after_ms;
        }
    }

    /// Answers a [`LeaderEvent::Follow`], now or later: a namespace that was refused and can be
    /// served now is served from the cursor its last `Follow` had. A served one whose log cannot be
    /// read on is refused, and stays so until the follower asks again.
    pub fn answer(&mut self, namespace: u32, answer: Answer) {
        let Some(served) = self.served_mut(namespace) else { return };
        if served.answer(answer) {
            self.answers.push_back(namespace);
        }
    }

    /// Records of the namespace up to `durable` are safe and may be sent.
    pub fn durable(&mut self, namespace: u32, durable: Lsn) {
        let Some(served) = self.served_mut(namespace) else { return };
        served.durable(durable);
        self.make_ready(namespace);
    }

    /// When [`Self::handle_timeout`] and [`Self::poll_transmit`] are due, milliseconds.
    #[must_use]
    pub fn poll_timeout(&self) -> u64 {
        if self.phase == Phase::Closing { self.now_ms } else { self.pulse.deadline_ms() }
    }

    /// Time has passed. Call it after the bytes that have come were handed in, so that silence is
    /// the peer's and not this node's.
    pub fn handle_timeout(&mut self, now_ms: u64) {
        self.clock(now_ms);
        if self.pulse.is_dead(self.now_ms) {
            self.close(CloseReason::Dead);
        } else if self.pulse.is_stalled(self.now_ms) {
            self.close(CloseReason::Stalled);
        }
    }

    /// This node's hybrid clock, for the next beats.
    pub fn set_hlc(&mut self, hlc: Hlc) {
        self.hlc = hlc;
    }

    /// How far the follower is with a namespace it asked for.
    #[must_use]
    pub fn status(&self, namespace: u32) -> Option<ServedStatus> {
        self.served(namespace).map(Served::status)
    }

    /// Smoothed round trip, milliseconds.
    #[must_use]
    pub const fn rtt_ms(&self) -> Option<u32> {
        self.pulse.rtt_ms()
    }

    /// Totals.
    #[must_use]
    pub const fn counters(&self) -> LeaderCounters {
        self.counters
    }

    fn clock(&mut self, now_ms: u64) {
        self.now_ms = self.now_ms.max(now_ms);
    }

    fn served(&self, number: u32) -> Option<&Served> {
        self.served.get(usize::try_from(number).ok()?)?.as_deref()
    }

    fn served_mut(&mut self, number: u32) -> Option<&mut Served> {
        self.served.get_mut(usize::try_from(number).ok()?)?.as_deref_mut()
    }

    fn make_ready(&mut self, number: u32) {
        if self.served_mut(number).is_some_and(Served::queue) {
            self.ready.push_back(number);
        }
    }

    fn close(&mut self, reason: CloseReason) {
        if self.phase == Phase::Closing {
            return;
        }
        self.phase = Phase::Closing;
        self.list_at = None;
        let farewell = reason.farewell();
        self.closing = Closing { report: Some(reason), farewell, retry_after_ms: 0 };
    }
}

#[cfg(test)]
mod tests;
