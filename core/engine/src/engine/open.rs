//! Opening: the tree's checkpoint, the log's recovery, and the replay of what lies between.

use super::Engine;
use super::counters::Counters;
use crate::apply::{Incoming, Transactions};
use crate::errors::EngineOpenError;
use crate::expiry::Due;
use crate::memtable::Memtable;
use crate::models::topic::patterns::Patterns;
use crate::options::EngineOptions;
use crate::read::{Counted, Shared, View};
use crate::records::Encoder;
use crate::seal::Keyring;
use crate::tree::{Checkpoint, Tree, TreeView};
use crate::write::TopicWriter;
use alloc::collections::BTreeSet;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use unison_base::atomic::AtomicU64;
use unison_base::hlc::HlcClock;
use unison_base::{Lsn, Published};
use unison_ports::SegmentStore;
use unison_walfs::{Bound, Log, LogOptions, LogRole, ReadError, RecoveryReport};

/// What opening found and did.
#[derive(Clone, Debug)]
pub struct OpenReport {
    /// What the log's recovery did.
    pub recovery: RecoveryReport,
    /// The tree's checkpoint: replay began behind it.
    pub checkpoint: Lsn,
    /// Records replayed.
    pub replayed: u64,
    /// Ranges of LSNs that damage took: above the checkpoint, and below it from the beginning of the
    /// oldest transaction that was open there.
    pub gaps: u64,
    /// Records in those ranges.
    pub missing: u64,
    /// Records with good frames that are no records; passed over.
    pub invalid: u64,
    /// The tree was made by a version that passed over records which this one understands: it was
    /// made anew from the log.
    pub tree_made_anew: bool,
}

impl<S: SegmentStore> Engine<S> {
    /// Opens a namespace: an empty store and an empty tree make a new one.
    ///
    /// The time it takes is bounded by the log since the checkpoint. Damage is no error; what could
    /// not be proved is in the report.
    ///
    /// # Errors
    /// A medium failed, or log and tree do not belong together.
    pub fn open(
        store: Arc<S>,
        tree: redb::Database,
        options: EngineOptions,
        now_ms: u64,
    ) -> Result<(Self, OpenReport), EngineOpenError> {
        let tree = Tree::new(tree);
        let found = tree.view()?.checkpoint;
        let log_options = LogOptions {
            segment_bytes: options.segment_bytes,
            verify_from: found.replay_from(),
            role: options.role,
        };
        let (log, recovery) = Log::open(store, log_options, now_ms.saturating_mul(1_000_000))?;
        belongs(&log, &found)?;
        if found.outdated {
            complete(&log, found.lsn)?;
            tree.clear()?;
        }
        let (mut engine, checkpoint) = Self::new(log, tree, options)?;
        let replay_from = checkpoint.replay_from();
        let checkpoint = checkpoint.lsn;
        let mut report = OpenReport {
            recovery,
            checkpoint,
            replayed: 0,
            gaps: 0,
            missing: 0,
            invalid: 0,
            tree_made_anew: found.outdated,
        };
        engine.replay(replay_from, &mut report)?;
        if options.role == LogRole::Leader {
            // Nobody can go on with what was open before; the next write ends it in the log.
            engine.transactions.break_all();
        }
        engine.reload_topics()?;
        engine.set_applied(engine.log.appended().max(checkpoint));
        Ok((engine, report))
    }

    /// An engine that knows what the tree knows, and how far that is.
    fn new(
        log: Log<S>,
        tree: Tree,
        options: EngineOptions,
    ) -> Result<(Self, Checkpoint), EngineOpenError> {
        let (view, live) = (tree.view()?, tree.live_bytes()?);
        let checkpoint = view.checkpoint;
        let active = Arc::new(Memtable::new(checkpoint.expired_to));
        let mut clock = HlcClock::default();
        clock.observe(checkpoint.hlc);
        let engine = Self {
            shared: shared(&log, view, &active),
            log,
            tree,
            options,
            clock,
            encoder: Encoder::default(),
            incoming: Incoming::default(),
            index_room: usize::MAX,
            due: Due::new(),
            transactions: Transactions::default(),
            active,
            frozen_memtables: 0,
            live,
            unsettled: BTreeSet::new(),
            superseded: Vec::new(),
            job: Weak::new(),
            counters: Counters::default(),
            topics: TopicWriter::default(),
        };
        Ok((engine, checkpoint))
    }
}

/// What readers see before the replay.
fn shared<S: SegmentStore>(log: &Log<S>, tree: TreeView, active: &Arc<Memtable>) -> Arc<Shared<S>> {
    let applied = tree.checkpoint.lsn;
    let view = View::new(Arc::clone(active), Vec::new(), Arc::new(tree));
    Arc::new(Shared {
        view: Published::new(view),
        applied: AtomicU64::new(applied.0),
        log: log.reader(),
        counted: Published::new(Counted::nothing()),
        patterns: Published::new(Patterns::default()),
        rules: Published::new(Ok(Arc::default())),
        keys: Published::new(Keyring::default()),
    })
}

/// Proves that the log holds every record up to a checkpoint, so that the tree can be made anew. A
/// medium that fails proves nothing.
fn complete<S: SegmentStore>(log: &Log<S>, checkpoint: Lsn) -> Result<(), EngineOpenError> {
    let lacks = |missing, error| match error {
        ReadError::Io(_) => EngineOpenError::Replay(error),
        _ => EngineOpenError::TreeOutdated { checkpoint, missing },
    };
    let cursor = log.reader().cursor(Lsn::FIRST, Bound::Appended);
    let mut cursor = cursor.map_err(|error| lacks(Lsn::FIRST, error))?;
    let mut next = Lsn::FIRST;
    while next <= checkpoint {
        match cursor.next().map_err(|error| lacks(next, error))? {
            Some(record) if record.lsn == next => next = next.next(),
            _ => return Err(EngineOpenError::TreeOutdated { checkpoint, missing: next }),
        }
    }
    Ok(())
}

/// A record at the checkpoint that is not the one the tree was built from belongs to another
/// history. A record that damage or retention took proves nothing.
fn belongs<S: SegmentStore>(log: &Log<S>, checkpoint: &Checkpoint) -> Result<(), EngineOpenError> {
    match log.reader().locate(checkpoint.lsn) {
        Ok(located) if checkpoint.lsn > Lsn::ZERO && located.crc != checkpoint.crc => {
            Err(EngineOpenError::TreeOfAnotherLog { checkpoint: checkpoint.lsn })
        }
        _ => Ok(()),
    }
}
