//! What the log holds above the tree's checkpoint: every version of every key, each with its place
//! in the log.
//!
//! Entries lie in an [arena](arena), are found by a [hash table](index) and put in order by
//! [sorted runs](runs). One writer adds; readers follow what it has published and never wait. A skip
//! list would do both, at four to seven times the cost of either: it follows a pointer to memory that
//! is in no cache at every step.

mod arena;
pub(crate) mod carry;
mod cursor;
mod index;
mod key;
mod runs;

pub(crate) use arena::STORAGE_KEY_MAX;
pub(crate) use cursor::{Direction, MemtableCursor, Version};
pub(crate) use key::StorageKey;

use crate::expiry::{Expiry, WATERMARK_KEY};
use alloc::sync::Arc;
use alloc::vec::Vec;
use arena::{entry_words, place};
use index::{Body, KeyHash, Outgrown};
use runs::Runs;
use unison_base::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use unison_base::limits::{INDEX_BYTES_MAX, INDEX_ENTRY_BYTES};
use unison_base::{Lsn, Published, SegmentId};

/// What an entry takes in the table and in a sorted run, bytes.
const INDEX_BYTES: usize = 48;
/// All memtables of an engine together are full at this size whatever its owner says: entries are
/// numbered by 32 bits, and a cut of the log puts all memtables into one.
pub(crate) const MEMTABLE_BYTES_MAX: usize = (u32::MAX as usize).saturating_mul(2);
/// What they hold at most: what is written before fullness is seen comes on top.
const MEMTABLE_BYTES_END: usize = MEMTABLE_BYTES_MAX.saturating_add(4 * INDEX_BYTES_MAX);

/// What an entry with a key of that many bytes takes, at most.
pub(crate) const fn index_bytes(key_bytes: usize) -> usize {
    key_bytes.saturating_add(INDEX_ENTRY_BYTES)
}

const _: () = assert!(arena::ENTRY_BYTES + INDEX_BYTES <= INDEX_ENTRY_BYTES);
/// So an entry always has a place.
const _: () = assert!(arena::holds(MEMTABLE_BYTES_END));

/// Where the bytes of a value lie in the log, and what they must sum to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    Value(Location, Expiry),
    Tombstone,
    /// The key expires at another time, and its value is that of the version before, in an older
    /// memtable or in the tree, if that one had not expired by the watermark.
    Expire {
        expiry: Expiry,
        watermark: u64,
    },
    /// The watermark of expiry: what expires up to then is gone.
    Watermark(u64),
    /// At the head of a row or a large object: every record that changes it leaves one, beside its
    /// cells.
    Row {
        change: RowChange,
        /// The newest record in this memtable that deleted the whole row: cells up to it are gone.
        /// [`Lsn::ZERO`] when this memtable knows none.
        cleared: Lsn,
        /// When the row expires.
        expiry: Expiry,
        /// The first record in this memtable that changed the row. If the row had expired by the
        /// watermark there, it began anew with this record.
        first: Lsn,
    },
    /// At a large object's summary, beside its chunks.
    Object(ObjectSummary),
    /// A value of two numbers, kept in the entry itself.
    Numbers(Numbers),
}

/// What the chunks of a large object are together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ObjectSummary {
    pub(crate) bytes: u64,
    /// CRC-32 (IEEE) of all of them.
    pub(crate) checksum: u32,
    pub(crate) chunks: u32,
}

/// Two numbers; what they mean is their key's matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) first: u64,
    pub(crate) second: u64,
    pub(crate) join: Join,
}

/// What becomes of a key's numbers when it has some already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Join {
    /// The new ones stay.
    Replace,
    /// The higher pair stays.
    Raise,
}

impl Numbers {
    /// Numbers that replace others.
    pub(crate) const fn new(first: u64, second: u64) -> Self {
        Self { first, second, join: Join::Replace }
    }

    /// These numbers where there were others before.
    pub(crate) fn joined(self, before: Self) -> Self {
        let Self { first, second, join } = self;
        let (first, second) = match join {
            Join::Replace => (first, second),
            Join::Raise => (first, second).max((before.first, before.second)),
        };
        Self { first, second, join }
    }
}

impl Entry {
    /// When it expires, if it says so.
    pub(crate) fn expiry(&self) -> Expiry {
        match *self {
            Self::Value(_, expiry) | Self::Expire { expiry, .. } | Self::Row { expiry, .. } => {
                expiry
            }
            Self::Tombstone | Self::Watermark(_) | Self::Numbers(_) | Self::Object(_) => {
                Expiry::NEVER
            }
        }
    }
}

/// What a record did to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowChange {
    /// Set columns: the row is there.
    Filled,
    /// Deleted columns: the row is there if any is left.
    Thinned,
    /// Deleted the row.
    Deleted,
    /// Changed when it expires, and nothing else: the row is there if it was.
    Kept,
}

/// Versions of keys, written by one writer and read by many readers.
pub(crate) struct Memtable {
    body: Published<Body>,
    runs: Published<Runs>,
    seed: u64,
    /// Where the next entry may lie.
    end: AtomicU32,
    keys: AtomicUsize,
    bytes: AtomicUsize,
    log_bytes: AtomicU64,
    skipped: AtomicU64,
    last: AtomicU64,
    /// The watermark of expiry before everything in here.
    first_watermark: u64,
    /// The watermark of expiry behind everything in here.
    watermark: AtomicU64,
    /// When the first of what is in here expires; `u64::MAX` when nothing does.
    earliest_expiry: AtomicU64,
    oldest_open: AtomicU64,
}

impl Memtable {
    /// A memtable behind records that have raised the watermark of expiry to this.
    pub(crate) fn new(watermark: u64) -> Self {
        let body = Body::new();
        // An address that nobody outside knows is all that the table's hash needs.
        let seed = u64::try_from(body.address()).unwrap_or_default();
        Self {
            body: Published::new(body),
            runs: Published::new(Runs::new()),
            seed: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15),
            end: AtomicU32::new(0),
            keys: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            log_bytes: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            last: AtomicU64::new(Lsn::MAX.0),
            first_watermark: watermark,
            watermark: AtomicU64::new(watermark),
            earliest_expiry: AtomicU64::new(u64::MAX),
            oldest_open: AtomicU64::new(0),
        }
    }

    /// Adds a version, newer than all before. Only the one writer does this. Of two with the same
    /// key and LSN (one batch names a key twice) the second counts.
    pub(crate) fn insert(&self, key: &[u8], lsn: Lsn, entry: Entry) {
        let entry = self.carried(key, entry);
        self.note_expiry(entry);
        let words = entry_words(key.len(), &entry);
        let Some(word) = place(self.end.load(Ordering::Relaxed), words) else { return };
        if !self.body.with(|body| body.arena.reaches(word)) {
            self.add_chunks(word);
        }
        let hash = KeyHash::new(self.seed, key);
        let new_key = self.body.with(|body| body.insert(hash, key, word, (lsn, entry)));
        self.end.store(word.saturating_add(words), Ordering::Relaxed);
        if !self.runs.with(|runs| runs.push(word)) {
            self.roll_runs(word);
        }
        if new_key {
            self.count_key();
        }
        let bytes = usize::try_from(words).unwrap_or_default() * 4 + INDEX_BYTES;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A row's head carries on which record deleted the row last, and a key that expires at another
    /// time carries on its value: so one look tells. A bound that
    /// only rises never falls.
    fn carried(&self, key: &[u8], entry: Entry) -> Entry {
        match entry {
            Entry::Row { .. } | Entry::Expire { .. } => match self.find(key, Lsn::MAX) {
                Some((_, before)) => carry::onto(entry, before, self.watermark()),
                None => carry::first(entry, self.watermark()),
            },
            Entry::Watermark(ms) => Entry::Watermark(ms.max(self.watermark())),
            Entry::Numbers(numbers) if numbers.join == Join::Raise => {
                match self.find(key, Lsn::MAX) {
                    Some((_, Entry::Numbers(before))) => Entry::Numbers(numbers.joined(before)),
                    _ => entry,
                }
            }
            Entry::Value(..) | Entry::Tombstone | Entry::Numbers(_) | Entry::Object(_) => entry,
        }
    }

    fn note_expiry(&self, entry: Entry) {
        if let Entry::Watermark(ms) = entry {
            self.watermark.store(ms, Ordering::Relaxed);
        }
        if entry.expiry().is_set() {
            self.earliest_expiry.fetch_min(entry.expiry().0, Ordering::Release);
        }
    }

    fn add_chunks(&self, word: u32) {
        let mut body = self.body.with(Body::clone);
        while !body.arena.reaches(word) {
            body.arena.grow();
        }
        self.body.store(Arc::new(body));
    }

    fn roll_runs(&self, word: u32) {
        let rolled = self.body.with(|body| self.runs.with(|runs| runs.rolled(&body.arena)));
        rolled.push(word);
        self.runs.store(Arc::new(rolled));
    }

    fn count_key(&self) {
        let keys = self.keys.load(Ordering::Relaxed) + 1;
        self.keys.store(keys, Ordering::Relaxed);
        let full = self.body.with(|body| keys * 2 > body.slots());
        if full {
            let doubled = self.body.with(Body::doubled);
            self.body.store(Arc::new(doubled));
        }
    }

    /// The newest version of a key at or below `lsn`.
    #[inline]
    pub(crate) fn find(&self, key: &[u8], lsn: Lsn) -> Option<(Lsn, Entry)> {
        // Between a flush and the next write every read comes by here.
        if self.keys.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let hash = KeyHash::new(self.seed, key);
        loop {
            let found: Result<_, Outgrown> = self.body.with(|body| {
                let entry = body.find(hash, key, lsn)?;
                Ok(entry.map(|entry| (entry.lsn(), entry.entry())))
            });
            if let Ok(found) = found {
                return found;
            }
        }
    }

    /// Says of every version above `lsn` that it never came to be: what was staged when an append
    /// failed.
    pub(crate) fn remove_above(&self, lsn: Lsn) {
        let body = self.body.load();
        for entry in self.words().into_iter().filter_map(|word| body.arena.entry(word)) {
            if entry.lsn() > lsn {
                entry.kill();
            }
        }
        self.watermark.store(self.watermark_from(Lsn::MAX), Ordering::Relaxed);
    }

    /// Copies every version at or below `lsn` into another memtable.
    pub(crate) fn copy_up_to(&self, lsn: Lsn, target: &Self) {
        let body = self.body.load();
        let mut key = Vec::new();
        for entry in self.words().into_iter().filter_map(|word| body.arena.entry(word)) {
            if entry.lsn() <= lsn && !entry.is_dead() {
                entry.copy_key(&mut key);
                target.insert(&key, entry.lsn(), entry.entry());
            }
        }
        target.add_log_bytes(self.log_bytes());
        target.skipped.fetch_add(self.skipped(), Ordering::Relaxed);
    }

    /// All entries, oldest first.
    fn words(&self) -> Vec<u32> {
        let runs = self.runs.load();
        let sorted = runs.sorted.iter().flat_map(|run| run.iter().map(|item| item.word));
        let mut words: Vec<u32> = sorted.chain(runs.tail()).collect();
        words.sort_unstable();
        words
    }

    /// Says that the writer is done with this one: nothing above `lsn` will ever be in it. The oldest
    /// transaction that is open there, if any, began at `oldest_open`.
    pub(crate) fn freeze(&self, lsn: Lsn, oldest_open: Option<Lsn>) {
        self.oldest_open.store(oldest_open.unwrap_or_default().0, Ordering::Release);
        self.last.store(lsn.0, Ordering::Release);
    }

    /// First record of the oldest transaction that was open when this one was frozen.
    pub(crate) fn oldest_open(&self) -> Option<Lsn> {
        Some(Lsn(self.oldest_open.load(Ordering::Acquire))).filter(|lsn| *lsn > Lsn::ZERO)
    }

    /// Newest LSN that this memtable may hold; [`Lsn::MAX`] while it is written.
    pub(crate) fn last(&self) -> Lsn {
        Lsn(self.last.load(Ordering::Acquire))
    }

    /// The watermark of expiry behind everything in here, staged records included.
    pub(crate) fn watermark(&self) -> u64 {
        self.watermark.load(Ordering::Relaxed)
    }

    /// The watermark of expiry at an LSN, when a record in here has raised it by then.
    pub(crate) fn watermark_at(&self, lsn: Lsn) -> Option<u64> {
        match self.find(&WATERMARK_KEY, lsn)? {
            (_, Entry::Watermark(ms)) => Some(ms),
            _ => None,
        }
    }

    /// The watermark of expiry at an LSN that is in here.
    pub(crate) fn watermark_from(&self, lsn: Lsn) -> u64 {
        self.watermark_at(lsn).unwrap_or(self.first_watermark)
    }

    /// When the first of what is in here expires; `u64::MAX` when nothing does. What was written over
    /// counts too.
    pub(crate) fn earliest_expiry(&self) -> u64 {
        self.earliest_expiry.load(Ordering::Acquire)
    }

    /// Memory in use, bytes, within a few percent.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// What it has taken from the allocator, bytes: chunks that are not full yet count whole. Only the
    /// writer changes it.
    pub(crate) fn memory(&self) -> usize {
        let runs = self.runs.with(Runs::memory);
        size_of::<Self>().saturating_add(runs).saturating_add(self.body.with(Body::memory))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes() == 0 && self.log_bytes() == 0
    }

    /// Counts frames of the log that a restart would have to replay for this memtable.
    pub(crate) fn add_log_bytes(&self, bytes: u64) {
        self.log_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn log_bytes(&self) -> u64 {
        self.log_bytes.load(Ordering::Relaxed)
    }

    /// Counts records that say nothing to this version.
    pub(crate) fn add_skipped(&self, records: u64) {
        self.skipped.fetch_add(records, Ordering::Relaxed);
    }

    pub(crate) fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
