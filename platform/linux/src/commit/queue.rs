//! The commit queue of one namespace.

use super::Workers;
use super::budget::{Budget, Share};
use super::seat::Seat;
use super::turn::Turns;
use crate::FileStore;
use crate::store::{Acknowledged, Durability, Failure, Room, Unacknowledged, Written};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use unison_base::Lsn;
use unison_engine::{Engine, Write, WriteError};
use unison_ports::Clock;

/// Whoever wants to know; shared by all namespaces of a store.
pub(crate) struct Observers<T: ?Sized>(Mutex<Vec<Arc<T>>>);

impl<T: ?Sized> Default for Observers<T> {
    fn default() -> Self {
        Self(Mutex::new(Vec::new()))
    }
}

impl<T: ?Sized> Observers<T> {
    pub(crate) fn add(&self, observer: Arc<T>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(observer);
    }

    pub(crate) fn each(&self, tell: impl Fn(&T)) {
        let observers = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        observers.iter().for_each(|observer| tell(observer));
    }
}

/// How long a blocking writer waits for memory before it is told that there is none.
const PRESSURE_PATIENCE: Duration = Duration::from_secs(10);

/// One engine behind one lock, with those who wait for its next sync.
pub(crate) struct CommitQueue {
    pub(super) state: Mutex<State>,
    /// Told when work in the background has ended: a flush has made room.
    pub(super) relieved: Condvar,
    /// Told when the writer is let go, where anybody waits for that.
    pub(super) let_go: Condvar,
    durability: Durability,
    pub(super) room: Room,
    /// Of a new segment.
    segment_bytes: u64,
    pub(super) shared: Shared,
    /// Told when more, or less, is visible here.
    applied: Observers<dyn Fn() + Send + Sync>,
}

/// What all namespaces of a store share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) clock: Arc<dyn Clock>,
    /// Sync for callers that do not wait.
    pub(crate) syncers: Arc<Workers>,
    /// Flush, settle, make segments ahead.
    pub(crate) background: Arc<Workers>,
    pub(crate) durable: Arc<Observers<dyn Fn(Lsn) + Send + Sync>>,
    pub(crate) failures: Arc<Observers<dyn Fn(Failure) + Send + Sync>>,
    /// Memory of open transactions.
    pub(crate) transactions: Arc<Budget>,
}

pub(super) struct State {
    /// `None` once closed.
    pub(super) engine: Option<Engine<FileStore>>,
    pub(super) waiters: VecDeque<Waiter>,
    /// No more work is taken on.
    pub(super) closing: bool,
    pub(super) turns: Turns,
    /// What the open transactions here take.
    pub(super) transactions: Share,
    pub(super) leading: bool,
    /// A round found the writer held and appended nothing: one is due when it is let go.
    pub(super) owes_a_round: bool,
    pub(super) last_round: LastRound,
    /// Nothing is acknowledged any more.
    pub(super) sync_failed: bool,
    pub(super) preparing: bool,
    pub(super) flushing: bool,
    /// Not before this a flush begins that only removes what is gone.
    pub(super) removes_from: Instant,
    /// A flush is due and the file system has no room for it; said once.
    pub(super) short_of_room: bool,
    pub(super) settling: bool,
}

/// What the newest round was like: the next one is likely to be like it.
#[derive(Clone, Copy, Default)]
pub(super) struct LastRound {
    /// Writers that it woke and writers that came meanwhile; its leader aside.
    pub(super) writers: usize,
    /// How long its sync took.
    pub(super) took: Duration,
}

/// A writer whose write is staged and not acknowledged.
pub(super) struct Waiter {
    /// Its first and its last record that are staged or appended.
    pub(super) from: Lsn,
    pub(super) up_to: Lsn,
    /// Records behind `up_to` were its too, and are lost for this reason.
    pub(super) lost: Option<WriteError>,
    pub(super) place: Place,
}

impl Waiter {
    /// Tells it how the sync of its records went.
    pub(super) fn tell(self, synced: Result<Lsn, WriteError>) {
        let result = match (synced, self.lost) {
            (Ok(_), None) => Ok(self.up_to),
            (Ok(_), Some(error)) => Err(Unacknowledged { error, kept: self.up_to }),
            (Err(error), _) => Err(Unacknowledged { error, kept: Lsn::ZERO }),
        };
        match self.place {
            Place::Seat(seat) => seat.tell(result.map(|_| ()).map_err(|lost| lost.error)),
            Place::Callback(done) => done(result),
        }
    }
}

/// How a waiting writer hears.
pub(super) enum Place {
    Seat(Arc<Seat>),
    Callback(Box<dyn FnOnce(Acknowledged) + Send>),
}

impl State {
    /// The engine, unless the namespace is closed.
    pub(super) fn engine(&mut self) -> Result<&mut Engine<FileStore>, WriteError> {
        self.engine.as_mut().ok_or(WriteError::Closed)
    }

    /// Whether a job is out that holds on to the log or the tree.
    fn is_at_work(&self) -> bool {
        self.turns.is_held() || self.leading || self.preparing || self.flushing || self.settling
    }

    pub(super) fn take_waiters(&mut self, concerns: impl Fn(Lsn) -> bool) -> Vec<Waiter> {
        let (told, kept) =
            std::mem::take(&mut self.waiters).into_iter().partition(|w| concerns(w.up_to));
        self.waiters = kept;
        Vec::from(told)
    }
}

/// For states that only a fault of this program can lead to.
pub(super) fn end_the_process<T>() -> T {
    tracing::error!(
        "a thread panicked in the middle of a write; the log has what was acknowledged"
    );
    std::process::abort()
}

/// True for errors after which everything staged above the last appended record is gone.
fn undoes_staged(error: &WriteError) -> bool {
    matches!(
        error,
        WriteError::Append(_)
            | WriteError::NoSpace
            | WriteError::Quota { .. }
            | WriteError::Poisoned
    )
}

impl CommitQueue {
    pub(crate) fn new(
        engine: Engine<FileStore>,
        durability: Durability,
        room: Room,
        shared: Shared,
    ) -> Arc<Self> {
        let segment_bytes = engine.options().segment_bytes;
        let state = State {
            engine: Some(engine),
            waiters: VecDeque::new(),
            closing: false,
            turns: Turns::default(),
            transactions: Share::of(&shared.transactions),
            leading: false,
            owes_a_round: false,
            last_round: LastRound::default(),
            sync_failed: false,
            preparing: false,
            flushing: false,
            removes_from: Instant::now(),
            short_of_room: false,
            settling: false,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            relieved: Condvar::new(),
            let_go: Condvar::new(),
            durability,
            room,
            segment_bytes,
            shared,
            applied: Observers::default(),
        })
    }

    /// Has `observer` called whenever what is visible has changed, and when the namespace is closed.
    pub(crate) fn on_applied(&self, observer: Arc<dyn Fn() + Send + Sync>) {
        self.applied.add(observer);
    }

    pub(super) fn tell_applied(&self) {
        self.applied.each(|told| told());
    }

    pub(crate) fn durability(&self) -> Durability {
        self.durability
    }

    /// The state, also while somebody holds the writer. After a panic under the lock the engine may be half-way: the process ends, and the
    /// next one recovers from the log.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|_| end_the_process())
    }

    /// Milliseconds since 1970 by the wall clock.
    pub(crate) fn now_ms(&self) -> u64 {
        self.shared.clock.wall_ms()
    }

    /// Writes and returns when the write is acknowledged at the namespace's durability.
    pub(crate) fn write(self: &Arc<Self>, write: &Write<'_>) -> Result<Written, WriteError> {
        let mut state = self.lock_in_turn();
        let written = loop {
            match self.stage(&mut state, write) {
                Err(WriteError::Busy(_)) => state = self.in_turn(self.wait_for_relief(state)?),
                result => break result?,
            }
        };
        match self.durability {
            Durability::Always if write.is_tentative() => match self.append_for_later(state) {
                Err(lost) if lost.kept < written.lsn => return Err(lost.error),
                _ => {}
            },
            Durability::Always => self.commit_and_wait(state, written.lsn)?,
            Durability::Interval { .. } | Durability::Never => match self.append_now(state) {
                Err(lost) if lost.kept < written.lsn => return Err(lost.error),
                _ => {}
            },
        }
        Ok(written)
    }

    fn wait_for_relief<'a>(
        self: &'a Arc<Self>,
        mut state: MutexGuard<'a, State>,
    ) -> Result<MutexGuard<'a, State>, WriteError> {
        self.housekeep(&mut state);
        let deadline = Instant::now() + PRESSURE_PATIENCE;
        loop {
            let pressure = state.engine()?.pressure();
            if !pressure.refuses_writes() && !state.preparing {
                return Ok(state);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(WriteError::Busy(pressure));
            }
            let waited = self.relieved.wait_timeout(state, left);
            state = waited.unwrap_or_else(|_| end_the_process()).0;
        }
    }

    /// Stages writes for a caller that does not wait: `done` is called once, when every staged one
    /// is acknowledged, or not at all when none was staged.
    pub(crate) fn submit(
        self: &Arc<Self>,
        writes: &[Write<'_>],
        done: Box<dyn FnOnce(Acknowledged) + Send>,
    ) -> Vec<Result<Written, WriteError>> {
        let mut state = self.lock_in_turn();
        let results = self.stage_all(&mut state, writes);
        let Some(from) = results.iter().find_map(|r| r.as_ref().ok().map(|w| w.lsn)) else {
            return results;
        };
        let Some(last) = results.iter().rev().find_map(|r| r.as_ref().ok().map(|w| w.lsn)) else {
            return results;
        };
        match self.durability {
            Durability::Always if writes.iter().all(Write::is_tentative) => {
                done(self.append_for_later(state).map(|()| last));
            }
            Durability::Always => {
                let place = Place::Callback(done);
                state.waiters.push_back(Waiter { from, up_to: last, lost: None, place });
                self.lead_elsewhere(&mut state);
            }
            Durability::Interval { .. } | Durability::Never => {
                done(self.append_now(state).map(|()| last));
            }
        }
        results
    }

    fn stage_all(
        self: &Arc<Self>,
        state: &mut State,
        writes: &[Write<'_>],
    ) -> Vec<Result<Written, WriteError>> {
        let mut results: Vec<Result<Written, WriteError>> = Vec::with_capacity(writes.len());
        for write in writes {
            let result = self.stage(state, write);
            if let Err(error) = &result
                && undoes_staged(error)
            {
                let appended = state.engine.as_ref().map_or(Lsn::ZERO, Engine::appended);
                for earlier in &mut results {
                    if matches!(earlier, Ok(written) if written.lsn > appended) {
                        *earlier = Err(*error);
                    }
                }
            }
            results.push(result);
        }
        results
    }

    fn stage(
        self: &Arc<Self>,
        state: &mut State,
        write: &Write<'_>,
    ) -> Result<Written, WriteError> {
        if state.closing {
            return Err(WriteError::Closed);
        }
        self.admit(write)?;
        let now_ms = self.now_ms();
        let result = state.engine()?.stage(write, now_ms).map_err(|error| self.named(error));
        if write.transaction.is_some() {
            state.count_transactions();
        }
        if let Err(error) = &result {
            self.refused(state, *error);
        }
        result
    }

    /// The error, naming the quota where that is what the log has run into.
    pub(super) fn named(&self, error: WriteError) -> WriteError {
        self.room.explain(error, self.segment_bytes)
    }

    pub(crate) fn room(&self) -> &Room {
        &self.room
    }

    /// Tells those whose writes are gone with one that failed; makes room when there is none.
    pub(super) fn refused(self: &Arc<Self>, state: &mut State, error: WriteError) {
        if undoes_staged(&error) {
            self.fail_unappended(state, error);
            self.tell_if_poisoned(state, error);
        } else if matches!(error, WriteError::Busy(_)) {
            self.housekeep(state);
        }
    }

    /// Appends what is staged and publishes it: an acknowledgement that waits for no sync.
    pub(super) fn append_now(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
    ) -> Result<(), Unacknowledged> {
        let appended = self.append_staged(&mut state, Engine::publish)?;
        self.housekeep(&mut state);
        if let Err(lost) = &appended {
            self.tell_if_poisoned(&mut state, lost.error);
        }
        drop(state);
        self.tell_applied();
        appended
    }

    /// Appends what is staged; a worker syncs it while the caller goes on.
    pub(super) fn append_for_later(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
    ) -> Result<(), Unacknowledged> {
        let appended = self.append_staged(&mut state, |_, _| ())?;
        match &appended {
            Ok(()) => self.lead_elsewhere(&mut state),
            Err(lost) => self.refused(&mut state, lost.error),
        }
        appended
    }

    /// Appends what is staged, and hands the engine over with the newest record that is in the log then.
    /// What was lost is the inner error; the outer one is of a namespace that is closed.
    fn append_staged(
        &self,
        state: &mut State,
        then: impl FnOnce(&mut Engine<FileStore>, Lsn),
    ) -> Result<Result<(), Unacknowledged>, Unacknowledged> {
        let now_ms = self.now_ms();
        let closed = |error| Unacknowledged { error, kept: Lsn::ZERO };
        let engine = state.engine().map_err(closed)?;
        let appended = engine.append(now_ms);
        let kept = engine.appended();
        then(engine, kept);
        let lost = |error| Unacknowledged { error: self.named(error), kept };
        Ok(appended.map(|_| ()).map_err(lost))
    }

    /// A log that takes nothing more before it is opened again is told of, once. Where no round
    /// follows a write, nobody else would find out.
    pub(super) fn tell_if_poisoned(&self, state: &mut State, error: WriteError) {
        if error == WriteError::Poisoned && !state.sync_failed {
            state.sync_failed = true;
            self.shared.failures.each(|told| told(Failure::Sync(error)));
        }
    }

    /// Runs `act` on the engine, then whatever has become due. It may come between two steps of whoever
    /// holds the writer.
    pub(crate) fn with_engine<R>(
        self: &Arc<Self>,
        act: impl FnOnce(&mut Engine<FileStore>) -> R,
    ) -> Result<R, WriteError> {
        let mut state = self.lock();
        let result = act(state.engine()?);
        self.housekeep(&mut state);
        Ok(result)
    }

    /// Takes the engine out, for closing, once no thread works for it in the background.
    pub(crate) fn take_engine(&self) -> Option<Engine<FileStore>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.closing = true;
        while state.is_at_work() {
            state = self.relieved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        for waiter in state.take_waiters(|_| true) {
            waiter.tell(Err(WriteError::Closed));
        }
        self.tell_applied();
        let engine = state.engine.take();
        state.count_transactions();
        engine
    }

    /// Tells observers of durable progress that was made outside of a round (a follower's).
    pub(crate) fn announce(&self, durable: Lsn) {
        self.shared.durable.each(|told| told(durable));
        self.tell_applied();
    }
}
