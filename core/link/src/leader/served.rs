//! One namespace of one follower: a position and a window, never a queue.

use super::Answer;
use crate::messages::{Ack, AnswerItem, Outcome, Want};
use unison_base::Lsn;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The driver has not answered yet.
    Asked,
    Serving,
    /// Not served since it was asked for: may still be.
    Refused,
    /// Served and then given up: what is on its way no longer counts, so it has to be asked for anew.
    Stopped,
}

/// How far a follower is with a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServedStatus {
    /// True when it is served.
    pub serving: bool,
    /// Newest record sent.
    pub sent: Lsn,
    /// Newest record that may be sent.
    pub durable: Lsn,
    /// Newest record durable at the follower.
    pub acked_durable: Lsn,
    /// Newest record that its readers see.
    pub acked_applied: Lsn,
    /// Bytes of frames sent since it was answered.
    pub sent_bytes: u64,
    /// Bytes of frames on their way.
    pub outstanding_bytes: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Served {
    state: State,
    ask: u32,
    answer: Option<Outcome>,
    answer_queued: bool,
    sent: Lsn,
    durable: Lsn,
    acked_durable: Lsn,
    acked_applied: Lsn,
    sent_bytes: u64,
    taken_bytes: u64,
    window_bytes: u32,
    /// The driver is reading a run.
    pub(super) reading: bool,
    queued: bool,
    pub(super) beat_due: bool,
}

impl Served {
    pub(super) fn new(want: &Want<'_>) -> Self {
        Self {
            state: State::Asked,
            ask: want.ask,
            answer: None,
            answer_queued: false,
            sent: want.cursor.lsn,
            durable: Lsn::ZERO,
            acked_durable: Lsn::ZERO,
            acked_applied: Lsn::ZERO,
            sent_bytes: 0,
            taken_bytes: 0,
            window_bytes: want.window_bytes,
            reading: false,
            queued: false,
            beat_due: false,
        }
    }

    /// A request for a namespace that was asked for before starts it anew.
    pub(super) fn asked_again(&mut self, want: &Want<'_>) {
        let (queued, answer_queued) = (self.queued, self.answer_queued);
        *self = Self { queued, answer_queued, ..Self::new(want) };
    }

    pub(super) const fn status(&self) -> ServedStatus {
        ServedStatus {
            serving: matches!(self.state, State::Serving),
            sent: self.sent,
            durable: self.durable,
            acked_durable: self.acked_durable,
            acked_applied: self.acked_applied,
            sent_bytes: self.sent_bytes,
            outstanding_bytes: self.outstanding_bytes(),
        }
    }

    pub(super) const fn is_serving(&self) -> bool {
        matches!(self.state, State::Serving)
    }

    pub(super) const fn sent(&self) -> Lsn {
        self.sent
    }

    pub(super) const fn durable_lsn(&self) -> Lsn {
        self.durable
    }

    /// Takes the driver's answer; true when it has to be queued for sending.
    pub(super) fn answer(&mut self, answer: Answer) -> bool {
        match answer {
            Answer::Serve(_) if matches!(self.state, State::Serving | State::Stopped) => {
                return false;
            }
            Answer::Serve(log) => {
                self.state = State::Serving;
                self.durable = log.durable;
                self.answer = Some(Outcome::Serve(log));
            }
            Answer::Refuse(refusal) => {
                let served = matches!(self.state, State::Serving | State::Stopped);
                self.state = if served { State::Stopped } else { State::Refused };
                self.answer = Some(Outcome::refused(refusal));
            }
        }
        self.reading = false;
        !core::mem::replace(&mut self.answer_queued, true)
    }

    /// The answer to be sent now, if it still stands.
    pub(super) fn answer_item(&self, namespace: u32) -> Option<AnswerItem> {
        self.answer.map(|outcome| AnswerItem { namespace, ask: self.ask, outcome })
    }

    pub(super) fn answered(&mut self) {
        self.answer = None;
        self.answer_queued = false;
    }

    pub(super) fn durable(&mut self, durable: Lsn) {
        if durable > self.durable {
            self.durable = durable;
            self.beat_due = true;
        }
    }

    const fn outstanding_bytes(&self) -> u64 {
        self.sent_bytes.saturating_sub(self.taken_bytes)
    }

    /// Bytes that may be sent now. A quarter of the window has to be free, so that a full window
    /// does not end in runs of a few bytes; when nothing is on its way, one record of any size goes.
    pub(super) fn room_bytes(&self) -> u64 {
        let window = u64::from(self.window_bytes);
        let room = window.saturating_sub(self.outstanding_bytes());
        if room.saturating_mul(4) < window { 0 } else { room }
    }

    pub(super) fn wants_to_send(&self) -> bool {
        let idle = self.is_serving() && !self.reading && self.answer.is_none();
        idle && self.sent < self.durable && self.room_bytes() > 0
    }

    /// True when it has to be put into the queue of those that send.
    pub(super) fn queue(&mut self) -> bool {
        let queue = !self.queued && self.wants_to_send();
        self.queued |= queue;
        queue
    }

    pub(super) fn unqueued(&mut self) {
        self.queued = false;
    }

    pub(super) fn sent_run(&mut self, last: Lsn, bytes: u32) {
        self.reading = false;
        self.sent = last;
        self.sent_bytes = self.sent_bytes.saturating_add(u64::from(bytes));
        self.beat_due = false;
    }

    /// Takes a follower's word; false when it claims more than it was sent.
    pub(super) fn acked(&mut self, ack: &Ack) -> bool {
        if ack.durable > self.sent || ack.applied > self.sent || ack.taken_bytes > self.sent_bytes {
            return false;
        }
        self.acked_durable = self.acked_durable.max(ack.durable);
        self.acked_applied = self.acked_applied.max(ack.applied);
        self.taken_bytes = self.taken_bytes.max(ack.taken_bytes);
        self.window_bytes = ack.window_bytes;
        true
    }
}
