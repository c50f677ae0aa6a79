//! Opening a data directory and the namespaces in it.

use super::{Namespace, NamespaceKeys, Room, Store, StoreError, StoreOptions, quota, tree_file};
use crate::commit::{CommitQueue, Gate, Shared, Workers};
use crate::{DataDirLock, FileStore, SystemClock, SystemEntropy};
use crossbeam_skiplist::SkipMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};
use unison_base::{LogId, NamespaceName, SegmentId};
use unison_engine::{Engine, OpenReport};
use unison_ports::{Entropy as _, IoError, SegmentKind, SegmentStore as _};
use unison_walfs::LogRole;

/// Threads that sync for callers that do not wait; more would only queue at the device.
const SYNC_THREADS: usize = 2;
/// Threads for flushes, settling, and segments made ahead.
const BACKGROUND_THREADS: usize = 2;
/// Directory of a namespace that is being dropped; removed at the next open at the latest.
const DROPPED_PREFIX: &str = ".dropped-";
/// Directory of a namespace whose log differed from its leader's. Never removed by us.
const ASIDE_PREFIX: &str = ".diverged-";

impl Store {
    /// Opens the data directory and every namespace in it.
    ///
    /// # Errors
    /// The directory is locked, of another version or unreadable, or a namespace cannot be served;
    /// the error says which and what to do.
    pub fn open(options: StoreOptions) -> Result<Arc<Self>, StoreError> {
        Self::open_with_keys(options, NamespaceKeys::default())
    }

    /// As [`open`](Self::open), with the master keys of namespaces.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with_keys(
        options: StoreOptions,
        keys: NamespaceKeys,
    ) -> Result<Arc<Self>, StoreError> {
        let path = &options.data_dir;
        let lock = DataDirLock::acquire(path)
            .map_err(|source| StoreError::DataDir { path: path.clone(), source })?;
        let store = Arc::new(Self {
            namespaces: SkipMap::new(),
            changing: Mutex::new(()),
            shared: Shared {
                clock: Arc::new(SystemClock::default()),
                syncers: workers("syncer", SYNC_THREADS)?,
                background: workers("background", BACKGROUND_THREADS)?,
                durable: Arc::default(),
                failures: Arc::default(),
                transactions: Arc::default(),
            },
            keys,
            _lock: lock,
            options,
        });
        for name in store.namespace_dirs()? {
            let namespace = store.open_namespace(&name)?;
            store.namespaces.insert(name, namespace);
        }
        store.start_tickers()?;
        Ok(store)
    }

    fn namespace_dirs(&self) -> Result<Vec<NamespaceName>, StoreError> {
        let root = &self.options.data_dir;
        let mut names = Vec::new();
        for entry in fs::read_dir(root).map_err(|source| at(root, source))? {
            let path = entry.map_err(|source| at(root, source))?.path();
            let Some(file_name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if file_name.starts_with(DROPPED_PREFIX) {
                fs::remove_dir_all(&path).map_err(|source| at(&path, source))?;
            } else if path.join("wal").is_dir() {
                names.extend(NamespaceName::new(file_name));
            }
        }
        Ok(names)
    }

    pub(super) fn open_namespace(
        &self,
        name: &NamespaceName,
    ) -> Result<Arc<Namespace>, StoreError> {
        let dir = self.options.data_dir.join(name.as_str());
        let medium = |source| StoreError::Medium { name: name.clone(), source };
        let segments = Arc::new(FileStore::open(dir.join("wal"), true).map_err(medium)?);
        let log_id = identity(&segments).map_err(medium)?;
        let (mut engine, report) = self.open_engine(name, &dir, &segments)?;
        engine.set_keys(self.keys.ring(name));
        let quota = quota::read(&dir).map_err(|source| at(&dir, source))?;
        let room = Room::new(Arc::clone(&segments), tree_file::path(&dir), quota);
        Ok(Arc::new(Namespace {
            name: name.clone(),
            dir,
            segments,
            log_id: RwLock::new(log_id),
            reader: engine.reader(),
            log: engine.log(),
            report,
            queue: CommitQueue::new(engine, self.options.durability, room, self.shared.clone()),
            gate: Gate::default(),
        }))
    }
}

impl Store {
    /// The engine over log and tree. The tree only says where the log has what: one that is damaged
    /// is set aside and made anew, as long as the log still has everything.
    fn open_engine(
        &self,
        name: &NamespaceName,
        dir: &Path,
        segments: &Arc<FileStore>,
    ) -> Result<(Engine<FileStore>, OpenReport), StoreError> {
        let io = |source| at(dir, source);
        let complete = || {
            log_suffices(segments, self.options.engine.role)
                .map_err(|source| StoreError::Medium { name: name.clone(), source })
        };
        if self.options.doubt_trees && tree_file::path(dir).exists() && complete()? {
            tree_file::doubt(dir).map_err(io)?;
        }
        if tree_file::doubted(dir).is_none() {
            let error = match self.try_open_engine(name, dir, segments) {
                Err(error) if error.is_tree_damage() => error,
                result => return result,
            };
            if !complete()? {
                return Err(error);
            }
            tree_file::doubt(dir).map_err(io)?;
            tracing::error!(namespace = %name, %error, "the tree is damaged");
        }
        self.remake_tree(name, dir, segments)
    }

    /// Makes a tree from the log alone. The old one stays doubted until the new one is known to lack
    /// nothing, so that a start that is cut off here begins again.
    fn remake_tree(
        &self,
        name: &NamespaceName,
        dir: &Path,
        segments: &Arc<FileStore>,
    ) -> Result<(Engine<FileStore>, OpenReport), StoreError> {
        let remove_unproved = || tree_file::remove_unproved(dir).map_err(|source| at(dir, source));
        remove_unproved()?;
        let (engine, report) = self.try_open_engine(name, dir, segments)?;
        let missing = report.missing.saturating_add(report.invalid);
        if let (Some(kept), 1..) = (tree_file::doubted(dir), missing) {
            drop(engine);
            remove_unproved()?;
            return Err(StoreError::TreeLost { name: name.clone(), kept, missing });
        }
        let kept = tree_file::dismiss(dir).map_err(|source| at(dir, source))?;
        tracing::warn!(namespace = %name, kept = %kept.display(), "a new tree was made from the log");
        Ok((engine, report))
    }

    fn try_open_engine(
        &self,
        name: &NamespaceName,
        dir: &Path,
        segments: &Arc<FileStore>,
    ) -> Result<(Engine<FileStore>, OpenReport), StoreError> {
        let tree = tree_file::open(dir, self.options.tree_cache_bytes)
            .map_err(|source| StoreError::Tree { name: name.clone(), source })?;
        let now_ms = self.shared.clock.wall_ms();
        Engine::open(Arc::clone(segments), tree, self.options.engine, now_ms)
            .map_err(|source| StoreError::Engine { name: name.clone(), source })
    }
}

/// Whether the log alone can make the tree: it begins with its first segment, so that nothing of it
/// has left by retention, or it is empty and its leader has all of it.
fn log_suffices(segments: &FileStore, role: LogRole) -> Result<bool, IoError> {
    let (mut begins, mut empty) = (false, true);
    segments.list(&mut |entry| {
        empty &= entry.kind == SegmentKind::Aside;
        begins |= entry.id == SegmentId::FIRST && entry.kind == SegmentKind::Log;
    })?;
    Ok(begins || (empty && role == LogRole::Follower))
}

fn workers(name: &str, count: usize) -> Result<Arc<Workers>, StoreError> {
    Workers::start(name, count).map(Arc::new).map_err(StoreError::Threads)
}

/// The stored identity, or a new one that is stored before anything else is.
fn identity(segments: &FileStore) -> Result<LogId, IoError> {
    if let Some(id) = segments.log_id()? {
        return Ok(id);
    }
    let mut id = LogId::default();
    SystemEntropy.fill(&mut id.0);
    segments.set_log_id(id)?;
    Ok(id)
}

/// Takes a namespace out of sight in one step, then removes its files; a cut in between is finished
/// by the next open.
pub(super) fn remove_namespace_dir(root: &Path, name: &NamespaceName) -> Result<(), StoreError> {
    let hidden = rename_durably(root, name, DROPPED_PREFIX)?;
    match fs::remove_dir_all(&hidden) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(at(&hidden, source)),
        _ => Ok(()),
    }
}

/// Takes a namespace out of the way and keeps its files; returns where.
pub(super) fn set_namespace_dir_aside(
    root: &Path,
    name: &NamespaceName,
) -> Result<PathBuf, StoreError> {
    rename_durably(root, name, ASIDE_PREFIX)
}

fn rename_durably(root: &Path, name: &NamespaceName, prefix: &str) -> Result<PathBuf, StoreError> {
    let from = root.join(name.as_str());
    if !from.exists() {
        return Ok(from);
    }
    let to = (0_u64..)
        .map(|number| root.join(format!("{prefix}{number}-{name}")))
        .find(|path| !path.exists())
        .unwrap_or_else(|| root.join(prefix));
    fs::rename(&from, &to).map_err(|source| at(&from, source))?;
    fs::File::open(root).and_then(|dir| dir.sync_all()).map_err(|source| at(root, source))?;
    Ok(to)
}

fn at(path: &Path, source: std::io::Error) -> StoreError {
    StoreError::Path { path: path.to_owned(), source }
}
