//! The entries of a memtable, one behind the other, in words that are written once by the writer
//! and read by anybody.
//!
//! ```text
//! | hash | older version | key bytes, flags | LSN low | LSN high | segment | offset | length | CRC | key ... |
//! ```
//!
//! A row's head has, instead of a place in the log, two LSNs; a large object's summary its length in two
//! words, its checksum and its chunks; numbers that are a value lie there themselves. What expires has
//! the time in two words behind the key. Every field is one word of 32 bits. An entry is known by the
//! number of its first word. What is written is published by whoever stores that number where readers
//! find it.

use super::{Entry, Join, Location, Numbers, ObjectSummary, RowChange};
use crate::expiry::Expiry;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering as Order;
use unison_base::atomic::{AtomicU32, Ordering};
use unison_base::{Lsn, SegmentId};

const HEAD_WORDS: usize = 9;
const OLDER: usize = 1;
const KEY_AND_FLAGS: usize = 2;
const LSN_LOW: usize = 3;
const LSN_HIGH: usize = 4;
const SEGMENT: usize = 5;

const KEY_BYTES_MASK: u32 = 0xFFFF;
const FLAG_TOMBSTONE: u32 = 1 << 16;
const FLAG_DEAD: u32 = 1 << 17;
const FLAG_ROW: u32 = 1 << 18;
const FLAG_OBJECT: u32 = 1 << 19;
const FLAG_EXPIRE: u32 = 1 << 20;
const FLAG_WATERMARK: u32 = 1 << 21;
/// Two words behind the key say when it expires.
const FLAG_EXPIRES: u32 = 1 << 22;
/// Of a row's head: two bits say what happened to the row.
const CHANGE_SHIFT: u32 = 26;
const CHANGE_MASK: u32 = 3;

const FLAG_NUMBERS: u32 = 1 << 24;
/// Of numbers: those before are not lowered.
const FLAG_RAISE: u32 = 1 << 25;

const EXPIRY_WORDS: usize = 2;

/// Words of the first chunk; each next one is twice as long, up to [`CHUNK_WORDS_MAX`].
const CHUNK_WORDS_MIN: u32 = 1 << 10;
const CHUNK_WORDS_MAX: u32 = 1 << 18;
const GROWING_CHUNKS: u32 = 8;
/// Words of all chunks that are shorter than the longest.
const GROWING_WORDS: u32 = CHUNK_WORDS_MAX - CHUNK_WORDS_MIN;
const _: () = assert!(CHUNK_WORDS_MIN << GROWING_CHUNKS == CHUNK_WORDS_MAX);

/// Longest key, in storage form, that an entry can hold, bytes.
pub(crate) const STORAGE_KEY_MAX: usize = KEY_BYTES_MASK as usize;
/// What an entry takes beside its key, its padding included, bytes.
pub(super) const ENTRY_BYTES: usize = (HEAD_WORDS + EXPIRY_WORDS) * 4 + 3;
/// An entry takes a sixteenth of a chunk at most, so no more of it is left empty at its end.
const CHUNK_SHARE: usize = 16;
const _: () = assert!(
    (HEAD_WORDS + EXPIRY_WORDS + STORAGE_KEY_MAX.div_ceil(4)) * (CHUNK_SHARE - 1)
        <= CHUNK_WORDS_MAX as usize
);

/// True when entries that take so many bytes always have a [`place`]. Of the shorter chunks a part
/// may be too short for any entry, so they count as empty.
pub(super) const fn holds(bytes: usize) -> bool {
    let words = bytes / 4 + GROWING_WORDS as usize;
    words / (CHUNK_SHARE - 2) <= (u32::MAX - CHUNK_WORDS_MAX) as usize / (CHUNK_SHARE - 1)
}

/// Chunks of words; cloning shares them.
#[derive(Clone, Default)]
pub(super) struct Arena {
    chunks: Vec<Arc<[AtomicU32]>>,
}

/// What an entry is made from.
pub(super) struct NewEntry<'a> {
    pub(super) key: &'a [u8],
    pub(super) hash: u32,
    /// Number of the older version, plus 1; 0 for none.
    pub(super) older: u32,
    pub(super) lsn: Lsn,
    pub(super) entry: Entry,
}

/// Words that an entry with a key of that many bytes takes.
pub(super) fn entry_words(key_bytes: usize, entry: &Entry) -> u32 {
    let expiry = if tail(entry).is_set() { EXPIRY_WORDS } else { 0 };
    u32::try_from(HEAD_WORDS + key_bytes.div_ceil(4) + expiry).unwrap_or(u32::MAX)
}

/// What stands behind the key.
fn tail(entry: &Entry) -> Expiry {
    match *entry {
        Entry::Value(_, expiry) | Entry::Row { expiry, .. } => expiry,
        Entry::Tombstone
        | Entry::Expire { .. }
        | Entry::Watermark(_)
        | Entry::Numbers(_)
        | Entry::Object(_) => Expiry::NEVER,
    }
}

/// Chunk of a word, and its number within.
#[inline]
fn locate(word: u32) -> (u32, u32) {
    if word >= GROWING_WORDS {
        let behind = word - GROWING_WORDS;
        return (GROWING_CHUNKS + behind / CHUNK_WORDS_MAX, behind % CHUNK_WORDS_MAX);
    }
    let chunk = (word / CHUNK_WORDS_MIN + 1).ilog2();
    (chunk, word - ((1 << chunk) - 1) * CHUNK_WORDS_MIN)
}

fn chunk_words(chunk: u32) -> u32 {
    CHUNK_WORDS_MIN << chunk.min(GROWING_CHUNKS)
}

/// The first place at or behind `end` where `words` words lie in one chunk; `None` when no chunk is
/// that long, or all words are used up.
pub(super) fn place(end: u32, words: u32) -> Option<u32> {
    if words > CHUNK_WORDS_MAX {
        return None;
    }
    let mut at = end;
    loop {
        let (chunk, within) = locate(at);
        let left = chunk_words(chunk) - within;
        at.checked_add(words)?;
        if words <= left {
            return Some(at);
        }
        at = at.checked_add(left)?;
    }
}

impl Arena {
    /// True when the chunk of that word is there.
    pub(super) fn reaches(&self, word: u32) -> bool {
        usize::try_from(locate(word).0).is_ok_and(|chunk| chunk < self.chunks.len())
    }

    /// What the chunks take, bytes.
    pub(super) fn memory(&self) -> usize {
        self.chunks.iter().map(|chunk| size_of_val::<[AtomicU32]>(chunk)).sum()
    }

    /// Adds the next chunk.
    pub(super) fn grow(&mut self) {
        let chunk = u32::try_from(self.chunks.len()).unwrap_or(u32::MAX);
        let words = (0..chunk_words(chunk)).map(|_| AtomicU32::new(0));
        self.chunks.push(words.collect());
    }

    /// The entry that begins at that word; `None` when its chunk came later than this clone.
    #[inline]
    pub(super) fn entry(&self, word: u32) -> Option<EntryRef<'_>> {
        let (chunk, within) = locate(word);
        let words = self.chunks.get(usize::try_from(chunk).ok()?)?;
        let (head, rest) = words.get(usize::try_from(within).ok()?..)?.split_first_chunk()?;
        Some(EntryRef { head, rest })
    }

    /// Writes an entry to a [`place`]; nobody may know its number yet.
    pub(super) fn write(&self, word: u32, new: &NewEntry<'_>) {
        let Some(entry) = self.entry(word) else { return };
        let (flags, body) = encoded(new.entry);
        let key_bytes = u32::try_from(new.key.len()).unwrap_or(KEY_BYTES_MASK);
        let [low, high] = halves(new.lsn.0);
        let expiry = tail(&new.entry);
        let flags = if expiry.is_set() { flags | FLAG_EXPIRES } else { flags };
        let head = [new.hash, new.older, key_bytes | flags, low, high];
        store(entry.head, head.into_iter().chain(body));
        let expiry = halves(expiry.0).into_iter().filter(|_| expiry.is_set());
        store(entry.rest, new.key.chunks(4).map(word_of).chain(expiry));
    }
}

/// Flags of an entry, and the last words of its head.
fn encoded(entry: Entry) -> (u32, [u32; 4]) {
    match entry {
        Entry::Value(location, _) => {
            (0, [location.segment.0, location.offset, location.length, location.crc])
        }
        Entry::Tombstone => (FLAG_TOMBSTONE, [0; 4]),
        Entry::Expire { expiry, watermark } => {
            let ([a, b], [c, d]) = (halves(expiry.0), halves(watermark));
            (FLAG_EXPIRE, [a, b, c, d])
        }
        Entry::Watermark(ms) => {
            let [low, high] = halves(ms);
            (FLAG_WATERMARK, [low, high, 0, 0])
        }
        Entry::Row { change, cleared, first, .. } => {
            let ([a, b], [c, d]) = (halves(cleared.0), halves(first.0));
            (FLAG_ROW | word_of_change(change) << CHANGE_SHIFT, [a, b, c, d])
        }
        Entry::Numbers(Numbers { first, second, join }) => {
            let ([a, b], [c, d]) = (halves(first), halves(second));
            (FLAG_NUMBERS | (if join == Join::Raise { FLAG_RAISE } else { 0 }), [a, b, c, d])
        }
        Entry::Object(summary) => {
            let [low, high] = halves(summary.bytes);
            (FLAG_OBJECT, [low, high, summary.checksum, summary.chunks])
        }
    }
}

fn word_of_change(change: RowChange) -> u32 {
    match change {
        RowChange::Filled => 0,
        RowChange::Thinned => 1,
        RowChange::Deleted => 2,
        RowChange::Kept => 3,
    }
}

fn change_of_word(word: u32) -> RowChange {
    match word {
        0 => RowChange::Filled,
        1 => RowChange::Thinned,
        2 => RowChange::Deleted,
        _ => RowChange::Kept,
    }
}

fn joined(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

fn store(target: &[AtomicU32], words: impl Iterator<Item = u32>) {
    target.iter().zip(words).for_each(|(target, word)| target.store(word, Ordering::Relaxed));
}

fn halves(number: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = number.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}

/// Up to four bytes of a key, the first one lowest, zeros behind the last.
#[inline]
fn word_of(bytes: &[u8]) -> u32 {
    let mut word = [0; 4];
    for (target, &byte) in word.iter_mut().zip(bytes) {
        *target = byte;
    }
    u32::from_le_bytes(word)
}

/// [`EntryRef::prefix`] of a key given as bytes.
pub(super) fn prefix_of(key: &[u8]) -> (u64, u32) {
    prefix(key.chunks(4).map(word_of))
}

fn prefix(words: impl Iterator<Item = u32>) -> (u64, u32) {
    let mut words = words.map(u32::swap_bytes);
    let mut word = || words.next().unwrap_or(0);
    let (first, second, third) = (word(), word(), word());
    (u64::from(first) << 32 | u64::from(second), third)
}

/// One entry.
#[derive(Clone, Copy)]
pub(super) struct EntryRef<'a> {
    head: &'a [AtomicU32; HEAD_WORDS],
    rest: &'a [AtomicU32],
}

impl<'a> EntryRef<'a> {
    #[inline]
    fn words(&self) -> [u32; HEAD_WORDS] {
        self.head.each_ref().map(|word| word.load(Ordering::Relaxed))
    }

    pub(super) fn hash(&self) -> u32 {
        let [hash, ..] = self.words();
        hash
    }

    /// Number of the older version of the same key.
    #[inline]
    pub(super) fn older(&self) -> Option<u32> {
        let words = self.words();
        words.get(OLDER).and_then(|older| older.checked_sub(1))
    }

    #[inline]
    pub(super) fn lsn(&self) -> Lsn {
        let words = self.words();
        let half = |at: usize| words.get(at).copied().unwrap_or_default();
        Lsn(joined(half(LSN_LOW), half(LSN_HIGH)))
    }

    #[inline]
    pub(super) fn entry(&self) -> Entry {
        let [_, _, flags, _, _, segment, offset, length, crc] = self.words();
        if flags & FLAG_TOMBSTONE != 0 {
            return Entry::Tombstone;
        }
        let first = joined(segment, offset);
        if flags & FLAG_ROW != 0 {
            let change = change_of_word(flags >> CHANGE_SHIFT & CHANGE_MASK);
            let (cleared, first) = (Lsn(first), Lsn(joined(length, crc)));
            return Entry::Row { change, cleared, expiry: self.tail(), first };
        }
        if flags & FLAG_OBJECT != 0 {
            return Entry::Object(ObjectSummary { bytes: first, checksum: length, chunks: crc });
        }
        if flags & FLAG_EXPIRE != 0 {
            return Entry::Expire { expiry: Expiry(first), watermark: joined(length, crc) };
        }
        if flags & FLAG_WATERMARK != 0 {
            return Entry::Watermark(first);
        }
        if flags & FLAG_NUMBERS != 0 {
            let join = if flags & FLAG_RAISE != 0 { Join::Raise } else { Join::Replace };
            return Entry::Numbers(Numbers { first, second: joined(length, crc), join });
        }
        let location = Location { segment: SegmentId(segment), offset, length, crc };
        Entry::Value(location, self.tail())
    }

    /// What stands behind the key.
    #[inline]
    fn tail(&self) -> Expiry {
        if self.flags() & FLAG_EXPIRES == 0 {
            return Expiry::NEVER;
        }
        let words = self.rest.get(self.key_bytes().div_ceil(4)..).unwrap_or_default();
        let mut words = words.iter().map(|word| word.load(Ordering::Relaxed));
        let (low, high) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        Expiry(joined(low, high))
    }

    /// True for an entry whose record never came to be.
    #[inline]
    pub(super) fn is_dead(&self) -> bool {
        self.flags() & FLAG_DEAD != 0
    }

    pub(super) fn kill(&self) {
        if let Some(word) = self.head.get(KEY_AND_FLAGS) {
            word.store(self.flags() | FLAG_DEAD, Ordering::Relaxed);
        }
    }

    #[inline]
    fn flags(&self) -> u32 {
        self.words().get(KEY_AND_FLAGS).copied().unwrap_or_default()
    }

    #[inline]
    fn key_bytes(&self) -> usize {
        usize::try_from(self.flags() & KEY_BYTES_MASK).unwrap_or_default()
    }

    /// Words of the key; the last one ends in zeros.
    #[inline]
    fn key_words(&self) -> impl Iterator<Item = u32> + use<'a> {
        let words = self.rest.get(..self.key_bytes().div_ceil(4)).unwrap_or_default();
        words.iter().map(|word| word.load(Ordering::Relaxed))
    }

    #[inline]
    pub(super) fn has_key(&self, key: &[u8]) -> bool {
        if self.key_bytes() != key.len() {
            return false;
        }
        let mut words = self.key_words();
        let (whole, rest) = key.as_chunks();
        whole.iter().all(|bytes| words.next() == Some(u32::from_le_bytes(*bytes)))
            && words.next().is_none_or(|last| last == word_of(rest))
    }

    pub(super) fn is_same_key(&self, other: &EntryRef<'_>) -> bool {
        self.key_bytes() == other.key_bytes() && self.key_words().eq(other.key_words())
    }

    /// Order of two keys, byte by byte.
    pub(super) fn compare_key(&self, other: &EntryRef<'_>) -> Order {
        let (ours, theirs) = (self.key_words(), other.key_words());
        let words = ours.map(u32::swap_bytes).cmp(theirs.map(u32::swap_bytes));
        // Where one key is the other's beginning and the rest is zeros, the words may be equal.
        words.then_with(|| self.key_bytes().cmp(&other.key_bytes()))
    }

    /// Order of this key and one given as bytes.
    pub(super) fn compare_bytes(&self, key: &[u8]) -> Order {
        let words = self.key_words().map(u32::swap_bytes);
        let order = words.cmp(key.chunks(4).map(|bytes| word_of(bytes).swap_bytes()));
        order.then_with(|| self.key_bytes().cmp(&key.len()))
    }

    /// The first twelve bytes of the key as two numbers that sort as the key does.
    pub(super) fn prefix(&self) -> (u64, u32) {
        prefix(self.key_words())
    }

    /// Copies the key.
    pub(super) fn copy_key(&self, target: &mut Vec<u8>) {
        let bytes = self.key_bytes();
        target.clear();
        target.resize(bytes.next_multiple_of(4), 0);
        let (words, _) = target.as_chunks_mut();
        words.iter_mut().zip(self.key_words()).for_each(|(to, word)| *to = word.to_le_bytes());
        target.truncate(bytes);
    }
}

const _: () = assert!(SEGMENT + 4 == HEAD_WORDS);
