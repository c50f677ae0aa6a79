//! One round of group commit: append, sync, publish, wake, pass the lead on.

use super::queue::{CommitQueue, Place, State, Waiter};
use super::seat::{Seat, Word};
use std::sync::{Arc, MutexGuard};
use unison_base::Lsn;
use unison_engine::{Engine, WriteError};

impl CommitQueue {
    pub(super) fn commit_and_wait<'a>(
        self: &'a Arc<Self>,
        mut state: MutexGuard<'a, State>,
        lsn: Lsn,
    ) -> Result<(), WriteError> {
        if state.leading {
            let seat = Seat::take();
            let place = Place::Seat(Arc::clone(&seat));
            state.waiters.push_back(Waiter { up_to: lsn, place });
            drop(state);
            match seat.wait(|| self.state.is_poisoned()) {
                Word::Done(result) => return result,
                Word::Lead => state = self.lock()?,
            }
        }
        state.leading = true;
        self.lead(state, lsn)
    }

    /// One round: append what is staged, sync, publish, wake those it covers, pass the lead on.
    /// Returns what became of `own`, the leader's own write.
    ///
    /// A failed append takes away what was staged and nothing else: records that an earlier append
    /// wrote are synced all the same.
    fn lead<'a>(
        self: &'a Arc<Self>,
        mut state: MutexGuard<'a, State>,
        own: Lsn,
    ) -> Result<(), WriteError> {
        let now_ms = self.now_ms();
        let appended = state.engine()?.append(now_ms);
        if let Err(error) = appended {
            self.fail_unappended(&mut state, error);
        }
        let engine = state.engine()?;
        let own_is_lost = appended.is_err() && own > engine.appended();
        let ticket = engine.sync_ticket();
        drop(state);
        let outcome = ticket.run();
        let mut state = self.lock()?;
        let engine = state.engine()?;
        let synced = engine.synced(outcome).map_err(WriteError::from);
        match synced {
            Ok(durable) => engine.publish(durable),
            Err(_) => state.sync_failed = true,
        }
        let told = match synced {
            Ok(durable) => state.take_waiters(|up_to| up_to <= durable),
            Err(_) => state.take_waiters(|_| true),
        };
        self.pass_the_lead(&mut state);
        self.housekeep(&mut state);
        drop(state);
        if let Ok(durable) = synced {
            self.shared.observers.tell(durable);
        }
        for waiter in told {
            waiter.place.tell(synced.map(|_| ()), waiter.up_to);
        }
        if own_is_lost { appended.and(Ok(())) } else { synced.map(|_| ()) }
    }

    /// Gives the lead to the longest waiting thread, or to a worker when only callbacks wait.
    fn pass_the_lead(self: &Arc<Self>, state: &mut State) {
        state.leading = false;
        let seated = state.waiters.iter().position(|w| matches!(w.place, Place::Seat(_)));
        if let Some(waiter) = seated.and_then(|index| state.waiters.remove(index)) {
            state.leading = true;
            if let Place::Seat(seat) = waiter.place {
                seat.tell(Word::Lead);
            }
        } else if !state.waiters.is_empty() {
            self.lead_elsewhere(state);
        } else {
            self.relieved.notify_all();
        }
    }

    pub(super) fn lead_elsewhere(self: &Arc<Self>, state: &mut State) {
        if state.leading {
            return;
        }
        state.leading = true;
        let queue = Arc::clone(self);
        self.shared.syncers.run(move || {
            if let Ok(state) = queue.lock() {
                // Its waiters have been told of a failure; nobody else is to hear of it here.
                let _ = queue.lead(state, Lsn::ZERO);
            }
        });
    }

    /// Has everything appended so far synced in the background, when anything is unsynced.
    pub(crate) fn sync_soon(self: &Arc<Self>) {
        let Ok(mut state) = self.lock() else { return };
        let Ok(engine) = state.engine() else { return };
        let dirty = engine.durable() < engine.appended();
        if dirty && !state.sync_failed {
            self.lead_elsewhere(&mut state);
        }
    }

    /// What was staged has left the engine again after a failed append: its writers are told.
    pub(super) fn fail_unappended(&self, state: &mut State, error: WriteError) {
        let appended = state.engine.as_ref().map_or(Lsn::ZERO, Engine::appended);
        for waiter in state.take_waiters(|up_to| up_to > appended) {
            waiter.place.tell(Err(error), waiter.up_to);
        }
    }
}
