//! The hub's process: group commit in the steps that the platform takes it in.

use super::Store;
use super::home::Opened;
use super::model::{Change, Column, Key, Model, Value};
use std::sync::Arc;
use unison_base::{LogId, Lsn};
use unison_engine::{
    ColumnNames, ColumnValues, Engine, FlushError, FlushJob, Operation, Write, WriteError, Written,
};
use unison_walfs::SyncTicket;

/// A leader's engine and the work that is under way.
pub(super) struct Hub {
    pub(super) engine: Engine<Store>,
    pub(super) log_id: LogId,
    store: Arc<Store>,
    sync: Option<SyncTicket<Store>>,
    /// When nobody waits for a sync, one is due later.
    sync_comes: bool,
    flush: Option<FlushJob<Store>>,
    /// No sync has been taken in hand since an append failed.
    append_failed: bool,
}

/// The process cannot go on: its next start recovers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fatal;

impl Hub {
    pub(super) fn new(opened: Opened) -> Self {
        let Opened { store, engine, log_id, .. } = opened;
        Self {
            engine,
            log_id,
            store,
            sync: None,
            sync_comes: false,
            flush: None,
            append_failed: false,
        }
    }

    /// Stages a record and tells the model of it, unless it was refused.
    pub(super) fn stage(
        &mut self,
        change: &Change,
        model: &mut Model,
        wall_ms: u64,
    ) -> Result<(), WriteError> {
        let before = self.engine.appended();
        let staged = match change {
            Change::Put(entries) => {
                let entries: Vec<_> =
                    entries.iter().map(|(key, value)| (key.as_slice(), &**value)).collect();
                match entries[..] {
                    [(key, value)] => self.engine.stage(&Write::put(key, value), wall_ms),
                    _ => self.engine.stage(&Write::new(Operation::PutBatch(&entries)), wall_ms),
                }
            }
            Change::Delete(keys) => {
                let keys: Vec<_> = keys.iter().map(Vec::as_slice).collect();
                match keys[..] {
                    [key] => self.engine.stage(&Write::delete(key), wall_ms),
                    _ => self.engine.stage(&Write::new(Operation::DeleteBatch(&keys)), wall_ms),
                }
            }
            Change::PutColumns(rows) => self.put_columns(rows, wall_ms),
            Change::DeleteColumns(rows) => self.delete_columns(rows, wall_ms),
            Change::DeleteRows(rows) => {
                let rows: Vec<_> = rows.iter().map(Vec::as_slice).collect();
                self.engine.stage(&Write::new(Operation::DeleteRows(&rows)), wall_ms)
            }
        };
        // Where a segment is full, staging appends.
        self.note_append(before, staged.is_err(), model);
        model.written(staged?.lsn, change.clone());
        Ok(())
    }

    fn put_columns(
        &mut self,
        rows: &[(Key, Vec<(Column, Value)>)],
        wall_ms: u64,
    ) -> Result<Written<Store>, WriteError> {
        let columns: Vec<Vec<(&str, &[u8])>> = rows
            .iter()
            .map(|(_, columns)| columns.iter().map(|(name, value)| (&**name, &**value)).collect())
            .collect();
        let rows = rows.iter().zip(&columns);
        let rows: Vec<_> = rows.map(|((row, _), columns)| ColumnValues { row, columns }).collect();
        self.engine.stage(&Write::new(Operation::PutColumns(&rows)), wall_ms)
    }

    fn delete_columns(
        &mut self,
        rows: &[(Key, Vec<Column>)],
        wall_ms: u64,
    ) -> Result<Written<Store>, WriteError> {
        let columns: Vec<Vec<&str>> =
            rows.iter().map(|(_, columns)| columns.iter().map(|name| &**name).collect()).collect();
        let rows = rows.iter().zip(&columns);
        let rows: Vec<_> = rows.map(|((row, _), columns)| ColumnNames { row, columns }).collect();
        self.engine.stage(&Write::new(Operation::DeleteColumns(&rows)), wall_ms)
    }

    fn note_append(&self, before: Lsn, failed: bool, model: &mut Model) {
        let appended = self.engine.appended();
        if appended > before {
            model.settle();
        }
        if failed && model.last() > appended && self.engine.next_lsn() == appended.next() {
            model.fail_above(appended);
        }
    }

    /// Stages a record that nobody wrote: what a client's write that is applied twice does.
    pub(super) fn stage_again(&mut self, change: &Change, wall_ms: u64) {
        if let Change::Put(entries) = change
            && let Some((key, value)) = entries.first()
        {
            // A refusal leaves nothing behind.
            let _ = self.engine.stage(&Write::put(key, value), wall_ms);
        }
    }

    /// Appends what is staged.
    pub(super) fn append(&mut self, model: &mut Model, wall_ms: u64) -> Result<Lsn, WriteError> {
        let before = self.engine.appended();
        let appended = self.engine.append(wall_ms);
        self.append_failed |= appended.is_err();
        self.note_append(before, appended.is_err(), model);
        self.prepare();
        appended
    }

    fn prepare(&mut self) {
        if let Some(preparation) = self.engine.preparation() {
            self.engine.install(preparation.run());
        }
    }

    /// Shows what is appended to readers, which no sync has to come before. Returns what that is.
    pub(super) fn publish(&mut self) -> Lsn {
        let appended = self.engine.appended();
        self.engine.publish(appended);
        appended
    }

    /// True when a sync has to be called for that nobody waits for.
    pub(super) fn calls_for_sync(&mut self) -> bool {
        let dirty = self.engine.durable() < self.engine.appended();
        dirty && self.sync.is_none() && !std::mem::replace(&mut self.sync_comes, true)
    }

    /// Takes the sync in hand that was called for, unless a flush has made it needless.
    pub(super) fn begin_called_sync(&mut self) -> bool {
        self.sync_comes = false;
        self.append_failed = false;
        self.begin_sync()
    }

    /// Takes a sync in hand, when one is due and none is under way. Behind an append that failed one
    /// is due too, as in every round of the platform's: it says whether the log takes writes at all.
    pub(super) fn begin_sync(&mut self) -> bool {
        let dirty = self.engine.durable() < self.engine.appended();
        let due = self.sync.is_none() && (dirty || std::mem::take(&mut self.append_failed));
        if due {
            self.sync = Some(self.engine.sync_ticket());
        }
        due
    }

    /// Ends the sync in hand. What it covers may be acknowledged.
    pub(super) fn finish_sync(&mut self) -> Result<(), Fatal> {
        let Some(ticket) = self.sync.take() else { return Ok(()) };
        let durable = self.engine.synced(ticket.run()).map_err(|_| Fatal)?;
        self.engine.publish(durable);
        Ok(())
    }

    /// Takes a due flush in hand; true when one is to be finished.
    pub(super) fn begin_flush(&mut self, has_room: bool) -> bool {
        if self.flush.is_none() && has_room {
            self.flush = self.engine.flush_job();
        }
        self.flush.is_some()
    }

    /// Runs the flush in hand.
    pub(super) fn finish_flush(&mut self) -> Result<(), Fatal> {
        let Some(job) = self.flush.take() else { return Ok(()) };
        self.store.set_flushing(true);
        let result = job.run();
        self.store.set_flushing(false);
        match self.engine.flushed(result) {
            Err(FlushError::Tree(_) | FlushError::Sync(_)) => Err(Fatal),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}
