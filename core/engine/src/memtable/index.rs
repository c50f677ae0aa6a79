//! From a key to its newest entry, in two looks into memory: an open-addressed table of entry
//! numbers.
//!
//! One writer, any number of readers. A slot is written when its entry is complete; when the table
//! or the arena grows, a new [`Body`] is published that shares everything that did not change.

use super::Entry;
use super::arena::{Arena, EntryRef, NewEntry};
use alloc::sync::Arc;
use unison_base::Lsn;
use unison_base::atomic::{AtomicUsize, Ordering};

/// Slots of a table at its beginning; always a power of two, at most half of them in use.
const SLOTS_MIN: usize = 64;

/// Table and entries, as they are between two growths.
#[derive(Clone)]
pub(super) struct Body {
    slots: Arc<[AtomicUsize]>,
    pub(super) arena: Arena,
}

/// A lookup met an entry that is newer than the body it started from; a newer body is there.
pub(super) struct Outgrown;

/// A key's hash: the lower half picks the slot, the upper one tells keys in one place apart.
#[derive(Clone, Copy)]
pub(super) struct KeyHash(u64);

impl KeyHash {
    /// `seed` keeps outsiders from making keys that meet in one slot.
    #[inline]
    pub(super) fn new(seed: u64, key: &[u8]) -> Self {
        let mut hash = seed ^ u64::try_from(key.len()).unwrap_or_default();
        let (words, rest) = key.as_chunks::<8>();
        for word in words {
            hash = fold(hash ^ u64::from_le_bytes(*word), 0x9E37_79B9_7F4A_7C15);
        }
        let mut last = [0; 8];
        for (target, &byte) in last.iter_mut().zip(rest) {
            *target = byte;
        }
        hash = fold(hash ^ u64::from_le_bytes(last), 0xA076_1D64_78BD_642F);
        Self(fold(hash, seed | 1))
    }

    /// What an entry keeps of it.
    pub(super) fn low(self) -> u32 {
        low(self.0)
    }

    fn tag(self) -> u32 {
        low(self.0 >> 32)
    }
}

/// Both halves of the product, mixed.
#[inline]
fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    let [a, b, c, d, e, f, g, h, rest @ ..] = product.to_le_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h]) ^ u64::from_le_bytes(rest)
}

fn low(number: u64) -> u32 {
    let [a, b, c, d, ..] = number.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// A slot: 0 when free, else the entry's number plus 1, and, where a word has 64 bits, the tag
/// above it.
fn slot(tag: u32, word: u32) -> usize {
    let number = u64::from(word).saturating_add(1);
    let tagged = u64::from(tag) << 32 | number;
    usize::try_from(tagged).or_else(|_| usize::try_from(number)).unwrap_or_default()
}

/// Tag and entry number of a slot in use.
fn unslot(slot: usize) -> Option<(u32, u32)> {
    let slot = u64::try_from(slot).unwrap_or_default();
    Some((low(slot >> 32), low(slot).checked_sub(1)?))
}

fn tags_are_kept() -> bool {
    usize::BITS > 32
}

impl Body {
    pub(super) fn new() -> Self {
        Self { slots: free_slots(SLOTS_MIN), arena: Arena::default() }
    }

    /// Where the table lies.
    pub(super) fn address(&self) -> usize {
        self.slots.as_ptr().addr()
    }

    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// What table and entries take, bytes.
    pub(super) fn memory(&self) -> usize {
        size_of_val::<[AtomicUsize]>(&self.slots).saturating_add(self.arena.memory())
    }

    fn at(&self, probe: u64) -> Option<&AtomicUsize> {
        let mask = self.slots.len() - 1;
        self.slots.get(usize::try_from(probe & u64::try_from(mask).ok()?).ok()?)
    }

    /// The slot of a key, and its newest entry if it has one.
    #[inline]
    fn probe(
        &self,
        hash: KeyHash,
        key: &[u8],
    ) -> Result<Option<(&AtomicUsize, Option<u32>)>, Outgrown> {
        for probe in (u64::from(hash.low())..).take(self.slots.len()) {
            let Some(place) = self.at(probe) else { break };
            let Some((tag, word)) = unslot(place.load(Ordering::Acquire)) else {
                return Ok(Some((place, None)));
            };
            if tags_are_kept() && tag != hash.tag() {
                continue;
            }
            if self.arena.entry(word).ok_or(Outgrown)?.has_key(key) {
                return Ok(Some((place, Some(word))));
            }
        }
        Ok(None)
    }

    /// The newest version of a key at or below `lsn`.
    #[inline]
    pub(super) fn find(
        &self,
        hash: KeyHash,
        key: &[u8],
        lsn: Lsn,
    ) -> Result<Option<EntryRef<'_>>, Outgrown> {
        let mut next = self.probe(hash, key)?.and_then(|(_, newest)| newest);
        while let Some(word) = next {
            let entry = self.arena.entry(word).ok_or(Outgrown)?;
            if entry.lsn() <= lsn && !entry.is_dead() {
                return Ok(Some(entry));
            }
            next = entry.older();
        }
        Ok(None)
    }

    /// Writes an entry at a place that the arena reaches and lets readers find it, as the newest one
    /// of its key. True when the key is new. Only the writer does this, with the newest body.
    pub(super) fn insert(
        &self,
        hash: KeyHash,
        key: &[u8],
        word: u32,
        (lsn, entry): (Lsn, Entry),
    ) -> bool {
        let Ok(Some((place, newest))) = self.probe(hash, key) else { return false };
        let older = newest.map_or(0, |newest| newest.saturating_add(1));
        self.arena.write(word, &NewEntry { key, hash: hash.low(), older, lsn, entry });
        place.store(slot(hash.tag(), word), Ordering::Release);
        newest.is_none()
    }

    /// The same keys in a table twice as large.
    pub(super) fn doubled(&self) -> Self {
        let slots = free_slots(self.slots.len().saturating_mul(2));
        let body = Self { slots, arena: self.arena.clone() };
        for old in self.slots.iter() {
            let old = old.load(Ordering::Relaxed);
            let entry = unslot(old).and_then(|(_, word)| self.arena.entry(word));
            let Some(entry) = entry else { continue };
            let places = (u64::from(entry.hash())..).take(body.slots.len());
            let mut places = places.filter_map(|probe| body.at(probe));
            if let Some(free) = places.find(|place| place.load(Ordering::Relaxed) == 0) {
                free.store(old, Ordering::Relaxed);
            }
        }
        body
    }
}

fn free_slots(slots: usize) -> Arc<[AtomicUsize]> {
    (0..slots).map(|_| AtomicUsize::new(0)).collect()
}
