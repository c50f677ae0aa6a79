//! The hub's process: group commit in the steps that the platform takes it in.

use super::Store;
use super::home::Opened;
use super::model::Model;
use std::sync::Arc;
use unison_base::{LogId, Lsn};
use unison_engine::{Engine, FlushError, FlushJob, WriteError};
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

    fn note_append(&self, before: Lsn, failed: bool, model: &mut Model) {
        let appended = self.engine.appended();
        if appended > before {
            model.settle();
        }
        if failed && model.last() > appended && self.engine.next_lsn() == appended.next() {
            model.fail_above(appended, Vec::new());
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
