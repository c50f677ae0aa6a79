//! What opening found and did.

use crate::recovery::{RecoveryEvent, Rung, RungCounts};
use unison_base::{Lsn, Position};

/// Events kept in a report; the counts go on.
const EVENTS_MAX: usize = 8;

/// What opening a log on the caller's buffers found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SmallReport {
    /// Every finding, counted.
    pub rungs: RungCounts,
    /// The first 8 of them.
    pub events: heapless::Vec<RecoveryEvent, EVENTS_MAX>,
    /// The oldest record; the next one's LSN while there is none.
    pub first: Lsn,
    /// The newest LSN in use.
    pub last: Lsn,
}

impl SmallReport {
    pub(super) fn note(&mut self, rung: Rung, at: Position) {
        if self.rungs.note(rung) {
            // A full list keeps what it has.
            let _ = self.events.push(RecoveryEvent { rung, at });
        }
    }
}
