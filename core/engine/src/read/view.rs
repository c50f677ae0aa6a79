//! One state of the memtables and the tree, replaced as a whole.

use super::value::{Found, Place};
use crate::errors::ReadError;
use crate::memtable::{Entry, Memtable, RowChange};
use crate::tree::{TreeEntry, TreeValue, TreeView};
use alloc::sync::Arc;
use alloc::vec::Vec;
use unison_base::Lsn;
use unison_ports::SegmentStore;
use unison_walfs::Slice;

/// What a reader searches, newest first.
pub(crate) struct View {
    /// The one that is written, then those that wait for a flush.
    pub(crate) active: Arc<Memtable>,
    /// Newest first.
    pub(crate) frozen: Vec<Arc<Memtable>>,
    pub(crate) tree: Arc<TreeView>,
}

impl View {
    pub(crate) fn memtables(&self) -> impl Iterator<Item = &Arc<Memtable>> {
        core::iter::once(&self.active).chain(&self.frozen)
    }

    /// Newest LSN of which this view holds everything, given the watermark read after the view was
    /// taken: when the view has been replaced in between, what came later is not in it.
    #[inline]
    pub(crate) fn bound(&self, applied: Lsn) -> Lsn {
        applied.min(self.active.last())
    }

    /// Oldest LSN whose state this view still tells.
    pub(crate) fn oldest(&self) -> Lsn {
        self.tree.checkpoint.lsn
    }

    /// The newest version of a key at or below `lsn`; `None` when it is removed or nothing is known
    /// of it.
    #[inline]
    pub(crate) fn find<S: SegmentStore>(
        &self,
        key: &[u8],
        lsn: Lsn,
    ) -> Result<Option<Found<S>>, ReadError> {
        let remembered = self.memtables().find_map(|memtable| memtable.find(key, lsn));
        match remembered {
            Some((lsn, Entry::Value(location))) => {
                Ok(Some(Found { lsn, place: Place::Log(location) }))
            }
            Some((_, Entry::Tombstone | Entry::Row { .. })) => Ok(None),
            None => Ok(self.tree.find(key, found)?),
        }
    }

    /// The newest record at or below `lsn`, of those behind the checkpoint, that deleted a row: its
    /// cells up to there are gone, all those in the tree among them.
    pub(crate) fn cleared(&self, head: &[u8], lsn: Lsn) -> Lsn {
        let cleared = self.memtables().find_map(|memtable| match memtable.find(head, lsn) {
            Some((_, Entry::Row { cleared, .. })) if cleared > Lsn::ZERO => Some(cleared),
            _ => None,
        });
        cleared.unwrap_or(Lsn::ZERO)
    }

    /// What is known of a row at `lsn`, from its head alone.
    pub(crate) fn row(&self, head: &[u8], lsn: Lsn) -> Result<Option<RowVersion>, ReadError> {
        let remembered = self.memtables().find_map(|memtable| memtable.find(head, lsn));
        if let Some((at, Entry::Row { change, .. })) = remembered {
            return Ok(Some(RowVersion {
                lsn: at,
                cleared: self.cleared(head, lsn),
                last: change,
            }));
        }
        let flushed = self.tree.find(head, |entry| entry.lsn)?;
        Ok(flushed.map(|lsn| RowVersion { lsn, cleared: Lsn::ZERO, last: RowChange::Filled }))
    }
}

/// A row's newest change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowVersion {
    /// The record that made it.
    pub(crate) lsn: Lsn,
    /// Cells up to this record are gone.
    pub(crate) cleared: Lsn,
    /// What it was. A row that is in the tree and nowhere else has cells.
    pub(crate) last: RowChange,
}

/// An entry of the tree as something found.
pub(crate) fn found<S: SegmentStore>(entry: TreeEntry<'_>) -> Found<S> {
    let place = match entry.value {
        TreeValue::Inline(bytes) => Place::Inline(Slice::from(bytes)),
        TreeValue::InLog(location) => Place::Log(location),
    };
    Found { lsn: entry.lsn, place }
}
