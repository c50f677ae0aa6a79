//! From a write to a staged record and its versions in the memtable.

use super::{Operation, Write, Written, check::check};
use crate::apply::{Room, Taken, located};
use crate::engine::Engine;
use crate::errors::WriteError;
use crate::expiry::Expiry;
use crate::memtable::{Entry, StorageKey};
use crate::models::kv;
use crate::records::InTransaction;
use crate::stats::Pressure;
use unison_base::frame::frame_bytes;
use unison_base::{Lsn, Position};
use unison_ports::SegmentStore;
use unison_schemas::EntryType;
use unison_walfs::{LogRole, StageError};

/// A record buffer larger than this is given back after use.
const RECORD_BUFFER_BYTES: usize = 256 << 10;

impl<S: SegmentStore> Engine<S> {
    /// Stages a write as the next record: checks limits and condition, takes an LSN, and puts the
    /// versions into the memtable, where nobody sees them before [`publish`](Self::publish).
    ///
    /// Appends what is staged, and begins the next segment, when the segment at hand is full.
    ///
    /// # Errors
    /// Nothing of this write is staged then. See [`WriteError`] for what becomes of earlier ones.
    pub fn stage(&mut self, write: &Write<'_>, now_ms: u64) -> Result<Written<S>, WriteError> {
        check(write)?;
        self.make_room()?;
        // What makes room is taken even where there is none.
        let makes_room = matches!(write.operation, Operation::Abort);
        self.accepting().or_else(|error| match error {
            WriteError::Busy(_) if makes_room => Ok(()),
            error => Err(error),
        })?;
        if let Some(id) = write.transaction {
            return self.stage_in_transaction(id, write, now_ms);
        }
        if write.operation.kind().1 == EntryType::Event {
            return self.stage_topics(&write.operation, now_ms);
        }
        let before = self.look_before(write, |engine| engine.shared.view.load(), now_ms)?;
        let expiries = self.expiries(write, now_ms)?;
        let lsn = self.encode(write, &expiries, None, now_ms);
        if let Operation::DeleteObjects(_) = write.operation {
            self.stage_encoded(now_ms)?;
        } else {
            let position = self.stage_record(now_ms)?;
            self.remember(write, &expiries, lsn, position);
        }
        Ok(before.written(lsn))
    }

    /// Appends everything staged with one write. Nothing of it is durable or visible yet.
    ///
    /// # Errors
    /// What was staged is gone, from the memtable too, and its LSNs are not taken.
    pub fn append(&mut self, _now_ms: u64) -> Result<Lsn, WriteError> {
        let appended = self.append_staged()?;
        self.freeze_if_due();
        self.encoder.shrink_to(RECORD_BUFFER_BYTES);
        Ok(appended)
    }

    /// A group is staged into one memtable, but not however large it is.
    fn make_room(&mut self) -> Result<(), WriteError> {
        if self.is_active_over() && self.pressure() == Pressure::FlushDue {
            self.append_staged()?;
            self.freeze_if_due();
        }
        Ok(())
    }

    pub(super) fn accepting(&self) -> Result<(), WriteError> {
        if self.options.role == LogRole::Follower {
            return Err(WriteError::ReadOnly);
        }
        match self.pressure() {
            full @ Pressure::Full { .. } => Err(WriteError::Busy(full)),
            _ => Ok(()),
        }
    }

    /// Makes the record in the encoder's buffer.
    pub(super) fn encode(
        &mut self,
        write: &Write<'_>,
        rows: &[Expiry],
        transaction: Option<InTransaction>,
        now_ms: u64,
    ) -> Lsn {
        let operation = &write.operation;
        let lsn = self.begin_record(operation.kind(), transaction, operation.len(), now_ms);
        self.encoder.expires_at(write.expiry().0);
        operation.each(|key, value| self.encoder.entry(kv::PREFIX, key, value));
        let mut rows = rows.iter();
        operation.each_row(|row, part| {
            if let Some(expiry) = rows.next() {
                self.encoder.expires_at(expiry.0);
            }
            self.encoder.row(row, part.iter());
        });
        operation.each_object(|object, chunk| self.encoder.object(object, chunk));
        self.encoder.finish();
        lsn
    }

    /// Stages the encoded record and applies it as every replica does.
    pub(super) fn stage_encoded(&mut self, now_ms: u64) -> Result<(), WriteError> {
        let position = self.stage_record(now_ms)?;
        // It was made a moment ago, within all limits.
        let record = self.encoder.record();
        let taken = self.incoming.take(record, position, Lsn::ZERO, Room::UNBOUNDED);
        debug_assert!(matches!(taken, Ok(Taken::Whole)));
        let (memtable, due) = (&self.active, &mut self.due);
        self.incoming.apply(memtable, &mut self.transactions, &mut self.clock, due);
        self.learn_topics();
        Ok(())
    }

    pub(super) fn stage_record(&mut self, now_ms: u64) -> Result<Position, WriteError> {
        match self.log.stage(self.encoder.record()) {
            Err(StageError::SegmentFull) => {}
            staged => return self.staged(staged),
        }
        self.begin_segment(now_ms)?;
        let staged = self.log.stage(self.encoder.record());
        self.staged(staged)
    }

    /// Appends what is staged, and begins the next segment.
    pub(super) fn begin_segment(&mut self, now_ms: u64) -> Result<(), WriteError> {
        self.append_staged()?;
        Ok(self.log.rotate(now_ms.saturating_mul(1_000_000))?)
    }

    fn staged(&self, staged: Result<Position, StageError>) -> Result<Position, WriteError> {
        let bytes = self.encoder.record().len();
        staged.map_err(|error| match error {
            StageError::TooLarge { limit } => WriteError::RecordTooLarge {
                bytes,
                limit: usize::try_from(limit).unwrap_or(usize::MAX),
            },
            _ => WriteError::Poisoned,
        })
    }

    /// Puts the versions of the record just staged into the memtable.
    fn remember(&mut self, write: &Write<'_>, rows: &[Expiry], lsn: Lsn, position: Position) {
        let expiry = write.expiry();
        self.remember_rows(write, rows, lsn, position);
        let mut spans = self.encoder.spans().iter();
        write.operation.each(|key, value| {
            let span = spans.next().copied().unwrap_or_default();
            let entry = match value {
                Some(value) => located(position, span, value, expiry),
                None if write.operation.expires_only() => Entry::Expire { expiry, watermark: 0 },
                None => Entry::Tombstone,
            };
            let key = StorageKey::prefixed(kv::PREFIX, key);
            self.active.insert(key.as_bytes(), lsn, entry);
        });
        if expiry.is_set() {
            self.due.add(expiry.0);
        }
        self.count_frame();
    }

    /// Counts the frame of the record at hand among those that a restart would replay.
    pub(super) fn count_frame(&self) {
        let frame = frame_bytes(self.encoder.record().len()).unwrap_or_default();
        self.active.add_log_bytes(u64::try_from(frame).unwrap_or_default());
    }

    /// Forgets what was staged and is not in the log.
    fn take_back(&mut self) {
        self.active.remove_above(self.log.appended());
        self.transactions.undo(self.log.appended());
        self.counters.rolled_back += 1;
        self.topics.sealer = None;
        self.topics.keeping.take_back();
        if self.topics.has_staged_definitions() {
            // What cannot be read now stays: a pattern without messages, or settings
            // that are in no record.
            let _ = self.reload_topics();
        }
    }

    /// Appends what is staged; on an error its versions leave the memtable again.
    pub(crate) fn append_staged(&mut self) -> Result<Lsn, WriteError> {
        let appended = match self.log.append_staged() {
            Ok(appended) => appended,
            Err(error) => {
                self.take_back();
                return Err(error.into());
            }
        };
        self.transactions.appended();
        self.topics.appended();
        // Not before: a watermark that is taken back has removed nothing.
        self.due.pass(self.active.watermark());
        Ok(appended)
    }
}
