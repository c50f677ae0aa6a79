//! The B+tree (redb): an index of the log up to a checkpoint.
//!
//! Three tables: `data` (storage key -> [`TreeEntry`]), `segments` (segment -> bytes in it that
//! `data` points to), `meta` (one row, the [`Checkpoint`]). An engine that never flushed has none.

mod checkpoint;
mod copy;
mod entry;
mod expire;
mod run;
mod times;
mod trim;
mod write;

pub(crate) use checkpoint::Checkpoint;
pub use copy::TreeCopy;
pub(crate) use entry::{TreeEntry, TreeValue};
pub(crate) use expire::NewExpiry;
pub(crate) use trim::Trim;
pub(crate) use write::TreeWrite;

use crate::errors::{TreeError, TreeTable};
use crate::expiry::{index_end, index_start, indexed};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::ops::Bound;
use redb::{
    Database, OwnedAccessGuard, OwnedRange, ReadOnlyTable, ReadTransaction, ReadableDatabase,
    ReadableTable, TableDefinition, TableError,
};
use unison_base::SegmentId;

const DATA: TableDefinition<'static, &'static [u8], &'static [u8]> = TableDefinition::new("data");
const SEGMENTS: TableDefinition<'static, u32, u64> = TableDefinition::new("segments");
const META: TableDefinition<'static, &'static str, &'static [u8]> = TableDefinition::new("meta");
const CHECKPOINT_KEY: &str = "checkpoint";

/// Bytes that the tree points to, per segment. Segments with none are left out.
pub(crate) type LiveBytes = BTreeMap<SegmentId, u64>;
/// Entries in key order, owning what they read.
pub(crate) type TreeRange = OwnedRange<&'static [u8], &'static [u8]>;
/// Bytes of a key or an entry in a page of the tree.
pub(crate) type TreeBytes = OwnedAccessGuard<&'static [u8]>;

/// The tree, shared by the engine and its jobs.
#[derive(Clone)]
pub(crate) struct Tree(Arc<Database>);

impl Tree {
    pub(crate) fn new(database: Database) -> Self {
        Self(Arc::new(database))
    }

    /// The newest committed state.
    pub(crate) fn view(&self) -> Result<TreeView, TreeError> {
        let transaction = self.0.begin_read()?;
        let Some(meta) = existing(transaction.open_table(META))? else {
            return Ok(TreeView::default());
        };
        let checkpoint = checkpoint_of(&meta)?;
        let data = existing(transaction.open_table(DATA))?;
        let mut view = TreeView { data, checkpoint, earliest_expiry: u64::MAX, has_trims: false };
        view.earliest_expiry = view.next_expiry(0)?.unwrap_or(u64::MAX);
        view.has_trims = view.finds_trims()?;
        Ok(view)
    }

    /// Bytes pointed to, of every segment.
    pub(crate) fn live_bytes(&self) -> Result<LiveBytes, TreeError> {
        let transaction: ReadTransaction = self.0.begin_read()?;
        let mut live = LiveBytes::new();
        if let Some(segments) = existing(transaction.open_table(SEGMENTS))? {
            for row in segments.range_owned(..)? {
                let (segment, bytes) = row?;
                live.insert(SegmentId(segment.value()), bytes.value());
            }
        }
        Ok(live)
    }

    /// Takes everything out of the tree, the checkpoint too, in one transaction.
    pub(crate) fn clear(&self) -> Result<(), TreeError> {
        let transaction = self.begin_write()?;
        transaction.delete_table(DATA)?;
        transaction.delete_table(SEGMENTS)?;
        transaction.delete_table(META)?;
        Ok(transaction.commit()?)
    }

    /// Starts the one write transaction there may be at a time.
    pub(crate) fn begin_write(&self) -> Result<redb::WriteTransaction, TreeError> {
        let mut transaction = self.0.begin_write()?;
        // A crash then costs no walk through the whole tree at the next start.
        transaction.set_quick_repair(true);
        Ok(transaction)
    }
}

fn checkpoint_of(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<Checkpoint, TreeError> {
    let Some(row) = meta.get(CHECKPOINT_KEY)? else { return Ok(Checkpoint::default()) };
    Checkpoint::decode(row.value()).map_err(|version| match version {
        Some(found) => TreeError::Version { found },
        None => TreeError::Corrupt { table: TreeTable::Meta },
    })
}

fn existing<T>(table: Result<T, TableError>) -> Result<Option<T>, TreeError> {
    match table {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// One committed state of the tree; keeps the pages it was read from.
pub(crate) struct TreeView {
    data: Option<ReadOnlyTable<&'static [u8], &'static [u8]>>,
    pub(crate) checkpoint: Checkpoint,
    /// When the first of what is in it expires; `u64::MAX` when nothing does.
    pub(crate) earliest_expiry: u64,
    /// There are trims that are not finished.
    has_trims: bool,
}

impl Default for TreeView {
    /// That of a tree that was never written.
    fn default() -> Self {
        let checkpoint = Checkpoint::default();
        Self { data: None, checkpoint, earliest_expiry: u64::MAX, has_trims: false }
    }
}

impl TreeView {
    /// True when something is in it that its checkpoint says is gone.
    pub(crate) fn has_gone(&self) -> bool {
        self.has_trims || self.earliest_expiry <= self.checkpoint.expired_to
    }

    /// When the first of what expires behind `ms` does.
    pub(crate) fn next_expiry(&self, ms: u64) -> Result<Option<u64>, TreeError> {
        let Some(from) = ms.checked_add(1) else { return Ok(None) };
        let first = self.expiring(from, u64::MAX)?.and_then(|mut range| range.next());
        let Some((key, _)) = first.transpose()? else { return Ok(None) };
        Ok(indexed(key.value()).map(|(expiry, _)| expiry.0))
    }

    /// Keys of the expiry index, of what expires from one time to another, both included.
    pub(crate) fn expiring(&self, from: u64, to: u64) -> Result<Option<TreeRange>, TreeError> {
        self.range(Bound::Included(&index_start(from)), Bound::Excluded(&index_end(to)))
    }

    /// Runs `look` on the entry of a key.
    pub(crate) fn find<R>(
        &self,
        key: &[u8],
        look: impl FnOnce(TreeEntry<'_>) -> R,
    ) -> Result<Option<R>, TreeError> {
        let Some(data) = &self.data else { return Ok(None) };
        let Some(bytes) = data.get(key)? else { return Ok(None) };
        let entry = TreeEntry::decode(bytes.value());
        Ok(Some(look(entry.ok_or(TreeError::Corrupt { table: TreeTable::Data })?)))
    }

    /// Entries between two keys.
    pub(crate) fn range(
        &self,
        start: Bound<&[u8]>,
        end: Bound<&[u8]>,
    ) -> Result<Option<TreeRange>, TreeError> {
        self.data.as_ref().map(|data| Ok(data.range_owned((start, end))?)).transpose()
    }
}

#[cfg(test)]
mod run_tests;
#[cfg(test)]
mod tests;
