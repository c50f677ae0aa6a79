//! The follower of one leader: survives its connections, and never stops trying.

use crate::backoff::Backoff;
use crate::close::CloseReason;
use crate::cursor::LogEnd;
use crate::inbox::{Inbox, Memory};
use crate::messages::{NodeId, Role, Token};
use crate::pulse::{Pulse, Timing};
use crate::reason::ByeReason;
use crate::wire::{HEADER_BYTES, RUN_BODY_MAX};
use unison_base::limits::NAMESPACES_MAX;
use unison_base::prng::Prng;
use unison_base::{Hlc, Lsn, NamespaceName};

mod event;
mod lag;
mod queue;
mod receive;
mod refuse;
mod salvage;
mod slot;
mod transmit;

pub use event::FollowerEvent;
pub use lag::{Counters, Lag, LinkState};
use queue::Queue;
pub use slot::{Slot, Standing, Table};

/// A follower on memory that grows.
#[cfg(feature = "alloc")]
pub type HeapFollower = Follower<alloc::vec::Vec<u8>, alloc::vec::Vec<Slot>>;
/// A follower of `N` namespaces on the caller's buffer.
pub type SmallFollower<'m, const N: usize> = Follower<&'m mut [u8], heapless::Vec<Slot, N>>;

/// What a follower is told once.
#[derive(Clone, Debug)]
pub struct FollowerConfig {
    /// This node's name.
    pub node: NodeId,
    /// Its token.
    pub token: Token,
    /// What it does with the records.
    pub role: Role,
    /// Bytes of frames per namespace that may be on their way or waiting for the disk.
    pub window_bytes: u32,
    /// Most bytes of frames in one run: at least the largest record's frame. Bounds the memory for
    /// received bytes.
    pub run_bytes_max: u32,
    /// Times.
    pub timing: Timing,
}

/// Why a follower or a namespace cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NamespaceError {
    /// The table is full.
    #[error("no room for another namespace")]
    Full,
    /// It is there already, under this number.
    #[error("the namespace is followed already, as number {0}")]
    Known(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Offline,
    Greeting,
    Live,
    Closing,
}

/// Follower state machine. See the crate's documentation for how a driver uses it.
///
/// `M` holds received bytes, `T` one [`Slot`] per namespace.
#[derive(Clone, Debug)]
pub struct Follower<M, T> {
    config: FollowerConfig,
    inbox: Inbox<M>,
    slots: T,
    queue: Queue,
    prng: Prng,
    reconnect: Backoff,
    ask_again: Backoff,
    pulse: Pulse,
    phase: Phase,
    now_ms: u64,
    hlc: Hlc,
    leader: NodeId,
    hello_due: bool,
    list_at: Option<usize>,
    partial_of: Option<u32>,
    closing: Closing,
    reconnect_at_ms: u64,
    retry_after_ms: u64,
    ask_again_at_ms: Option<u64>,
    beat_from: u32,
    bad_slots: u32,
    counters: Counters,
}

/// What is left to say and to report when a connection ends.
#[derive(Clone, Copy, Debug, Default)]
struct Closing {
    report: Option<CloseReason>,
    farewell: Option<ByeReason>,
}

impl<M: Memory, T: Table> Follower<M, T> {
    /// A follower that is not connected; `seed` decides its jitter. `None` when `memory` cannot hold
    /// every message without frames. Memory that does not grow has [`Self::memory_bytes`] of
    /// `config.run_bytes_max`, or the leader sends what it cannot take.
    pub fn new(
        mut config: FollowerConfig,
        memory: M,
        slots: T,
        seed: u64,
        now_ms: u64,
    ) -> Option<Self> {
        config.run_bytes_max = config.run_bytes_max.max(1);
        let run_bytes_max = usize::try_from(config.run_bytes_max).ok()?;
        let inbox = Inbox::new(memory, run_bytes_max)?;
        let timing = config.timing;
        Some(Self {
            inbox,
            slots,
            queue: Queue::default(),
            prng: Prng::new(seed),
            reconnect: Backoff::new(timing.reconnect_min_ms, timing.reconnect_max_ms),
            ask_again: Backoff::new(timing.ask_again_min_ms, timing.ask_again_max_ms),
            pulse: Pulse::new(timing, now_ms),
            phase: Phase::Offline,
            now_ms,
            hlc: Hlc::default(),
            leader: NodeId::new(),
            hello_due: false,
            list_at: None,
            partial_of: None,
            closing: Closing::default(),
            reconnect_at_ms: now_ms,
            retry_after_ms: 0,
            ask_again_at_ms: None,
            beat_from: 0,
            bad_slots: 0,
            counters: Counters::default(),
            config,
        })
    }

    /// Memory that runs of `run_bytes` need, bytes.
    #[must_use]
    pub const fn memory_bytes(run_bytes: usize) -> usize {
        let run = HEADER_BYTES + RUN_BODY_MAX + run_bytes;
        if run > crate::inbox::INBOX_BYTES_MIN { run } else { crate::inbox::INBOX_BYTES_MIN }
    }

    /// Adds a namespace, whose log ends at `end`. Returns its number, which stands for it from here on.
    ///
    /// # Errors
    /// [`NamespaceError`] when it is there already or there is no room.
    pub fn follow(&mut self, name: NamespaceName, end: LogEnd) -> Result<u32, NamespaceError> {
        let count = self.slots.as_ref().len();
        let known = self.slots.as_ref().iter().position(|slot| slot.name() == &name);
        if let Some(known) = known.and_then(|at| u32::try_from(at).ok()) {
            return Err(NamespaceError::Known(known));
        }
        let number = u32::try_from(count).map_err(|_| NamespaceError::Full)?;
        let slot = Slot::new(name, end, self.config.window_bytes);
        if count >= NAMESPACES_MAX || !self.slots.push(slot) {
            return Err(NamespaceError::Full);
        }
        self.ask(number);
        Ok(number)
    }

    /// A connection to the leader is open. Bytes of an earlier one are forgotten.
    pub fn connected(&mut self, now_ms: u64) {
        self.clock(now_ms);
        self.forget_connection();
        self.partial_of = None;
        self.inbox.clear();
        self.inbox.rest();
        self.pulse = Pulse::new(self.config.timing, self.now_ms);
        self.phase = Phase::Greeting;
        self.hello_due = true;
        self.counters.connections += 1;
        for number in 0..self.count() {
            self.ask(number);
        }
    }

    /// The connection is gone, or none could be made. The next attempt is due at
    /// [`Self::reconnect_at`]. Take events before it: the whole frames of a run that was cut off come
    /// as one, so that a link which never lives long enough for a run still gets on.
    pub fn disconnected(&mut self, now_ms: u64) {
        self.clock(now_ms);
        self.partial_of = self.partial_run();
        self.forget_connection();
        self.phase = Phase::Offline;
        let jitter_ms = self.reconnect.next_ms(&mut self.prng);
        let asked_ms = self.retry_after_ms.saturating_add(jitter_ms.min(self.retry_after_ms));
        self.retry_after_ms = 0;
        self.reconnect_at_ms = self.now_ms.saturating_add(jitter_ms.max(asked_ms));
    }

    fn forget_connection(&mut self) {
        self.queue = Queue::default();
        self.list_at = None;
        self.closing = Closing::default();
        self.ask_again_at_ms = None;
        self.hello_due = false;
        let word_ms = self.pulse.word_ms();
        for slot in self.slots.as_mut() {
            slot.forget_connection(word_ms);
        }
    }

    /// When to connect next, milliseconds; `None` while there is a connection.
    #[must_use]
    pub fn reconnect_at(&self) -> Option<u64> {
        (self.phase == Phase::Offline).then_some(self.reconnect_at_ms)
    }

    /// When [`Self::handle_timeout`] and [`Self::poll_transmit`] (or, offline, a new connection) are
    /// due, milliseconds.
    #[must_use]
    pub fn poll_timeout(&self) -> u64 {
        match self.phase {
            Phase::Offline => self.reconnect_at_ms,
            Phase::Closing => self.now_ms,
            _ => self.pulse.deadline_ms().min(self.ask_again_at_ms.unwrap_or(u64::MAX)),
        }
    }

    /// Time has passed. Call it after the bytes that have come were handed in, so that silence is
    /// the peer's and not this node's.
    pub fn handle_timeout(&mut self, now_ms: u64) {
        self.clock(now_ms);
        if matches!(self.phase, Phase::Offline | Phase::Closing) {
            return;
        }
        if self.pulse.is_dead(self.now_ms) {
            self.close(CloseReason::Dead);
        } else if self.pulse.is_stalled(self.now_ms) {
            self.close(CloseReason::Stalled);
        }
    }

    /// Asks again for the namespaces that wait, when it is time. Part of transmitting, so that a line
    /// that is never idle does not put it off.
    fn ask_again_if_due(&mut self) {
        if self.ask_again_at_ms.is_none_or(|at_ms| self.now_ms < at_ms) {
            return;
        }
        self.ask_again_at_ms = None;
        for number in 0..self.count() {
            if self.slot(number).is_some_and(|slot| matches!(slot.standing(), Standing::Waiting(_)))
            {
                self.ask(number);
            }
        }
    }

    /// The driver's log holds records up to `durable` safely and shows them up to `applied`.
    pub fn appended(&mut self, namespace: u32, durable: Lsn, applied: Lsn, now_ms: u64) {
        self.clock(now_ms);
        let word_ms = self.pulse.word_ms();
        let Some(slot) = self.slot_mut(namespace) else { return };
        if !slot.appended(durable, applied, word_ms) {
            return;
        }
        self.good_run(namespace);
        self.say(namespace);
    }

    /// The driver could not use the last run: its log still ends at `end`. The records are asked
    /// for again.
    pub fn refused(&mut self, namespace: u32, end: LogEnd, now_ms: u64) {
        self.clock(now_ms);
        let Some(slot) = self.slot_mut(namespace) else { return };
        slot.restart(end);
        self.bad_run(namespace);
    }

    /// The driver could do nothing with what came last and cannot tell where its log ends. The
    /// namespace is asked for again, and the next connection is put off like after a refused run.
    pub fn unusable(&mut self, namespace: u32, now_ms: u64) {
        self.clock(now_ms);
        self.bad_run(namespace);
    }

    /// The namespace's log now ends at `end`, after a divergence was resolved or for any other
    /// reason: it is asked for from there.
    pub fn restart(&mut self, namespace: u32, end: LogEnd, now_ms: u64) {
        self.clock(now_ms);
        let Some(slot) = self.slot_mut(namespace) else { return };
        slot.restart(end);
        self.ask(namespace);
    }

    /// Ends the connection politely: transmit what is left, then close.
    pub fn leave(&mut self, reason: ByeReason) {
        if matches!(self.phase, Phase::Greeting | Phase::Live) {
            self.close(CloseReason::Ours(reason));
        }
    }

    /// This node's hybrid clock, for the next beats.
    pub fn set_hlc(&mut self, hlc: Hlc) {
        self.hlc = hlc;
    }

    fn clock(&mut self, now_ms: u64) {
        self.now_ms = self.now_ms.max(now_ms);
    }

    fn count(&self) -> u32 {
        u32::try_from(self.slots.as_ref().len()).unwrap_or(u32::MAX)
    }

    fn slot(&self, number: u32) -> Option<&Slot> {
        self.slots.as_ref().get(usize::try_from(number).ok()?)
    }

    fn slot_mut(&mut self, number: u32) -> Option<&mut Slot> {
        self.slots.as_mut().get_mut(usize::try_from(number).ok()?)
    }

    /// Puts a request for the namespace on its way, unless the driver has to act first.
    fn ask(&mut self, number: u32) {
        if self.slot_mut(number).is_some_and(Slot::ask) {
            self.say(number);
        }
    }

    /// Notes that there is something to say about the namespace.
    fn say(&mut self, number: u32) {
        if matches!(self.phase, Phase::Greeting | Phase::Live) {
            self.queue.push(self.slots.as_mut(), number);
        }
    }

    fn close(&mut self, reason: CloseReason) {
        if self.phase == Phase::Closing {
            return;
        }
        self.phase = Phase::Closing;
        self.list_at = None;
        self.closing = Closing { report: Some(reason), farewell: reason.farewell() };
    }
}

#[cfg(test)]
mod tests;
