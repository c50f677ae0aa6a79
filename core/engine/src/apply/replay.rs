//! A restart: the records above the tree's checkpoint, from our own log.

use super::Room;
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
    /// Replays everything above the checkpoint, and what transactions open at it had written before,
    /// going on behind what damage took.
    pub(crate) fn replay(
        &mut self,
        from: Lsn,
        report: &mut OpenReport,
    ) -> Result<(), EngineOpenError> {
        let mut next = from;
        while next <= self.log.appended() {
            match self.replay_from(&mut next, report) {
                Ok(()) => break,
                Err(Stop::Missing { to }) => {
                    let behind = to.max(next).next();
                    // Below the checkpoint too: what open transactions had written there may be
                    // committed above it, and is in no tree.
                    report.gaps += 1;
                    report.missing += behind.since(next);
                    self.transactions.break_all();
                    next = behind;
                }
                Err(Stop::Failed(error)) => return Err(error),
            }
        }
        Ok(())
    }

    /// Replays from `next` on, which goes with it.
    fn replay_from(&mut self, next: &mut Lsn, report: &mut OpenReport) -> Result<(), Stop> {
        let mut cursor = self.log.reader().cursor(*next, Bound::Appended).map_err(Stop::from)?;
        while let Some(record) = cursor.next().map_err(Stop::from)? {
            *next = record.lsn.next();
            let is_new = record.lsn > report.checkpoint;
            report.replayed += u64::from(is_new);
            let (payload, place) = (&record.payload, record.position);
            let taken = self.incoming.take(payload, place, report.checkpoint, Room::UNBOUNDED);
            report.invalid += u64::from(is_new && taken.is_err());
            self.apply_incoming();
            // Which there are is looked up once, at the end.
            self.incoming.forget_defined();
            if is_new {
                self.flush_while_full(record.lsn).map_err(Stop::Failed)?;
            }
        }
        Ok(())
    }

    /// Puts what was taken from records that are in the log into memtable and transactions.
    pub(crate) fn apply_incoming(&mut self) {
        let (memtable, due) = (&self.active, &mut self.due);
        self.incoming.apply(memtable, &mut self.transactions, &mut self.clock, due);
        self.transactions.appended();
        self.due.pass(self.active.watermark());
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
