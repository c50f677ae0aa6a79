//! Runs that cannot be used: counted, asked for again, and in the end on another connection.

use super::slot::Table;
use super::{Follower, Phase};
use crate::close::CloseReason;
use crate::inbox::Memory;

/// Refused runs in a row at one place after which the connection is given up.
const BAD_RUNS_MAX: u32 = 3;

impl<M: Memory, T: Table> Follower<M, T> {
    /// Counts a refused run and asks again from where the log ends. Which check failed decides
    /// nothing: a leader whose bytes are bad once may be good the next time.
    pub(super) fn bad_run(&mut self, number: u32) {
        self.counters.refused_runs += 1;
        let Some(slot) = self.slot_mut(number) else { return };
        slot.bad_in_row += 1;
        let in_row = slot.bad_in_row;
        if in_row == 1 {
            self.bad_slots += 1;
        }
        if in_row.is_multiple_of(BAD_RUNS_MAX) && self.phase == Phase::Live {
            self.close(CloseReason::BadRuns);
        } else {
            self.ask(number);
        }
    }

    /// A run is in the log: the next trouble starts counting anew.
    pub(super) fn good_run(&mut self, number: u32) {
        let Some(slot) = self.slot_mut(number) else { return };
        if slot.bad_in_row > 0 {
            slot.bad_in_row = 0;
            self.bad_slots = self.bad_slots.saturating_sub(1);
        }
        self.went_well();
    }

    /// The connection is of use, so the next one may be tried soon after it ends.
    pub(super) fn went_well(&mut self) {
        if self.bad_slots == 0 {
            self.reconnect.reset();
        }
    }
}
