//! What opening a log found and did.

use super::rung::{RecoveryEvent, Rung, RungCounts};
use alloc::vec::Vec;
use unison_base::{Lsn, Position};

/// Events kept in a report; the counts go on.
const EVENTS_MAX: usize = 256;

/// What opening a log found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Every finding, counted.
    pub rungs: RungCounts,
    /// The first 256 of them.
    pub events: Vec<RecoveryEvent>,
    /// The oldest record; the next one's LSN while there is none.
    pub first: Lsn,
    /// The newest LSN in use.
    pub last: Lsn,
}

impl RecoveryReport {
    pub(crate) fn note(&mut self, rung: Rung, at: Position) {
        if self.rungs.note(rung) && self.events.len() < EVENTS_MAX {
            self.events.push(RecoveryEvent { rung, at });
        }
    }
}
