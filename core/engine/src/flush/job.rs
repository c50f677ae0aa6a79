//! The part of a flush that any thread may run.

use super::row::RowFlush;
use super::stream::Trimmed;
use crate::engine::Engine;
use crate::errors::{FlushError, ReadError, TreeError};
use crate::expiry::Expiry;
use crate::memtable::{Direction, Entry, Location, Memtable, MemtableCursor, Version};
use crate::models::topic::key::KeyKind;
use crate::read::{checked, slice};
use crate::tree::{
    Checkpoint, LiveBytes, NewExpiry, Tree, TreeEntry, TreeValue, TreeView, TreeWrite,
};
use alloc::sync::Arc;
use core::fmt;
use core::ops::Bound;
use unison_base::Lsn;
use unison_base::hlc::Hlc;
use unison_ports::SegmentStore;
use unison_walfs::{LogReader, SyncOutcome, SyncTicket};

/// A flush, ready to run.
pub struct FlushJob<S: SegmentStore> {
    ticket: SyncTicket<S>,
    work: Work<S>,
    token: Arc<()>,
}

/// What there is to do.
enum Work<S: SegmentStore> {
    /// To write a memtable.
    Write(Writing<S>),
    /// To go on with removing what the checkpoint says is gone.
    Remove(Removal),
}

struct Removal {
    tree: Tree,
    checkpoint: Lsn,
    keys_max: usize,
}

/// What became of a flush; [`Engine::flushed`] wants it.
#[must_use = "the engine must be told"]
pub struct FlushResult<S: SegmentStore> {
    pub(super) outcome: Option<SyncOutcome>,
    pub(super) flushed: Result<Flushed, FlushError>,
    _work: Work<S>,
    _token: Arc<()>,
}

/// A committed flush.
pub(super) struct Flushed {
    pub(super) view: TreeView,
    pub(super) live: LiveBytes,
    /// Keys of the memtable that was written, if one was.
    pub(super) keys: Option<u64>,
}

impl<S: SegmentStore> FlushJob<S> {
    /// Writes a memtable.
    pub(super) fn write(engine: &Engine<S>, memtable: Arc<Memtable>, token: Arc<()>) -> Self {
        let work = Work::Write(Writing {
            tree: engine.tree.clone(),
            log: engine.log.reader(),
            memtable,
            hlc: engine.clock.last(),
            inline_value_bytes: engine.options.inline_value_bytes,
            removed_keys_max: engine.options.removed_keys_max,
        });
        Self { ticket: engine.log.sync_ticket(), work, token }
    }

    /// Goes on with removing what is gone.
    pub(super) fn remove(engine: &Engine<S>, checkpoint: Lsn, token: Arc<()>) -> Self {
        let (tree, keys_max) = (engine.tree.clone(), engine.options.removed_keys_max);
        let work = Work::Remove(Removal { tree, checkpoint, keys_max });
        Self { ticket: engine.log.sync_ticket(), work, token }
    }

    /// The checkpoint that this flush makes, or that it leaves as it is.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        match &self.work {
            Work::Write(writing) => writing.memtable.last(),
            Work::Remove(removal) => removal.checkpoint,
        }
    }

    /// Syncs the log as far as the memtable reaches, then writes the tree in one transaction.
    pub fn run(self) -> FlushResult<S> {
        let Self { ticket, work, token } = self;
        let (outcome, flushed) = match &work {
            Work::Write(writing) => {
                let behind = writing.log.durable() < writing.memtable.last();
                let outcome = behind.then(|| ticket.run());
                let synced = outcome.is_none_or(|outcome| outcome.is_ok());
                // The outcome itself tells the engine why; without a sync the tree is left alone.
                let flushed = if synced { writing.run() } else { Err(FlushError::NotSynced) };
                (outcome, flushed)
            }
            Work::Remove(removal) => (None, removal.run()),
        };
        FlushResult { outcome, flushed, _work: work, _token: token }
    }
}

impl Removal {
    fn run(&self) -> Result<Flushed, FlushError> {
        let transaction = self.tree.begin_write()?;
        let mut tree = TreeWrite::new(&transaction)?;
        let watermark = tree.checkpoint()?.expired_to;
        let trimmed = tree.finish_trims(self.keys_max)?;
        tree.remove_expired(watermark, self.keys_max.saturating_sub(trimmed))?;
        let checkpoint = tree.checkpoint()?;
        tree.finish(&checkpoint)?;
        transaction.commit().map_err(TreeError::from)?;
        flushed(&self.tree, None)
    }
}

fn flushed(tree: &Tree, keys: Option<u64>) -> Result<Flushed, FlushError> {
    Ok(Flushed { view: tree.view()?, live: tree.live_bytes()?, keys })
}

struct Writing<S: SegmentStore> {
    tree: Tree,
    log: LogReader<S>,
    memtable: Arc<Memtable>,
    hlc: Hlc,
    inline_value_bytes: usize,
    removed_keys_max: usize,
}

impl<S: SegmentStore> Writing<S> {
    fn run(&self) -> Result<Flushed, FlushError> {
        let transaction = self.tree.begin_write()?;
        let mut tree = TreeWrite::new(&transaction)?;
        if tree.checkpoint()?.lsn >= self.memtable.last() {
            // Flushed before, by a job whose result was lost.
            return flushed(&self.tree, Some(0));
        }
        let keys = self.write_data(&mut tree)?;
        let checkpoint = self.checkpoint(tree.checkpoint()?)?;
        tree.finish(&checkpoint)?;
        transaction.commit().map_err(TreeError::from)?;
        flushed(&self.tree, Some(keys))
    }

    /// Newest version of every key, in key order. Returns how many.
    fn write_data(&self, tree: &mut TreeWrite<'_>) -> Result<u64, FlushError> {
        let (all, newest) = (Bound::Unbounded, Lsn::MAX);
        let mut cursor = MemtableCursor::new(&self.memtable, all, newest, Direction::Forward);
        let (mut keys, mut row, mut trimmed) =
            (0_u64, RowFlush::default(), Trimmed::new(self.removed_keys_max));
        while let Some(version) = cursor.next() {
            keys = keys.saturating_add(1);
            row = row.advance(version.key.as_bytes(), tree)?;
            match version.entry {
                Entry::Row { cleared, expiry, first, .. } => {
                    let watermark = self.memtable.watermark_from(first);
                    row = RowFlush::begin(&version, (cleared, expiry), watermark, tree)?;
                }
                Entry::Watermark(_) => {}
                Entry::Numbers(numbers) => trimmed.numbers(&version, numbers, tree)?,
                _ if row.is_gone(version.lsn) || trimmed.is_gone(version.key.as_bytes()) => {}
                entry => {
                    row.note(entry);
                    self.write_key(&version, tree)?;
                }
            }
        }
        row.end(tree)?;
        let left = trimmed.end(self.memtable.last(), tree)?;
        let left = left.saturating_sub(tree.finish_trims(left)?);
        // At least as many leave as come: else the tree would grow and grow.
        let left = left.max(usize::try_from(keys).unwrap_or(usize::MAX));
        tree.remove_expired(self.memtable.watermark(), left)?;
        Ok(keys)
    }

    fn write_key(&self, version: &Version, tree: &mut TreeWrite<'_>) -> Result<(), TreeError> {
        let key = version.key.as_bytes();
        let lsn = version.lsn;
        let (location, expiry) = match version.entry {
            Entry::Value(location, expiry) if !expiry.is_past(self.memtable.watermark()) => {
                (location, expiry)
            }
            Entry::Expire { expiry, watermark } => {
                return tree.expire(key, &NewExpiry { lsn, expiry, watermark });
            }
            Entry::Object(summary) => {
                let (expiry, value) = (Expiry::NEVER, TreeValue::Inline(&summary.encode()));
                return tree.put(key, &TreeEntry { lsn, expiry, value });
            }
            _ => return tree.remove(key),
        };
        let small = self.small_value(key, location);
        let value = small.as_deref().map_or(TreeValue::InLog(location), TreeValue::Inline);
        tree.put(key, &TreeEntry { lsn, expiry, value })
    }

    /// The bytes of a value that is copied into the tree; never a message, of which the place is
    /// smaller than its tables, and which is read in runs. One that cannot be read keeps its place in
    /// the log, where readers are told. Settings and keys always are, for nothing goes without them.
    fn small_value(&self, key: &[u8], location: Location) -> Option<unison_walfs::Slice<S>> {
        let length = usize::try_from(location.length).ok()?;
        let always = [KeyKind::Settings, KeyKind::KeyEpoch];
        let most = match always.iter().any(|kind| key.starts_with(&kind.prefix())) {
            true => usize::MAX,
            false => self.inline_value_bytes,
        };
        if length > most || key.starts_with(&KeyKind::Message.prefix()) {
            return None;
        }
        slice(&self.log, location).and_then(|bytes| checked(location, bytes)).ok()
    }

    fn checkpoint(&self, before: Checkpoint) -> Result<Checkpoint, FlushError> {
        let lsn = self.memtable.last();
        let located = self.log.locate(lsn).map_err(ReadError::from)?;
        Ok(Checkpoint {
            lsn,
            position: located.position,
            crc: located.crc,
            hlc: self.hlc,
            keys: before.keys,
            rows: before.rows,
            expired_to: before.expired_to.max(self.memtable.watermark()),
            oldest_open: self.memtable.oldest_open(),
            outdated: false,
            skipped: before.skipped.saturating_add(self.memtable.skipped()),
        })
    }
}

impl<S: SegmentStore> fmt::Debug for FlushJob<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlushJob").field("lsn", &self.lsn()).finish_non_exhaustive()
    }
}

impl<S: SegmentStore> fmt::Debug for FlushResult<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = self.flushed.as_ref().err();
        f.debug_struct("FlushResult").field("error", &error).finish_non_exhaustive()
    }
}
