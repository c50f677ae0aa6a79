//! All namespaces under one data directory, each a log and a tree of its own.

mod error;
#[cfg(test)]
mod exclusive_tests;
mod keys;
mod namespace;
mod open;
mod quota;
mod room;
#[cfg(test)]
mod space_tests;
mod status;
#[cfg(test)]
mod tests;
mod tree_backend;
mod tree_copy;
mod tree_file;

pub use crate::commit::{Exclusive, Turn, TurnAlone};
pub use error::StoreError;
pub use keys::NamespaceKeys;
pub use namespace::Namespace;
pub(crate) use room::Room;
pub use status::NamespaceStatus;
pub use tree_copy::{TreeCopied, TreeCopyFailure};

use crate::commit::Shared;
use crate::{DataDirLock, FileStore};
use crossbeam_skiplist::SkipMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use unison_base::{Lsn, NamespaceName};
use unison_engine::{EngineOptions, TreeError, WriteError};

/// A reader of a namespace on this machine.
pub type Reader = unison_engine::Reader<FileStore>;
/// One state of a namespace.
pub type Snapshot = unison_engine::Snapshot<FileStore>;
/// A message of a topic.
pub type Message = unison_engine::Message<FileStore>;
/// A value of a namespace on this machine.
pub type ValueRef = unison_engine::ValueRef<FileStore>;
/// What a write answers on this machine.
pub type Written = unison_engine::Written<FileStore>;
/// The outcome of writes handed over with [`Namespace::submit`]: the LSN up to which the namespace
/// has acknowledged.
pub type Acknowledged = Result<Lsn, Unacknowledged>;

/// Writes that were staged and are lost, in whole or from some record on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unacknowledged {
    /// Why.
    pub error: WriteError,
    /// Records up to this one are kept all the same, and acknowledged.
    pub kept: Lsn,
}

/// Why a namespace can no longer be trusted by this process. A new process opens and verifies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A sync failed, so nothing is known about what it was to make durable.
    #[error("a sync of the log failed: {0}")]
    Sync(WriteError),
    /// The tree's file failed in the middle of a transaction.
    #[error("the tree's file failed: {0}")]
    Tree(TreeError),
}

/// Files of the data directory, which no namespace can be called.
const RESERVED_NAMES: [&str; 4] = ["format", "lock", "node", "role"];

/// When a write is acknowledged. Named in the status of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// After it is synced: an acknowledged write survives a power cut.
    Always,
    /// When the operating system has it; synced this often. A power cut loses at most that much, a
    /// killed process loses nothing.
    Interval {
        /// Between two syncs.
        every: Duration,
    },
    /// When the operating system has it; synced when a segment is full, at a flush, at a clean
    /// stop, and every few seconds so that followers move on. No promise for a power cut.
    Never,
}

/// How often a namespace that promises nothing is synced for its followers' sake.
const NEVER_SYNC_EVERY: Duration = Duration::from_secs(5);
/// How often dirty namespaces are looked for.
const TICK: Duration = Duration::from_millis(50);
/// Pause between two looks for what no write makes due.
const UPKEEP: Duration = Duration::from_secs(1);
/// How often segments are looked for that may leave the log.
const RETENTION_TICK: Duration = Duration::from_secs(2);
/// How often what has expired is looked for.
const EXPIRY_TICK: Duration = Duration::from_secs(2);

impl Durability {
    /// Time between background syncs; `None` when every write syncs.
    #[must_use]
    pub const fn sync_every(self) -> Option<Duration> {
        match self {
            Self::Always => None,
            Self::Interval { every } => Some(every),
            Self::Never => Some(NEVER_SYNC_EVERY),
        }
    }
}

/// How to open a store.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The data directory; made when it is not there.
    pub data_dir: PathBuf,
    /// When writes are acknowledged.
    pub durability: Durability,
    /// Sizes and policies of every namespace's engine.
    pub engine: EngineOptions,
    /// Bytes of page cache that each tree may keep on top of the operating system's.
    pub tree_cache_bytes: usize,
    /// Whether trees are made anew where the log alone suffices: they may have rotted.
    pub doubt_trees: bool,
}

/// The open store. Dropping it without [`close`](Self::close) is a crash that loses nothing
/// acknowledged.
pub struct Store {
    options: StoreOptions,
    /// Looked up by every request, changed hardly ever: readers of a skip list take no lock.
    namespaces: SkipMap<NamespaceName, Arc<Namespace>>,
    /// Held while a namespace is made, dropped or replaced.
    changing: Mutex<()>,
    shared: Shared,
    keys: NamespaceKeys,
    _lock: DataDirLock,
}

impl Store {
    /// A namespace by name.
    #[must_use]
    pub fn namespace(&self, name: &str) -> Option<Arc<Namespace>> {
        let name = NamespaceName::new(name).ok()?;
        self.namespaces.get(&name).map(|entry| Arc::clone(entry.value()))
    }

    /// All namespaces in order of their names.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Namespace>> {
        self.namespaces.iter().map(|entry| Arc::clone(entry.value())).collect()
    }

    /// The data directory.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.options.data_dir
    }

    /// Size of new segments, bytes.
    #[must_use]
    pub fn segment_bytes(&self) -> u64 {
        self.options.engine.segment_bytes
    }

    /// Limits what the open transactions of all namespaces take in memory together, bytes; 128 MiB otherwise.
    /// What would add to them is refused then, and one write of each thread may come on top.
    pub fn limit_transactions(&self, bytes: usize) {
        self.shared.transactions.limit(bytes);
    }

    /// Makes a namespace; one that exists already is returned as it is.
    ///
    /// # Errors
    /// [`StoreError::TooManyNamespaces`], or what the medium says.
    pub fn create(&self, name: &NamespaceName) -> Result<Arc<Namespace>, StoreError> {
        if let Some(existing) = self.namespace(name.as_str()) {
            return Ok(existing);
        }
        let _changing = self.changing();
        if let Some(existing) = self.namespace(name.as_str()) {
            return Ok(existing);
        }
        if RESERVED_NAMES.contains(&name.as_str()) {
            return Err(StoreError::ReservedName { name: name.clone() });
        }
        if self.namespaces.len() >= unison_base::limits::NAMESPACES_MAX {
            return Err(StoreError::TooManyNamespaces);
        }
        let namespace = self.open_namespace(name)?;
        self.namespaces.insert(name.clone(), Arc::clone(&namespace));
        self.tell_of_change();
        Ok(namespace)
    }

    /// Drops a namespace and its files. Readers that hold it keep what they hold.
    ///
    /// # Errors
    /// [`StoreError::NoSuchNamespace`], or what the medium says.
    pub fn drop_namespace(&self, name: &NamespaceName) -> Result<(), StoreError> {
        let _changing = self.changing();
        self.take(name)?.abandon()?;
        self.tell_of_change();
        open::remove_namespace_dir(&self.options.data_dir, name)
    }

    /// Puts an empty namespace in the place of one whose log differs from its leader's. The old
    /// files are kept in a directory beside it, which is returned; readers keep what they hold.
    ///
    /// May be called again after an error.
    ///
    /// # Errors
    /// What the medium says.
    pub fn start_over(
        &self,
        name: &NamespaceName,
    ) -> Result<(Arc<Namespace>, PathBuf), StoreError> {
        let _changing = self.changing();
        if let Ok(namespace) = self.take(name) {
            namespace.abandon()?;
        }
        let aside = open::set_namespace_dir_aside(&self.options.data_dir, name)?;
        let fresh = self.open_namespace(name)?;
        self.namespaces.insert(name.clone(), Arc::clone(&fresh));
        Ok((fresh, aside))
    }

    /// Has `observer` called with the durable LSN whenever that of any namespace has moved, and with 0
    /// when a namespace was made or dropped.
    pub fn on_durable(&self, observer: impl Fn(Lsn) + Send + Sync + 'static) {
        self.shared.durable.add(Arc::new(observer));
    }

    /// Has `observer` called when a namespace can no longer be trusted by this process.
    pub fn on_failure(&self, observer: impl Fn(Failure) + Send + Sync + 'static) {
        self.shared.failures.add(Arc::new(observer));
    }

    /// Wakes whoever watches durable records: a namespace has come or gone.
    fn tell_of_change(&self) {
        self.shared.durable.each(|told| told(Lsn::ZERO));
    }

    /// Syncs and closes every namespace. The first failure is returned after all were tried.
    ///
    /// # Errors
    /// A sync that failed: what was acknowledged before it is safe.
    pub fn close(&self) -> Result<(), StoreError> {
        let _changing = self.changing();
        let results: Vec<_> = self.list().iter().map(|namespace| namespace.close()).collect();
        self.namespaces.clear();
        results.into_iter().collect()
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, name: &NamespaceName) -> Result<Arc<Namespace>, StoreError> {
        let taken = self.namespaces.remove(name).map(|entry| Arc::clone(entry.value()));
        taken.ok_or_else(|| StoreError::NoSuchNamespace { name: name.clone() })
    }

    /// Starts the threads that do what no write makes due: ending transactions that nobody ends,
    /// raising the watermark of expiry, and syncing namespaces whose writers do not wait for it.
    fn start_tickers(self: &Arc<Self>) -> Result<(), StoreError> {
        self.every("upkeep", UPKEEP, Namespace::tend)?;
        self.every("expiry", EXPIRY_TICK, Namespace::expire)?;
        self.every("retention", RETENTION_TICK, Namespace::retire)?;
        match self.options.durability.sync_every() {
            Some(every) => self.every("sync-ticker", every.max(TICK), Namespace::sync_soon),
            None => Ok(()),
        }
    }

    /// Starts a thread that does something with every namespace again and again. It ends by itself
    /// when the store is gone.
    fn every(
        self: &Arc<Self>,
        thread: &str,
        pause: Duration,
        act: impl Fn(&Namespace) + Send + 'static,
    ) -> Result<(), StoreError> {
        let store = Arc::downgrade(self);
        std::thread::Builder::new()
            .name(thread.to_owned())
            .spawn(move || {
                loop {
                    std::thread::sleep(pause);
                    let Some(store) = store.upgrade() else { return };
                    store.list().iter().for_each(|namespace| act(namespace));
                }
            })
            .map(drop)
            .map_err(StoreError::Threads)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("options", &self.options).finish_non_exhaustive()
    }
}
