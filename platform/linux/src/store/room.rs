//! Room for the tree: a flush that runs out of space half-way leaves a tree that has to be opened
//! again, so none is begun without room, and the log leaves that room when it grows.

use crate::FileStore;
use std::path::PathBuf;
use std::sync::Arc;

/// A key with its pointer takes about this much of a memtable, and as much again in a tree page that
/// is half full.
const TREE_BYTES_PER_MEMTABLE_BYTE: u64 = 3;
/// Least memtable bytes of an entry: bounds how many pages a flush can touch.
const ENTRY_BYTES_MIN: u64 = 64;
/// Pages are copied, not overwritten: each one touched is there twice until the commit.
const PAGE_BYTES: u64 = 4096;
/// What a tree needs for its own books.
const SLACK_BYTES: u64 = 2 << 20;

/// What is known of the space a namespace has.
pub(crate) struct Room {
    segments: Arc<FileStore>,
    tree: PathBuf,
}

impl Room {
    pub(super) fn new(segments: Arc<FileStore>, tree: PathBuf) -> Self {
        Self { segments, tree }
    }

    /// Bytes that flushing memtables of `memtable_bytes` may take.
    fn needed(&self, memtable_bytes: usize) -> u64 {
        let memtable_bytes = memtable_bytes as u64;
        let tree_bytes = std::fs::metadata(&self.tree).map_or(0, |metadata| metadata.len());
        let touched = (memtable_bytes / ENTRY_BYTES_MIN).saturating_mul(PAGE_BYTES).min(tree_bytes);
        let added = memtable_bytes.saturating_mul(TREE_BYTES_PER_MEMTABLE_BYTE);
        touched.saturating_add(added).saturating_add(SLACK_BYTES)
    }

    /// Sees to it that the log's next segment leaves room for flushing what memory holds.
    pub(crate) fn reserve(&self, memtable_bytes: usize) {
        self.segments.leave_free(self.needed(memtable_bytes));
    }

    /// Whether a flush can be begun. A file system that does not say how full it is has room.
    pub(crate) fn suffices(&self, memtable_bytes: usize) -> bool {
        self.segments.free_bytes().map_or(true, |free| free >= self.needed(memtable_bytes))
    }
}
