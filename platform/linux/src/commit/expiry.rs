//! The watermark of expiry, raised by a leader now and then.

use super::queue::{CommitQueue, Place, State, Waiter};
use crate::store::Durability;
use std::sync::{Arc, MutexGuard};
use unison_base::Lsn;
use unison_walfs::LogRole;

impl CommitQueue {
    /// Raises the watermark to the wall clock when something has expired since, by a record that
    /// nobody waits for. A namespace that follows leaves that to its leader. Has what expired long ago
    /// removed.
    pub(crate) fn expire(self: &Arc<Self>) {
        let mut state = self.lock_in_turn();
        let now_ms = self.now_ms();
        if state.closing || state.sync_failed {
            return;
        }
        let Ok(engine) = state.engine() else { return };
        if engine.free_expired(now_ms) {
            self.housekeep(&mut state);
        }
        let Ok(engine) = state.engine() else { return };
        if engine.options().role == LogRole::Follower {
            return;
        }
        match engine.expire(now_ms) {
            Ok(Some(lsn)) => self.commit_alone(state, lsn),
            Ok(None) => {}
            // The next tick tries again.
            Err(error) => {
                let error = self.named(error);
                self.refused(&mut state, error);
            }
        }
    }

    fn commit_alone(self: &Arc<Self>, mut state: MutexGuard<'_, State>, lsn: Lsn) {
        match self.durability() {
            Durability::Always => {
                let place = Place::Callback(Box::new(|_| {}));
                state.waiters.push_back(Waiter { from: lsn, up_to: lsn, lost: None, place });
                self.lead_elsewhere(&mut state);
            }
            // Who is concerned by a failure has been told.
            Durability::Interval { .. } | Durability::Never => drop(self.append_now(state)),
        }
    }
}
