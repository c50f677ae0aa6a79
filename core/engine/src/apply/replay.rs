//! A restart: the records above the tree's checkpoint, from our own log.

use crate::engine::{Engine, OpenReport};
use crate::errors::EngineOpenError;
use crate::stats::Pressure;
use unison_base::Lsn;
use unison_ports::SegmentStore;
use unison_walfs::{Bound, ReadError};

/// Why a stretch of replay ended early.
enum Stop {
    /// Records up to this one cannot be proved.
    Missing {
        to: Lsn,
    },
    Failed(EngineOpenError),
}

impl<S: SegmentStore> Engine<S> {
    /// Replays everything above the checkpoint, going on behind what damage took.
    pub(crate) fn replay(&mut self, report: &mut OpenReport) -> Result<(), EngineOpenError> {
        let mut from = report.checkpoint.next();
        while from <= self.log.appended() {
            match self.replay_from(from, report) {
                Ok(()) => break,
                Err(Stop::Missing { to }) => {
                    let to = to.max(from);
                    report.gaps += 1;
                    let next = report.checkpoint.next().plus(report.replayed + report.missing);
                    report.missing += to.next().since(next);
                    from = to.next();
                }
                Err(Stop::Failed(error)) => return Err(error),
            }
        }
        Ok(())
    }

    fn replay_from(&mut self, from: Lsn, report: &mut OpenReport) -> Result<(), Stop> {
        let mut cursor = self.log.reader().cursor(from, Bound::Appended).map_err(Stop::from)?;
        while let Some(record) = cursor.next().map_err(Stop::from)? {
            report.replayed += 1;
            let (payload, place) = (&record.payload, record.position);
            let taken = self.incoming.take(payload, place, report.checkpoint, usize::MAX);
            report.invalid += u64::from(taken.is_err());
            self.incoming.apply(&self.active, &mut self.clock, &mut self.due);
            self.learn_patterns();
            self.flush_while_full(record.lsn).map_err(Stop::Failed)?;
        }
        Ok(())
    }

    /// Memory stays bounded in replay too.
    fn flush_while_full(&mut self, replayed: Lsn) -> Result<(), EngineOpenError> {
        if self.pressure() == Pressure::None {
            return Ok(());
        }
        self.freeze_at(replayed);
        if let Some(job) = self.flush_job() {
            self.flushed(job.run())?;
        }
        Ok(())
    }
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Gap { to, .. } => Self::Missing { to },
            ReadError::BehindRetention { first } => Self::Missing { to: first.prev() },
            other => Self::Failed(other.into()),
        }
    }
}
