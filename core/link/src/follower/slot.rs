//! What a follower knows about one namespace.

use crate::cursor::LogEnd;
use crate::messages::Served;
use crate::reason::{Divergence, Refusal};
use unison_base::{LogId, Lsn, NamespaceName};

/// One [`Slot`] per namespace: a `Vec`, or a fixed number of them.
pub trait Table: AsRef<[Slot]> + AsMut<[Slot]> {
    /// Adds one; false when there is no room.
    fn push(&mut self, slot: Slot) -> bool;
}

impl<const N: usize> Table for heapless::Vec<Slot, N> {
    fn push(&mut self, slot: Slot) -> bool {
        Self::push(self, slot).is_ok()
    }
}

#[cfg(feature = "alloc")]
impl Table for alloc::vec::Vec<Slot> {
    fn push(&mut self, slot: Slot) -> bool {
        let room = self.try_reserve(1).is_ok();
        if room {
            Self::push(self, slot);
        }
        room
    }
}

/// How a namespace stands with the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// To be asked for, or asked for and not answered yet.
    Asking,
    /// Runs come in.
    Following,
    /// The leader cannot serve it now; asked again by itself.
    Waiting(Refusal),
    /// The logs differ: nothing happens until the driver restarts it from another cursor, or until
    /// the next connection.
    Diverged(Divergence),
}

/// One namespace of a follower.
#[derive(Clone, Debug)]
pub struct Slot {
    name: NamespaceName,
    standing: Standing,
    /// Where the log ends with everything handed out.
    end: LogEnd,
    durable: Lsn,
    applied: Lsn,
    leader_durable: Lsn,
    /// The newest time at which all that the leader had is known to be durable here.
    in_sync_at_ms: Option<u64>,
    ask: u32,
    window_bytes: u32,
    handed_bytes: u64,
    taken_bytes: u64,
    /// When `Lsn` is durable, so many bytes are taken.
    mark: Option<(Lsn, u64)>,
    pub(super) bad_in_row: u32,
    pub(super) ask_due: bool,
    pub(super) ack_due: bool,
    pub(super) beat_due: bool,
    pub(super) queued: bool,
    pub(super) next: Option<u32>,
}

impl Slot {
    pub(super) fn new(name: NamespaceName, end: LogEnd, window_bytes: u32) -> Self {
        Self {
            name,
            standing: Standing::Asking,
            end,
            durable: end.cursor.lsn,
            applied: end.cursor.lsn,
            leader_durable: Lsn::ZERO,
            in_sync_at_ms: None,
            ask: 0,
            window_bytes,
            handed_bytes: 0,
            taken_bytes: 0,
            mark: None,
            bad_in_row: 0,
            ask_due: false,
            ack_due: false,
            beat_due: false,
            queued: false,
            next: None,
        }
    }

    pub(super) const fn name(&self) -> &NamespaceName {
        &self.name
    }

    pub(super) const fn standing(&self) -> Standing {
        self.standing
    }

    pub(super) const fn end(&self) -> &LogEnd {
        &self.end
    }

    pub(super) const fn durable(&self) -> Lsn {
        self.durable
    }

    pub(super) const fn applied(&self) -> Lsn {
        self.applied
    }

    pub(super) const fn leader_durable(&self) -> Lsn {
        self.leader_durable
    }

    pub(super) const fn in_sync_at_ms(&self) -> Option<u64> {
        self.in_sync_at_ms
    }

    pub(super) const fn ask_number(&self) -> u32 {
        self.ask
    }

    pub(super) const fn window_bytes(&self) -> u32 {
        self.window_bytes
    }

    pub(super) const fn taken_bytes(&self) -> u64 {
        self.taken_bytes
    }

    pub(super) fn is_following(&self) -> bool {
        self.standing == Standing::Following
    }

    /// True while all is durable here that the leader had when it said so last.
    pub(super) fn is_in_sync(&self) -> bool {
        self.is_following() && self.durable >= self.leader_durable
    }

    /// Nothing of a connection outlives it, but why the namespace waits stays visible until the
    /// leader says something else. A divergence that could not be resolved is asked about again:
    /// the leader repeats its verdict, and with it the driver is asked to act again. `word_ms` is the
    /// time of the leader's last word.
    pub(super) fn forget_connection(&mut self, word_ms: u64) {
        self.note_sync(word_ms);
        self.queued = false;
        self.next = None;
        self.ask_due = false;
        self.ack_due = false;
        if matches!(self.standing, Standing::Following | Standing::Diverged(_)) {
            self.standing = Standing::Asking;
        }
    }

    /// Makes a request due; false when the driver has to act first.
    pub(super) fn ask(&mut self) -> bool {
        if matches!(self.standing, Standing::Diverged(_)) {
            return false;
        }
        self.ack_due = false;
        self.ask_due = true;
        if self.standing == Standing::Following {
            self.standing = Standing::Asking;
        }
        true
    }

    /// The request goes out now: answers to earlier ones no longer count.
    pub(super) fn asked(&mut self) {
        self.ask_due = false;
        self.ask = self.ask.wrapping_add(1);
    }

    /// True when an answer to request `ask` is the one waited for, or a later word on it.
    pub(super) const fn expects(&self, ask: u32) -> bool {
        ask == self.ask && !self.ask_due && !matches!(self.standing, Standing::Diverged(_))
    }

    /// True when records of `log` must not follow what is here.
    pub(super) fn is_of_another_log(&self, log: LogId) -> bool {
        self.end.cursor.lsn != Lsn::ZERO && self.end.cursor.log != log
    }

    /// The leader learns at once what is durable here: the cursor may be ahead of it.
    pub(super) fn served(&mut self, served: &Served, word_ms: u64) {
        self.standing = Standing::Following;
        self.end.cursor.log = served.log;
        self.leader_durable = served.durable;
        self.handed_bytes = 0;
        self.taken_bytes = 0;
        self.mark = None;
        self.beat_due = true;
        self.ack_due = true;
        self.note_sync(word_ms);
    }

    pub(super) fn not_served(&mut self, refusal: Refusal) {
        self.standing = match refusal {
            Refusal::Diverged(why) => Standing::Diverged(why),
            other => Standing::Waiting(other),
        };
    }

    pub(super) fn restart(&mut self, end: LogEnd) {
        self.standing = Standing::Asking;
        self.end = end;
        self.durable = end.cursor.lsn;
        self.applied = end.cursor.lsn;
    }

    pub(super) fn leader_durable_is(&mut self, durable: Lsn, word_ms: u64) {
        self.leader_durable = self.leader_durable.max(durable);
        self.note_sync(word_ms);
    }

    /// A run was handed to the driver, and the log ends at `end` with it.
    pub(super) fn handed_out(&mut self, end: LogEnd, bytes: u64) {
        self.end = end;
        self.handed_bytes = self.handed_bytes.saturating_add(bytes);
        if self.mark.is_none() {
            self.mark = Some((end.cursor.lsn, self.handed_bytes));
        }
    }

    /// Frames came that this log has already: they count as taken, which is to be acknowledged.
    pub(super) fn repeated(&mut self, bytes: u64) {
        self.handed_bytes = self.handed_bytes.saturating_add(bytes);
        self.settle();
        self.ack_due = true;
    }

    pub(super) fn sealed(&mut self, end: LogEnd) {
        self.end = end;
    }

    /// Takes the driver's word; true when it got on.
    pub(super) fn appended(&mut self, durable: Lsn, applied: Lsn, word_ms: u64) -> bool {
        let durable = durable.min(self.end.cursor.lsn);
        let applied = applied.min(self.end.cursor.lsn);
        let moved = durable > self.durable || applied > self.applied;
        self.durable = self.durable.max(durable);
        self.applied = self.applied.max(applied);
        self.beat_due |= moved;
        self.settle();
        self.note_sync(word_ms);
        self.ack_due |= moved && self.is_following();
        moved
    }

    /// Frees window bytes for what is durable.
    fn settle(&mut self) {
        if self.durable >= self.end.cursor.lsn {
            self.taken_bytes = self.handed_bytes;
            self.mark = None;
        } else if let Some((lsn, bytes)) = self.mark
            && self.durable >= lsn
        {
            self.taken_bytes = bytes;
            self.mark = Some((self.end.cursor.lsn, self.handed_bytes));
        }
    }

    /// The leader's word is as old as `word_ms`, however late it came.
    fn note_sync(&mut self, word_ms: u64) {
        if self.is_in_sync() {
            self.in_sync_at_ms = self.in_sync_at_ms.max(Some(word_ms));
        }
    }
}
