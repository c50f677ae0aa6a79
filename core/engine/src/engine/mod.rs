//! The exclusive writer of one namespace.

mod counters;
mod lifecycle;
mod open;
mod views;

pub use open::OpenReport;

use crate::expiry::Due;
use crate::memtable::Memtable;
use crate::options::EngineOptions;
use crate::read::{Reader, Shared, View};
use crate::records::Encoder;
use crate::tree::{LiveBytes, Tree, TreeCopy};
use crate::write::TopicWriter;
use alloc::collections::BTreeSet;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt;
use counters::Counters;
use unison_base::hlc::{Hlc, HlcClock};
use unison_base::{Lsn, Position, SegmentId};
use unison_ports::{IoError, SegmentStore};
use unison_walfs::{Log, LogReader, Preparation, Prepared, SyncError, SyncOutcome, SyncTicket};

use crate::apply::{Incoming, Transactions};

/// One namespace: its log, its memtables, its tree.
///
/// A write goes through four calls, in groups: [`stage`](Self::stage) as many as there are,
/// [`append`](Self::append) them with one write, run the [`sync_ticket`](Self::sync_ticket) on any
/// thread and hand back its outcome ([`synced`](Self::synced)), then [`publish`](Self::publish).
///
/// ```
/// use std::sync::Arc;
/// use unison_engine::{Engine, EngineOptions, Write};
/// use unison_sim::disk::CrashDisk;
///
/// let now_ms = 1_700_000_000_000;
/// let disk = CrashDisk::new();
/// let tree = redb::Database::builder().create_with_backend(disk.tree("default"))?;
/// let store = Arc::new(disk.store("default"));
/// let (mut engine, _report) = Engine::open(store, tree, EngineOptions::default(), now_ms)?;
/// let reader = engine.reader();
///
/// engine.stage(&Write::put(b"door", b"open"), now_ms)?;
/// engine.append(now_ms)?;
/// let outcome = engine.sync_ticket().run();
/// let durable = engine.synced(outcome)?;
/// assert!(reader.get(b"door")?.is_none());
/// engine.publish(durable);
/// assert_eq!(&*reader.get(b"door")?.unwrap().bytes()?, b"open");
///
/// if let Some(job) = engine.flush_now() {
///     engine.flushed(job.run())?;
/// }
/// assert_eq!(engine.stats().tree_keys, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Engine<S: SegmentStore> {
    pub(crate) log: Log<S>,
    pub(crate) tree: Tree,
    pub(crate) shared: Arc<Shared<S>>,
    pub(crate) options: EngineOptions,
    pub(crate) clock: HlcClock,
    pub(crate) encoder: Encoder,
    pub(crate) incoming: Incoming,
    /// What the versions of one run may take of the index, bytes.
    pub(crate) index_room: usize,
    /// When the first of what memory knows expires.
    pub(crate) due: Due,
    pub(crate) transactions: Transactions,
    /// The memtable of the newest view that is written.
    pub(crate) active: Arc<Memtable>,
    /// Memtables of the newest view that wait for a flush.
    pub(crate) frozen_memtables: usize,
    /// Bytes of values that the tree points to, per segment.
    pub(crate) live: LiveBytes,
    /// Segments of which the live rest cannot be read; passed over until the next start.
    pub(crate) unsettled: BTreeSet<SegmentId>,
    /// Views that were replaced and may still be looked at.
    superseded: Vec<Weak<View>>,
    /// Lives as long as a job on the tree is out.
    job: Weak<()>,
    pub(crate) counters: Counters,
    pub(crate) topics: TopicWriter,
}

impl<S: SegmentStore> Engine<S> {
    /// A ticket to make durable all that has been appended; run it on any thread.
    #[must_use]
    pub fn sync_ticket(&self) -> SyncTicket<S> {
        self.log.sync_ticket()
    }

    /// Takes note of a sync. Returns the newest durable record.
    ///
    /// # Errors
    /// The sync failed: the engine takes no more writes and must be opened again.
    pub fn synced(&mut self, outcome: SyncOutcome) -> Result<Lsn, SyncError> {
        self.log.completed(outcome)
    }

    /// Makes records up to `up_to` visible to readers; never beyond what is appended, never back.
    pub fn publish(&mut self, up_to: Lsn) {
        let applied = up_to.min(self.log.appended());
        if applied > self.shared.applied() {
            self.set_applied(applied);
        }
    }

    /// Newest record written.
    #[must_use]
    pub fn appended(&self) -> Lsn {
        self.log.appended()
    }

    /// Newest record synced.
    #[must_use]
    pub fn durable(&self) -> Lsn {
        self.log.durable()
    }

    /// Newest record visible to readers.
    #[must_use]
    pub fn applied(&self) -> Lsn {
        self.shared.applied()
    }

    /// Where the next frame goes.
    #[must_use]
    pub fn tail(&self) -> Position {
        self.log.tail()
    }

    /// LSN that the next staged write takes.
    #[must_use]
    pub fn next_lsn(&self) -> Lsn {
        self.log.next_lsn()
    }

    /// Newest timestamp given out or seen.
    #[must_use]
    pub fn hlc(&self) -> Hlc {
        self.clock.last()
    }

    /// A reader of what this engine publishes.
    #[must_use]
    pub fn reader(&self) -> Reader<S> {
        Reader { shared: Arc::clone(&self.shared), now_ms: 0 }
    }

    /// A reader of the log itself.
    #[must_use]
    pub fn log(&self) -> LogReader<S> {
        self.log.reader()
    }

    /// The tree, to be copied while the engine goes on.
    #[must_use]
    pub fn tree_copy(&self) -> TreeCopy {
        TreeCopy(self.tree.clone())
    }

    /// Work to prepare the next segment, when it is due; run it on any thread.
    #[must_use]
    pub fn preparation(&self) -> Option<Preparation<S>> {
        self.log.preparation()
    }

    /// Takes a prepared segment.
    pub fn install(&mut self, prepared: Result<Prepared<S>, IoError>) {
        self.log.install(prepared);
    }

    /// What this engine was opened with.
    #[must_use]
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// Bytes of values in a segment that the tree points to.
    #[must_use]
    pub fn live_bytes(&self, segment: SegmentId) -> u64 {
        self.live.get(&segment).copied().unwrap_or(0)
    }
}

impl<S: SegmentStore> fmt::Debug for Engine<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("appended", &self.appended())
            .field("durable", &self.durable())
            .field("applied", &self.applied())
            .finish_non_exhaustive()
    }
}
