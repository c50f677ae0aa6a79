//! Rounds of group commit: append, sync, publish, wake.

use super::queue::{CommitQueue, LastRound, Place, State, Waiter};
use super::seat::Seat;
use crate::store::Failure;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};
use unison_base::Lsn;
use unison_engine::{Engine, WriteError};

/// Most that a round waits for writers of the round before to come back.
const GATHER_MOST: Duration = Duration::from_micros(300);

impl CommitQueue {
    /// Waits until everything up to `lsn`, the caller's own write, is durable. A caller that finds
    /// nobody leading leads one round itself, so that a lone writer pays no hand-over; where others
    /// wait, a worker leads for as long as they come.
    pub(super) fn commit_and_wait<'a>(
        self: &'a Arc<Self>,
        mut state: MutexGuard<'a, State>,
        lsn: Lsn,
    ) -> Result<(), WriteError> {
        if !state.leading {
            state.leading = true;
            let (mut state, result) = self.round(state, lsn)?;
            self.pass_the_lead(&mut state);
            return result;
        }
        let seat = Seat::take();
        let place = Place::Seat(Arc::clone(&seat));
        state.waiters.push_back(Waiter { from: lsn, up_to: lsn, lost: None, place });
        drop(state);
        seat.wait()
    }

    /// One round: append what is staged, sync, publish, wake those it covers. Returns what became of
    /// `own`, the leader's own write.
    ///
    /// A failed append takes away what was staged and nothing else: records that an earlier append
    /// wrote are synced all the same.
    fn round<'a>(
        self: &'a Arc<Self>,
        mut state: MutexGuard<'a, State>,
        own: Lsn,
    ) -> Result<(MutexGuard<'a, State>, Result<(), WriteError>), WriteError> {
        let appended = self.append_for_round(&mut state)?;
        if let Err(error) = appended {
            self.fail_unappended(&mut state, error);
        }
        let engine = state.engine()?;
        let own_is_lost = appended.is_err() && own > engine.appended();
        let ticket = engine.sync_ticket();
        drop(state);
        let begun = Instant::now();
        let outcome = ticket.run();
        let took = begun.elapsed();
        let mut state = self.lock();
        let engine = state.engine()?;
        let synced = engine.synced(outcome).map_err(WriteError::from);
        match synced {
            Ok(durable) => engine.publish(durable),
            Err(error) => {
                state.sync_failed = true;
                self.shared.failures.each(|told| told(Failure::Sync(error)));
            }
        }
        let told = match synced {
            Ok(durable) => state.take_waiters(|up_to| up_to <= durable),
            Err(_) => state.take_waiters(|_| true),
        };
        state.last_round = LastRound { writers: told.len() + state.waiters.len(), took };
        self.housekeep(&mut state);
        drop(state);
        if let Ok(durable) = synced {
            self.shared.durable.each(|told| told(durable));
            self.tell_applied();
        }
        for waiter in told {
            waiter.tell(synced);
        }
        let result = if own_is_lost { appended } else { synced.map(drop) };
        Ok((self.lock(), result))
    }

    /// Appends what is staged. While the writer is held that is for its holder to do, who has to hear if it
    /// fails.
    fn append_for_round(&self, state: &mut State) -> Result<Result<(), WriteError>, WriteError> {
        state.owes_a_round = state.turns.is_held();
        if state.owes_a_round {
            return Ok(Ok(()));
        }
        let now_ms = self.now_ms();
        let appended = state.engine()?.append(now_ms);
        Ok(appended.map(drop).map_err(|error| self.named(error)))
    }

    /// Ends the lead, or gives it to a worker where others wait. Where a round would do nothing for them,
    /// the next one begins when the writer is let go.
    fn pass_the_lead(self: &Arc<Self>, state: &mut State) {
        state.leading = false;
        self.lead_if_wanted(state);
        if !state.leading {
            self.relieved.notify_all();
        }
    }

    /// Has a worker lead, unless somebody does already.
    pub(super) fn lead_elsewhere(self: &Arc<Self>, state: &mut State) {
        if state.leading {
            return;
        }
        state.leading = true;
        let queue = Arc::clone(self);
        self.shared.syncers.run(move || {
            // Waiters have been told of a failure; nobody else is to hear of it here.
            let _ = queue.lead_while_wanted();
        });
    }

    fn lead_while_wanted(self: &Arc<Self>) -> Result<(), WriteError> {
        let mut state = self.lock();
        loop {
            state = self.gather(state);
            if state.has_work_for_a_round() {
                state = self.round(state, Lsn::ZERO)?.0;
            } else {
                state.owes_a_round = true;
            }
            // Other namespaces get their turn between two rounds of a busy one.
            if !state.wants_a_round() || self.shared.syncers.is_wanted() {
                self.pass_the_lead(&mut state);
                return Ok(());
            }
        }
    }

    /// The writers of the round before come back about together, so a round that began with the
    /// first of them would leave the others waiting for a second one. Waits until as many are there
    /// as wrote meanwhile, at most as long as a sync takes. It yields instead of sleeping: waking up from a
    /// sleep takes a good part of a sync (measured: a fifth fewer commits).
    fn gather<'a>(self: &'a Arc<Self>, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let LastRound { writers, took } = state.last_round;
        let patience = took.min(GATHER_MOST);
        let begun = Instant::now();
        while state.waiters.len() < writers && begun.elapsed() < patience {
            drop(state);
            std::thread::yield_now();
            state = self.lock();
        }
        state
    }

    /// Has everything appended so far synced in the background, when anything is unsynced.
    pub(crate) fn sync_soon(self: &Arc<Self>) {
        let mut state = self.lock();
        let Ok(engine) = state.engine() else { return };
        let dirty = engine.durable() < engine.appended();
        if dirty && !state.sync_failed {
            self.lead_elsewhere(&mut state);
        }
    }

    /// What was staged has left the engine again after a failed append: its writers are told. Those
    /// with earlier records in the log wait on for these.
    pub(super) fn fail_unappended(&self, state: &mut State, error: WriteError) {
        let appended = state.engine.as_ref().map_or(Lsn::ZERO, Engine::appended);
        for mut waiter in state.take_waiters(|up_to| up_to > appended) {
            if waiter.from <= appended {
                waiter.up_to = appended;
                waiter.lost = Some(error);
                state.waiters.push_back(waiter);
            } else {
                waiter.tell(Err(error));
            }
        }
    }
}
