//! One state of the memtables and the tree, replaced as a whole.

use super::value::{Found, Place};
use crate::errors::ReadError;
use crate::memtable::{Entry, Memtable, StorageKey};
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

    /// The newest version of a key at or below `lsn`, tombstones included for memtables; `None` when
    /// nothing is known of the key.
    #[inline]
    pub(crate) fn find<S: SegmentStore>(
        &self,
        key: &StorageKey,
        lsn: Lsn,
    ) -> Result<Option<Found<S>>, ReadError> {
        let bytes = key.as_bytes();
        let remembered = self.memtables().find_map(|memtable| memtable.find(bytes, lsn));
        match remembered {
            Some((lsn, Entry::Value(location))) => {
                Ok(Some(Found { lsn, place: Place::Log(location) }))
            }
            Some((_, Entry::Tombstone)) => Ok(None),
            None => Ok(self.tree.find(bytes, found)?),
        }
    }
}

/// An entry of the tree as something found.
pub(crate) fn found<S: SegmentStore>(entry: TreeEntry<'_>) -> Found<S> {
    let place = match entry.value {
        TreeValue::Inline(bytes) => Place::Inline(Slice::from(bytes)),
        TreeValue::InLog(location) => Place::Log(location),
    };
    Found { lsn: entry.lsn, place }
}
