//! Room for the tree: a flush that runs out of space half-way leaves a tree that has to be opened
//! again, so none is begun without room, and the log leaves that room when it grows.

use crate::FileStore;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use unison_engine::WriteError;
use unison_ports::IoError;

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
    /// Most bytes of log and tree; `u64::MAX` for no limit.
    quota: AtomicU64,
}

impl Room {
    pub(super) fn new(segments: Arc<FileStore>, tree: PathBuf, quota: Option<u64>) -> Self {
        let room = Self { segments, tree, quota: AtomicU64::new(u64::MAX) };
        room.limit(quota);
        room
    }

    /// Most bytes of disk, if there is a limit.
    pub(crate) fn quota(&self) -> Option<u64> {
        Some(self.quota.load(Ordering::Relaxed)).filter(|quota| *quota < u64::MAX)
    }

    /// Sets the most bytes of disk. The log takes no more segments than fit; what it has stays, and a
    /// tree that grows takes from what the log may have.
    pub(super) fn limit(&self, quota: Option<u64>) {
        self.quota.store(quota.unwrap_or(u64::MAX), Ordering::Relaxed);
        self.measure();
    }

    /// Bytes of disk of log and tree; a new segment has its whole size.
    pub(crate) fn disk_bytes(&self) -> Result<u64, IoError> {
        Ok(self.segments.disk_bytes()?.saturating_add(self.tree_bytes()))
    }

    fn tree_bytes(&self) -> u64 {
        std::fs::metadata(&self.tree).map_or(0, |metadata| metadata.len())
    }

    /// Sees anew how much the log may grow. Log and tree only grow by a segment or a flush: call it
    /// after each.
    pub(crate) fn measure(&self) {
        self.segments.grow_at_most(|| match self.quota() {
            // A directory that cannot be read will not take a file either.
            Some(quota) => quota.saturating_sub(self.disk_bytes().unwrap_or(u64::MAX)),
            None => u64::MAX,
        });
    }

    /// The error of a write that found no room, naming the quota when that is why.
    pub(crate) fn explain(&self, error: WriteError, segment_bytes: u64) -> WriteError {
        match (error, self.quota()) {
            (WriteError::NoSpace, Some(limit)) => {
                let used = self.disk_bytes().unwrap_or_default();
                let full = used.saturating_add(segment_bytes) > limit;
                if full { WriteError::Quota { limit } } else { error }
            }
            _ => error,
        }
    }

    /// Bytes that flushing memtables of `memtable_bytes` may take.
    fn needed(&self, memtable_bytes: usize) -> u64 {
        let memtable_bytes = memtable_bytes as u64;
        let touched = (memtable_bytes / ENTRY_BYTES_MIN).saturating_mul(PAGE_BYTES);
        let touched = touched.min(self.tree_bytes());
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
