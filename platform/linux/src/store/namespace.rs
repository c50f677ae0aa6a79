//! One open namespace: writes through the commit queue, reads without any lock.

use super::{Acknowledged, Durability, Exclusive, Reader, StoreError, Written, quota};
use crate::FileStore;
use crate::commit::{CommitQueue, Gate, Turn, TurnAlone};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use unison_base::{LogId, Lsn, NamespaceName, TxnId};
use unison_engine::{Engine, OpenReport, Write, WriteError};
use unison_ports::{IoError, SegmentStore};
use unison_walfs::LogReader;

/// A namespace. Cheap to share; every method may be called from any thread.
pub struct Namespace {
    pub(super) name: NamespaceName,
    /// Where its files are.
    pub(super) dir: PathBuf,
    pub(super) segments: Arc<FileStore>,
    pub(super) log_id: RwLock<LogId>,
    pub(crate) queue: Arc<CommitQueue>,
    pub(super) gate: Gate,
    pub(super) reader: Reader,
    pub(super) log: LogReader<FileStore>,
    pub(super) report: OpenReport,
}

impl Namespace {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &NamespaceName {
        &self.name
    }

    /// Identity of its log.
    #[must_use]
    pub fn log_id(&self) -> LogId {
        *self.log_id.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes another identity, durably: that of the leader whose log this one begins to follow.
    ///
    /// # Errors
    /// What the medium says; the old identity holds.
    pub fn adopt(&self, log_id: LogId) -> Result<(), IoError> {
        if self.log_id() != log_id {
            self.segments.set_log_id(log_id)?;
            *self.log_id.write().unwrap_or_else(PoisonError::into_inner) = log_id;
        }
        Ok(())
    }

    /// Reads of what is visible; never waits for a writer. What has expired by the wall clock now is
    /// not visible.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.reader.at(self.queue.now_ms())
    }

    /// Reads of the log itself.
    #[must_use]
    pub fn log(&self) -> &LogReader<FileStore> {
        &self.log
    }

    /// When its writes are acknowledged.
    #[must_use]
    pub fn durability(&self) -> Durability {
        self.queue.durability()
    }

    /// What opening it found and did.
    #[must_use]
    pub fn open_report(&self) -> &OpenReport {
        &self.report
    }

    /// Writes, and returns when the write is acknowledged. Waits for memory up to ten seconds.
    ///
    /// # Errors
    /// The write took no effect, unless the error is a failed sync: then it is unknown.
    pub fn write(&self, write: &Write<'_>) -> Result<Written, WriteError> {
        self.queue.write(write)
    }

    /// Waits until nobody holds the writer, or waits to. A task asks for its turn before it
    /// [`submit`](Self::submit)s, for else its thread would wait.
    pub async fn turn(&self) -> Turn<'_> {
        self.gate.turn().await
    }

    /// Waits until nobody has a turn, behind those who came before. A task asks for it before it takes the
    /// writer [`exclusively`](Self::exclusively), and keeps it until that is over.
    pub async fn turn_alone(&self) -> TurnAlone {
        self.gate.turn_alone().await
    }

    /// Stages writes without waiting for them; while somebody holds the writer it blocks. `done` is called once when all that were staged are
    /// acknowledged (perhaps before this returns), or never when none was staged.
    pub fn submit(
        &self,
        writes: &[Write<'_>],
        done: Box<dyn FnOnce(Acknowledged) + Send>,
    ) -> Vec<Result<Written, WriteError>> {
        self.queue.submit(writes, done)
    }

    /// Runs `act` while nobody else writes here; `transaction` names what it does and was never used
    /// before. When `act` succeeds, all that it staged is committed, and `done` is called once when that,
    /// or else what it read before others see it, is acknowledged (perhaps before this returns). Returns
    /// the newest record that is waited for; `None` when there is none, and `done` is never called.
    ///
    /// Writers of this namespace wait meanwhile, and what no write makes due; reads, syncs, flushes and
    /// all else go on.
    ///
    /// # Errors
    /// What `act` says, or why it could not be committed: nothing of it happens.
    pub fn exclusively<R, E: From<WriteError>>(
        &self,
        transaction: TxnId,
        act: impl FnOnce(&mut Exclusive<'_>) -> Result<R, E>,
        done: Box<dyn FnOnce(Acknowledged) + Send>,
    ) -> Result<(R, Option<Lsn>), E> {
        self.queue.exclusively(transaction, act, done)
    }

    /// Runs `act` on the engine: what a follower's driver applies runs through this. It does not wait for
    /// whoever holds the writer, so it must not write to a namespace that others write to.
    ///
    /// # Errors
    /// [`WriteError::Closed`] after the namespace was closed or dropped.
    pub fn with_engine<R>(
        &self,
        act: impl FnOnce(&mut Engine<FileStore>) -> R,
    ) -> Result<R, WriteError> {
        self.queue.with_engine(act)
    }

    /// Tells observers of durable progress made through [`with_engine`](Self::with_engine).
    pub fn announce(&self, durable: Lsn) {
        self.queue.announce(durable);
    }

    /// Most bytes of disk that it takes, if there is a limit.
    #[must_use]
    pub fn quota_bytes(&self) -> Option<u64> {
        self.queue.room().quota()
    }

    /// Limits the disk that it takes, durably. The limit holds for the log, in steps of a segment:
    /// writes are refused once the next one would not fit. A flush goes on, and takes from what the log
    /// may have.
    ///
    /// # Errors
    /// It could not be kept; what held before holds.
    pub fn set_quota(&self, bytes: Option<u64>) -> io::Result<()> {
        quota::write(&self.dir, bytes)?;
        self.queue.room().limit(bytes);
        Ok(())
    }

    /// Bytes of disk of its log and its tree.
    ///
    /// # Errors
    /// Its directory cannot be read.
    pub fn disk_bytes(&self) -> Result<u64, IoError> {
        self.queue.room().disk_bytes()
    }

    pub(super) fn tend(&self) {
        self.queue.tend();
    }

    pub(super) fn retire(&self) {
        self.queue.retire();
    }

    pub(super) fn expire(&self) {
        self.queue.expire();
    }

    /// Has `observer` called whenever what is visible has changed, and when the namespace is closed. It
    /// must be quick: writers wait for it.
    pub fn on_applied(&self, observer: impl Fn() + Send + Sync + 'static) {
        self.queue.on_applied(Arc::new(observer));
    }

    pub(super) fn sync_soon(&self) {
        self.queue.sync_soon();
    }

    /// Closes it without a last sync. What readers hold stays readable when the files are moved.
    pub(super) fn abandon(&self) -> Result<(), StoreError> {
        drop(self.queue.take_engine());
        self.segments
            .keep_open()
            .map_err(|source| StoreError::Medium { name: self.name.clone(), source })
    }

    pub(super) fn close(&self) -> Result<(), StoreError> {
        let Some(engine) = self.queue.take_engine() else { return Ok(()) };
        engine.close().map_err(|source| StoreError::Close { name: self.name.clone(), source })
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Namespace").field("name", &self.name).finish_non_exhaustive()
    }
}
