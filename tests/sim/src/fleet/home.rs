//! A node's disk, and how a process comes up on it: as `platform/linux` does on files.

use super::{Plant, Store};
use crate::disk::{CrashDisk, File};
use crate::planted::{Bug, PlantedStore, PlantedTree};
use redb::StorageBackend;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use unison_base::{LogId, SegmentId};
use unison_engine::{Engine, EngineOpenError, EngineOptions, OpenReport, TreeError};
use unison_ports::{IoError, SegmentEntry, SegmentKind, SegmentStore};
use unison_walfs::{LogRole, RungCounts};

/// Small, so that a few hundred records fill several segments.
pub(super) const SEGMENT_BYTES: u64 = 64 << 10;
/// A transaction that nothing is added to for so long is aborted.
pub(super) const TRANSACTION_IDLE_MS: u64 = 12_000;
/// One that has been open for so long is too.
pub(super) const TRANSACTION_TOTAL_MS: u64 = 40_000;
const CHECKPOINT_LOG_BYTES: u64 = 80 << 10;
const TREE_CACHE_BYTES: usize = 256 << 10;
/// A flush is not begun with less than this free.
const ROOM_BYTES: u64 = 1 << 20;

/// What survives a process: the disk, and which of its directories hold what.
///
/// Renaming a directory is atomic and durable on every platform, so the numbers are kept here.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) disk: CrashDisk,
    role: LogRole,
    log: u32,
    tree: u32,
    /// The tree's file was made to its end; one that was not is made again.
    tree_is_whole: bool,
    /// A sync of the tree failed: what it covered may be there or not, whatever is read now (A3).
    tree_is_doubtful: Arc<AtomicBool>,
    memtable_bytes: usize,
    plant: Option<Plant>,
}

/// Log and tree, open.
pub(super) struct Opened {
    pub(super) store: Arc<Store>,
    pub(super) engine: Engine<Store>,
    pub(super) log_id: LogId,
    pub(super) report: OpenReport,
    pub(super) tree_made_anew: bool,
}

/// Why a process did not come up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StartError {
    /// The machine failed: it may work the next time.
    Medium(String),
    /// What is on the disk cannot be served; a person has to act.
    Damaged(String),
}

impl Home {
    pub(super) fn new(
        disk: CrashDisk,
        role: LogRole,
        memtable_bytes: usize,
        plant: Option<Plant>,
    ) -> Self {
        Self {
            disk,
            role,
            log: 0,
            tree: 0,
            tree_is_whole: false,
            tree_is_doubtful: Arc::default(),
            memtable_bytes,
            plant,
        }
    }

    pub(super) fn log_directory(&self) -> String {
        format!("wal-{}", self.log)
    }

    pub(super) fn tree_directory(&self) -> String {
        format!("tree-{}", self.tree)
    }

    /// The store of the log, without opening it.
    pub(super) fn segments(&self) -> Vec<SegmentEntry> {
        let mut entries = Vec::new();
        // A disk at rest has no faults, and one that is off holds nothing that anybody could see.
        let _ = self.disk.store(&self.log_directory()).list(&mut |entry| entries.push(entry));
        entries.sort_unstable();
        entries
    }

    pub(super) fn tree_file(&self) -> (String, File) {
        (self.tree_directory(), File::Tree)
    }

    /// Whether a flush may begin.
    pub(super) fn has_room(&self) -> bool {
        self.disk.free_bytes().is_none_or(|free| free >= ROOM_BYTES)
    }

    /// Puts an empty log and an empty tree in the place of the present ones, which stay on the disk
    /// until the next time.
    pub(super) fn begin_anew(&mut self) {
        if let Some(before) = self.log.checked_sub(1) {
            self.disk.remove_directory(&format!("wal-{before}"));
        }
        self.log += 1;
        self.new_tree();
    }

    fn new_tree(&mut self) {
        if let Some(before) = self.tree.checked_sub(1) {
            self.disk.remove_directory(&format!("tree-{before}"));
        }
        self.tree += 1;
        self.tree_is_whole = false;
        self.tree_is_doubtful = Arc::default();
    }

    fn bug(&self) -> Bug {
        match self.plant {
            Some(Plant::StaleFrames) => Bug::KeepStaleFrames,
            Some(Plant::FlushBeforeSync) => Bug::SkipSyncInFlush,
            _ => Bug::None,
        }
    }

    fn options(&self) -> EngineOptions {
        EngineOptions {
            segment_bytes: SEGMENT_BYTES,
            memtable_bytes: self.memtable_bytes,
            checkpoint_log_bytes: CHECKPOINT_LOG_BYTES,
            role: self.role,
            transaction_idle_ms: TRANSACTION_IDLE_MS,
            transaction_total_ms: TRANSACTION_TOTAL_MS,
            ..EngineOptions::default()
        }
    }

    /// Opens log and tree. `fresh_id` is the identity of a log that has none yet.
    pub(super) fn open(&mut self, fresh_id: LogId, wall_ms: u64) -> Result<Opened, StartError> {
        let store = Arc::new(PlantedStore::new(&self.disk, &self.log_directory(), self.bug()));
        let log_id = identity(&store, fresh_id).map_err(|error| medium(&error))?;
        let (engine, mut report, made_anew) = self.open_engine(&store, wall_ms)?;
        if self.plant == Some(Plant::HideFindings) {
            report.recovery.rungs = RungCounts::default();
            report.recovery.events.clear();
        }
        Ok(Opened { store, engine, log_id, report, tree_made_anew: made_anew })
    }

    /// As `platform/linux` does: a tree that is damaged, or that was doubted before, is made anew,
    /// as long as the log still has everything.
    fn open_engine(
        &mut self,
        store: &Arc<Store>,
        wall_ms: u64,
    ) -> Result<(Engine<Store>, OpenReport, bool), StartError> {
        if !self.tree_is_doubtful.load(Ordering::Relaxed) {
            match self.engine(store, wall_ms) {
                Ok((engine, report)) => return Ok((engine, report, false)),
                Err(Failure::Tree(_))
                    if log_suffices(store, self.options().role).map_err(|e| medium(&e))? => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        self.remake_tree(store, wall_ms)
    }

    /// The tree stays doubted until a new one is known to lack nothing, so that a start that is cut
    /// off here begins again.
    fn remake_tree(
        &mut self,
        store: &Arc<Store>,
        wall_ms: u64,
    ) -> Result<(Engine<Store>, OpenReport, bool), StartError> {
        self.new_tree();
        self.tree_is_doubtful.store(true, Ordering::Relaxed);
        let (engine, report) = self.engine(store, wall_ms)?;
        let missing = report.missing.saturating_add(report.invalid);
        if missing > 0 {
            return Err(StartError::Damaged(format!(
                "no tree, and the log lacks {missing} records"
            )));
        }
        if !self.disk.is_off() {
            self.tree_is_doubtful.store(false, Ordering::Relaxed);
        }
        Ok((engine, report, true))
    }

    fn engine(
        &mut self,
        store: &Arc<Store>,
        wall_ms: u64,
    ) -> Result<(Engine<Store>, OpenReport), Failure> {
        let tree = self.open_tree()?;
        Engine::open(Arc::clone(store), tree, self.options(), wall_ms).map_err(
            |error| match error {
                EngineOpenError::Tree(TreeError::Corrupt { .. } | TreeError::Foreign)
                | EngineOpenError::TreeOfAnotherLog { .. } => Failure::Tree(error.to_string()),
                error => Failure::Medium(error.to_string()),
            },
        )
    }

    fn open_tree(&mut self) -> Result<redb::Database, Failure> {
        if !self.tree_is_whole {
            self.disk.remove_directory(&self.tree_directory());
            drop(self.database()?);
            self.tree_is_whole = !self.disk.is_off();
        }
        self.database()
    }

    fn database(&self) -> Result<redb::Database, Failure> {
        let inner = PlantedTree::new(&self.disk, &self.tree_directory(), self.bug());
        let tree = TreeFile { inner, is_doubtful: Arc::clone(&self.tree_is_doubtful) };
        let mut builder = redb::Builder::new();
        let opened = builder.set_cache_size(TREE_CACHE_BYTES).create_with_backend(tree);
        opened.map_err(|error| {
            let text = error.to_string();
            if is_damage(&error) { Failure::Tree(text) } else { Failure::Medium(text) }
        })
    }
}

/// A tree's file that loses its name when a sync of it fails, so that nothing is built on it.
#[derive(Debug)]
struct TreeFile {
    inner: PlantedTree,
    is_doubtful: Arc<AtomicBool>,
}

impl StorageBackend for TreeFile {
    fn len(&self) -> std::io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, length: u64) -> std::io::Result<()> {
        self.inner.set_len(length)
    }

    fn sync_data(&self) -> std::io::Result<()> {
        self.inner.sync_data().inspect_err(|_| self.is_doubtful.store(true, Ordering::Relaxed))
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.inner.write(offset, data)
    }
}

enum Failure {
    Tree(String),
    Medium(String),
}

impl From<Failure> for StartError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Tree(text) => Self::Damaged(text),
            Failure::Medium(text) => Self::Medium(text),
        }
    }
}

fn medium(error: &IoError) -> StartError {
    StartError::Medium(error.to_string())
}

fn identity(store: &Store, fresh: LogId) -> Result<LogId, IoError> {
    if let Some(id) = store.log_id()? {
        return Ok(id);
    }
    store.set_log_id(fresh)?;
    Ok(fresh)
}

/// Whether the log alone can make the tree: it begins with its first segment, or it is a follower's
/// and empty.
fn log_suffices(store: &Store, role: LogRole) -> Result<bool, IoError> {
    let (mut begins, mut empty) = (false, true);
    store.list(&mut |entry| {
        empty &= entry.kind == SegmentKind::Aside;
        begins |= entry.id == SegmentId::FIRST && entry.kind == SegmentKind::Log;
    })?;
    Ok(begins || (empty && role == LogRole::Follower))
}

/// Whether a tree did not open because of what its file holds.
fn is_damage(error: &redb::DatabaseError) -> bool {
    use redb::DatabaseError::{RepairAborted, Storage};
    use std::io::ErrorKind::{InvalidData, UnexpectedEof};
    match error {
        Storage(redb::StorageError::Corrupted(_)) | RepairAborted => true,
        Storage(redb::StorageError::Io(error)) => {
            matches!(error.kind(), InvalidData | UnexpectedEof)
        }
        _ => false,
    }
}
