//! From received bytes to events.

use super::event::FollowerEvent;
use super::slot::{Standing, Table};
use super::{Follower, Phase};
use crate::close::CloseReason;
use crate::inbox::{Memory, Next};
use crate::messages::{AnswerItem, Beat, BeatItem, Bye, NodeId, Outcome, Run, Seal, Welcome};
use crate::reason::{Divergence, Refusal};
use crate::run::{self, RunFault, RunRange, SealRange};
use crate::wire::{Kind, PROTOCOL_MAX, PROTOCOL_MIN, Reader, WireError};

/// What one step over the received bytes made.
pub(super) enum Step {
    /// An event without borrowed bytes.
    Event(FollowerEvent<'static>),
    /// A run; its frames are the last bytes of the message just consumed.
    Run { namespace: u32, range: RunRange },
    /// Nothing to report, go on.
    Quiet,
    /// Nothing more to go on with.
    Idle,
}

impl<M: Memory, T: Table> Follower<M, T> {
    /// Room to read from the connection into; tell [`Self::received`] how much came. Empty while
    /// events are waiting: then reading stops, and the connection slows the leader down.
    pub fn space(&mut self) -> &mut [u8] {
        self.inbox.space()
    }

    /// So many bytes were read into [`Self::space`].
    pub fn received(&mut self, bytes: usize, now_ms: u64) {
        self.clock(now_ms);
        self.inbox.filled(bytes);
        self.counters.received_bytes += bytes as u64;
        if bytes > 0 {
            self.pulse.heard(self.now_ms);
        }
    }

    /// Copies bytes in, as many as there is room for, and returns how many that were. Take events
    /// until there are none, then hand in the rest. A connection that is closing swallows all.
    pub fn handle_bytes(&mut self, bytes: &[u8], now_ms: u64) -> usize {
        if matches!(self.phase, Phase::Offline | Phase::Closing) {
            return bytes.len();
        }
        let space = self.inbox.space();
        let taken = space.len().min(bytes.len());
        if let (Some(to), Some(from)) = (space.get_mut(..taken), bytes.get(..taken)) {
            to.copy_from_slice(from);
        }
        self.received(taken, now_ms);
        taken
    }

    /// The next event; `None` when more bytes or more time are needed.
    pub fn poll_event(&mut self) -> Option<FollowerEvent<'_>> {
        let (namespace, range) = loop {
            match self.step() {
                Step::Event(event) => return Some(event),
                Step::Run { namespace, range } => break (namespace, range),
                Step::Quiet => {}
                Step::Idle => return None,
            }
        };
        let frames = self.last_run(&range);
        Some(FollowerEvent::Run { namespace, range, frames })
    }

    /// The frames of the run that was handed out last, until the next event is asked for or another
    /// connection is made: a driver that took only a part of them goes on with the rest.
    #[must_use]
    pub fn last_run(&self, range: &RunRange) -> &[u8] {
        self.inbox.consumed(usize::try_from(range.bytes).unwrap_or(usize::MAX))
    }

    fn step(&mut self) -> Step {
        match self.phase {
            Phase::Offline => self.salvage().unwrap_or(Step::Idle),
            Phase::Closing => self
                .closing
                .report
                .take()
                .map_or(Step::Idle, |reason| Step::Event(FollowerEvent::Close { reason })),
            Phase::Greeting | Phase::Live => self.read().unwrap_or_else(|error| {
                self.close(CloseReason::Wire(error));
                Step::Quiet
            }),
        }
    }

    fn read(&mut self) -> Result<Step, WireError> {
        match self.inbox.next()? {
            Next::Empty => {
                self.pulse.message_done();
                Ok(Step::Idle)
            }
            Next::Part { bytes } => {
                self.pulse.message_open(bytes, self.now_ms);
                Ok(Step::Idle)
            }
            Next::Message { kind, bytes } => {
                self.pulse.message_done();
                self.message(kind, bytes)
            }
        }
    }

    fn message(&mut self, number: u8, bytes: usize) -> Result<Step, WireError> {
        if let Some(at) = self.list_at {
            return self.answer(number, bytes, at);
        }
        let Some(kind) = Kind::of(number) else {
            Reader::open(self.whole(bytes))?;
            self.counters.skipped_messages += 1;
            self.inbox.consume(bytes);
            return Ok(Step::Quiet);
        };
        match (kind, self.phase) {
            (Kind::Welcome, _) => self.welcome(bytes),
            (Kind::Bye, _) => self.bye(bytes),
            (Kind::Run, Phase::Live) => self.run(bytes),
            (Kind::Seal, Phase::Live) => self.seal(bytes),
            (Kind::Beat, Phase::Live) => self.beat(bytes),
            _ => Err(WireError::Unexpected { kind: number }),
        }
    }

    fn whole(&self, bytes: usize) -> &[u8] {
        self.inbox.pending().get(..bytes).unwrap_or_default()
    }

    fn welcome(&mut self, bytes: usize) -> Result<Step, WireError> {
        let mut reader = Reader::open(self.whole(bytes))?;
        let welcome: Welcome<'_> = reader.take()?;
        let fault = WireError::Body { kind: Kind::Welcome as u8 };
        let node = NodeId::try_from(welcome.node).map_err(|_| fault)?;
        let (protocol, interval_ms) = (welcome.protocol, welcome.interval_ms);
        self.list_at = Some(reader.position());
        if self.phase == Phase::Live {
            return Ok(Step::Quiet);
        }
        if !(PROTOCOL_MIN..=PROTOCOL_MAX).contains(&protocol) {
            self.close(CloseReason::Version);
            return Ok(Step::Quiet);
        }
        self.leader = node;
        self.phase = Phase::Live;
        self.pulse.greeted(interval_ms, self.now_ms);
        Ok(Step::Event(FollowerEvent::Greeted { protocol }))
    }

    /// One item of a Welcome, `at` bytes into it.
    fn answer(&mut self, kind: u8, bytes: usize, at: usize) -> Result<Step, WireError> {
        let mut reader = Reader::resume(self.whole(bytes), kind, at);
        if reader.is_empty() {
            self.list_at = None;
            self.inbox.consume(bytes);
            return Ok(Step::Quiet);
        }
        let item: AnswerItem = reader.take()?;
        self.list_at = Some(reader.position());
        Ok(self.answered(&item))
    }

    fn answered(&mut self, item: &AnswerItem) -> Step {
        let (namespace, word_ms) = (item.namespace, self.pulse.word_ms());
        let Some(slot) = self.slot_mut(namespace).filter(|slot| slot.expects(item.ask)) else {
            return Step::Quiet;
        };
        match item.outcome {
            Outcome::Serve(served) if slot.is_of_another_log(served.log) => {
                self.not_served(namespace, Refusal::Diverged(Divergence::Log))
            }
            Outcome::Serve(served) => {
                slot.served(&served, word_ms);
                self.ask_again.reset();
                self.say(namespace);
                Step::Event(FollowerEvent::Welcome { namespace, served })
            }
            Outcome::Refused { reason, detail } => {
                self.not_served(namespace, Refusal::decode(reason, detail))
            }
        }
    }

    fn not_served(&mut self, namespace: u32, refusal: Refusal) -> Step {
        let Some(slot) = self.slot_mut(namespace) else { return Step::Quiet };
        let before = slot.standing();
        slot.not_served(refusal);
        match slot.standing() {
            Standing::Diverged(why) => Step::Event(FollowerEvent::Diverged { namespace, why }),
            after => {
                self.ask_again_later();
                let news = Step::Event(FollowerEvent::Waiting { namespace, reason: refusal });
                if after == before { Step::Quiet } else { news }
            }
        }
    }

    /// One timer serves all namespaces that wait.
    fn ask_again_later(&mut self) {
        if self.ask_again_at_ms.is_none() {
            let wait_ms = self.ask_again.next_ms(&mut self.prng);
            self.ask_again_at_ms = Some(self.now_ms.saturating_add(wait_ms));
        }
    }

    fn bye(&mut self, bytes: usize) -> Result<Step, WireError> {
        let bye: Bye = Reader::open(self.whole(bytes))?.only()?;
        self.inbox.consume(bytes);
        let most_ms = self.config.timing.retry_after_max_ms;
        self.retry_after_ms = u64::from(bye.retry_after_ms.min(most_ms));
        self.close(CloseReason::Bye(bye.reason()));
        Ok(Step::Quiet)
    }

    fn beat(&mut self, bytes: usize) -> Result<Step, WireError> {
        let now_ms = self.now_ms;
        let mut reader = Reader::open(self.inbox.pending().get(..bytes).unwrap_or_default())?;
        let beat: Beat = reader.take()?;
        self.pulse.beat_heard(&beat, now_ms);
        let word_ms = self.pulse.word_ms();
        while !reader.is_empty() {
            let item: BeatItem = reader.take()?;
            let slot = usize::try_from(item.namespace)
                .ok()
                .and_then(|at| self.slots.as_mut().get_mut(at))
                .filter(|slot| slot.is_following());
            if let Some(slot) = slot {
                slot.leader_durable_is(item.durable, word_ms);
            }
        }
        self.inbox.consume(bytes);
        self.went_well();
        Ok(Step::Event(FollowerEvent::Beat { hlc: beat.hlc }))
    }

    fn seal(&mut self, bytes: usize) -> Result<Step, WireError> {
        let message: Seal = Reader::open(self.whole(bytes))?.only()?;
        self.inbox.consume(bytes);
        let (namespace, seal) = (message.namespace, SealRange::of(&message));
        let Some(slot) = self.slot_mut(namespace).filter(|slot| slot.is_following()) else {
            return Ok(Step::Quiet);
        };
        match run::check_seal(&seal, slot.end()) {
            Ok(None) => Ok(Step::Quiet),
            Ok(Some(end)) => {
                slot.sealed(end);
                Ok(Step::Event(FollowerEvent::Seal { namespace, seal }))
            }
            Err(fault) => Ok(self.refuse(namespace, fault)),
        }
    }

    fn run(&mut self, bytes: usize) -> Result<Step, WireError> {
        let message = self.whole(bytes);
        let (run, frames_at) = Run::open(message)?;
        let frames = message.get(frames_at..).unwrap_or_default();
        let Some(slot) = self.slot(run.namespace).filter(|slot| slot.is_following()) else {
            self.counters.stale_runs += 1;
            self.inbox.consume(bytes);
            return Ok(Step::Quiet);
        };
        let end = slot.end();
        let checked = run::check(&run, frames, end, end.cursor.log);
        let frames_bytes = frames.len();
        self.inbox.consume(bytes);
        match checked {
            Ok(checked) => Ok(self.take_run(&run, frames_bytes, &checked)),
            Err(fault) => Ok(self.refuse(run.namespace, fault)),
        }
    }

    fn refuse(&mut self, namespace: u32, fault: RunFault) -> Step {
        self.bad_run(namespace);
        Step::Event(FollowerEvent::BadRun { namespace, fault })
    }

    pub(super) fn take_run(&mut self, run: &Run, bytes: usize, checked: &run::Checked) -> Step {
        let (namespace, word_ms) = (run.namespace, self.pulse.word_ms());
        self.counters.duplicate_records += u64::from(checked.skipped);
        let Some(slot) = self.slot_mut(namespace) else { return Step::Quiet };
        slot.leader_durable_is(run.durable, word_ms);
        let Some((range, end)) = checked.fresh else {
            slot.repeated(bytes as u64);
            self.good_run(namespace);
            self.say(namespace);
            return Step::Quiet;
        };
        slot.handed_out(end, bytes as u64);
        self.counters.runs += 1;
        self.counters.run_bytes += u64::from(range.bytes);
        self.counters.records += u64::from(range.count);
        Step::Run { namespace, range }
    }
}
