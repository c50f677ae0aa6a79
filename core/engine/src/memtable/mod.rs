//! What the log holds above the tree's checkpoint: every version of every key, each with its place
//! in the log.

mod key;
mod list;
mod page;

pub(crate) use key::{StorageKey, VersionedKey};
pub(crate) use page::{Direction, Version};

use core::ops::Bound;
use list::List;
use unison_base::atomic::{AtomicU64, AtomicUsize, Ordering};
use unison_base::{Lsn, SegmentId};

/// A skip list node without its key's heap bytes: key, LSN, entry, reference count, and a tower of
/// two pointers on average.
const NODE_BYTES: usize = 88;

/// Where the bytes of a value lie in the log, and what they must sum to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) segment: SegmentId,
    /// Bytes from the start of the segment.
    pub(crate) offset: u32,
    /// Bytes.
    pub(crate) length: u32,
    /// CRC-32C of the value.
    pub(crate) crc: u32,
}

/// What one version of a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Value(Location),
    Tombstone,
}

/// Versions of keys, written by one writer and read by many readers.
pub(crate) struct Memtable {
    list: List,
    bytes: AtomicUsize,
    log_bytes: AtomicU64,
    skipped: AtomicU64,
    last: AtomicU64,
}

impl Memtable {
    pub(crate) fn new() -> Self {
        Self {
            list: List::new(),
            bytes: AtomicUsize::new(0),
            log_bytes: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            last: AtomicU64::new(Lsn::MAX.0),
        }
    }

    /// Adds a version. A second one of the same key and LSN (one batch names a key twice) replaces
    /// the first.
    pub(crate) fn insert(&self, key: VersionedKey, entry: Entry) {
        let bytes = NODE_BYTES + key.key.heap_bytes();
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let guard = self.list.pin();
        self.list.entries.insert(key, entry, &guard).release(&guard);
    }

    /// The newest version of the probe's key at or below the probe's LSN.
    #[inline]
    pub(crate) fn find(&self, probe: &VersionedKey) -> Option<(Lsn, Entry)> {
        let guard = self.list.pin();
        let found = self.list.entries.lower_bound(Bound::Included(probe), &guard)?;
        let version = found.key();
        (version.key.as_bytes() == probe.key.as_bytes()).then(|| (version.lsn, *found.value()))
    }

    /// Takes out every version above `lsn`: what was staged when an append failed.
    pub(crate) fn remove_above(&self, lsn: Lsn) {
        let guard = self.list.pin();
        let mut next = self.list.entries.front(&guard);
        while let Some(entry) = next {
            next = entry.next();
            if entry.key().lsn > lsn {
                let bytes = NODE_BYTES + entry.key().key.heap_bytes();
                entry.remove();
                self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            }
        }
    }

    /// Copies every version at or below `lsn` into another memtable.
    pub(crate) fn copy_up_to(&self, lsn: Lsn, target: &Self) {
        let guard = self.list.pin();
        let mut next = self.list.entries.front(&guard);
        while let Some(entry) = next {
            next = entry.next();
            if entry.key().lsn <= lsn {
                target.insert(entry.key().clone(), *entry.value());
            }
        }
        target.add_log_bytes(self.log_bytes());
        target.skipped.fetch_add(self.skipped(), Ordering::Relaxed);
    }

    /// Says that the writer is done with this one: nothing above `lsn` will ever be in it.
    pub(crate) fn freeze(&self, lsn: Lsn) {
        self.last.store(lsn.0, Ordering::Release);
    }

    /// Newest LSN that this memtable may hold; [`Lsn::MAX`] while it is written.
    pub(crate) fn last(&self) -> Lsn {
        Lsn(self.last.load(Ordering::Acquire))
    }

    /// Memory in use, bytes, within a few percent.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.entries.is_empty() && self.log_bytes() == 0
    }

    /// Counts frames of the log that a restart would have to replay for this memtable.
    pub(crate) fn add_log_bytes(&self, bytes: u64) {
        self.log_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts records that say nothing to this version.
    pub(crate) fn add_skipped(&self, records: u64) {
        self.skipped.fetch_add(records, Ordering::Relaxed);
    }

    pub(crate) fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    pub(crate) fn log_bytes(&self) -> u64 {
        self.log_bytes.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
