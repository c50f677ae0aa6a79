//! Opening: the tree's checkpoint, the log's recovery, and the replay of what lies between.

use super::Engine;
use super::counters::Counters;
use crate::apply::Incoming;
use crate::errors::EngineOpenError;
use crate::memtable::Memtable;
use crate::options::EngineOptions;
use crate::read::{Counted, Shared, View};
use crate::records::Encoder;
use crate::tree::{Checkpoint, Tree};
use alloc::collections::BTreeSet;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use unison_base::atomic::AtomicU64;
use unison_base::hlc::HlcClock;
use unison_base::{Lsn, Published};
use unison_ports::SegmentStore;
use unison_walfs::{Bound, Log, LogOptions, RecoveryReport};

/// What opening found and did.
#[derive(Clone, Debug)]
pub struct OpenReport {
    /// What the log's recovery did.
    pub recovery: RecoveryReport,
    /// The tree's checkpoint: replay began behind it.
    pub checkpoint: Lsn,
    /// Records replayed.
    pub replayed: u64,
    /// Ranges of LSNs above the checkpoint that damage took.
    pub gaps: u64,
    /// Records in those ranges.
    pub missing: u64,
    /// Records with good frames that are no records; passed over.
    pub invalid: u64,
    /// The tree was made by a version that knew no rows: it was made anew from the log.
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
        let replay_from = if found.outdated { Lsn::FIRST } else { found.lsn.next() };
        let log_options = LogOptions {
            segment_bytes: options.segment_bytes,
            verify_from: replay_from,
            role: options.role,
        };
        let (log, recovery) = Log::open(store, log_options, now_ms.saturating_mul(1_000_000))?;
        belongs(&log, &found)?;
        if found.outdated {
            complete(&log, found.lsn)?;
            tree.clear()?;
        }
        let (view, live) = (tree.view()?, tree.live_bytes()?);
        let checkpoint = view.checkpoint;
        let active = Arc::new(Memtable::new());
        let view = View { active: Arc::clone(&active), frozen: Vec::new(), tree: Arc::new(view) };
        let shared = Shared {
            view: Published::new(view),
            applied: AtomicU64::new(checkpoint.lsn.0),
            log: log.reader(),
            counted: Published::new(Counted { lsn: Lsn::ZERO, keys: 0 }),
        };
        let mut clock = HlcClock::default();
        clock.observe(checkpoint.hlc);
        let mut engine = Self {
            log,
            tree,
            shared: Arc::new(shared),
            options,
            clock,
            encoder: Encoder::default(),
            incoming: Incoming::default(),
            active,
            frozen_memtables: 0,
            live,
            unsettled: BTreeSet::new(),
            superseded: Vec::new(),
            job: Weak::new(),
            counters: Counters::default(),
        };
        let mut report = OpenReport {
            recovery,
            checkpoint: checkpoint.lsn,
            replayed: 0,
            gaps: 0,
            missing: 0,
            invalid: 0,
            tree_made_anew: found.outdated,
        };
        engine.replay(&mut report)?;
        engine.set_applied(engine.log.appended().max(checkpoint.lsn));
        Ok((engine, report))
    }
}

/// Proves that the log holds every record up to a checkpoint, so that the tree can be made anew.
fn complete<S: SegmentStore>(log: &Log<S>, checkpoint: Lsn) -> Result<(), EngineOpenError> {
    let missing = |missing| EngineOpenError::TreeOutdated { checkpoint, missing };
    let cursor = log.reader().cursor(Lsn::FIRST, Bound::Appended);
    let mut cursor = cursor.map_err(|_| missing(Lsn::FIRST))?;
    let mut next = Lsn::FIRST;
    while next <= checkpoint {
        match cursor.next() {
            Ok(Some(record)) if record.lsn == next => next = next.next(),
            _ => return Err(missing(next)),
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
