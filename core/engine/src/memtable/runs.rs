//! Entries in key order: sorted runs, and behind them the newest entries as they came.
//!
//! The writer sorts the tail into a run when it is full, and merges runs of like size up to a bound,
//! so that neither it nor a reader ever sorts much at once. A reader takes runs and tail as one.

use super::arena::{Arena, EntryRef, prefix_of};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::{Ordering as Order, Reverse};
use unison_base::Published;
use unison_base::atomic::{AtomicU32, AtomicUsize, Ordering};

/// Entries of the first tail; the next ones are longer, up to [`TAIL_MAX`].
const TAIL_MIN: usize = 64;
const TAIL_MAX: usize = 256;
/// Runs whose sum is above this are not merged: what a merge costs the writer is bounded.
const MERGED_MAX: usize = 64 << 10;

/// An entry and the beginning of its key.
#[derive(Clone, Copy)]
pub(super) struct Item {
    prefix: (u64, u32),
    pub(super) word: u32,
}

const _: () = assert!(size_of::<Item>() <= 24);

impl Item {
    fn new(arena: &Arena, word: u32) -> Option<Self> {
        Some(Self { prefix: arena.entry(word)?.prefix(), word })
    }

    /// By key, and of one key the newest first. Numbers of entries grow with time.
    #[inline]
    pub(super) fn order(&self, other: &Self, arena: &Arena) -> Order {
        self.prefix
            .cmp(&other.prefix)
            .then_with(|| match (arena.entry(self.word), arena.entry(other.word)) {
                (Some(one), Some(two)) => one.compare_key(&two),
                _ => Order::Equal,
            })
            .then_with(|| Reverse(self.word).cmp(&Reverse(other.word)))
    }

    pub(super) fn is_same_key(&self, other: &Self, arena: &Arena) -> bool {
        let entries = || Some((arena.entry(self.word)?, arena.entry(other.word)?));
        self.prefix == other.prefix && entries().is_some_and(|(one, two)| one.is_same_key(&two))
    }

    pub(super) fn entry<'a>(&self, arena: &'a Arena) -> Option<EntryRef<'a>> {
        arena.entry(self.word)
    }
}

/// A key to look for, and its beginning.
pub(super) struct Probe<'a> {
    prefix: (u64, u32),
    key: &'a [u8],
}

impl<'a> Probe<'a> {
    pub(super) fn new(key: &'a [u8]) -> Self {
        Self { prefix: prefix_of(key), key }
    }

    /// Order of an item's key and this one.
    pub(super) fn order(&self, item: &Item, arena: &Arena) -> Order {
        item.prefix.cmp(&self.prefix).then_with(|| {
            arena.entry(item.word).map_or(Order::Less, |entry| entry.compare_bytes(self.key))
        })
    }
}

/// Sorted runs and the tail behind them.
pub(super) struct Runs {
    /// Longest first, oldest first.
    pub(super) sorted: Vec<Arc<[Item]>>,
    tail: Tail,
}

struct Tail {
    words: Arc<[AtomicU32]>,
    used: AtomicUsize,
    /// What the last reader sorted; as long as nothing is added the next one need not.
    sorted: Published<Arc<[Item]>>,
}

impl Tail {
    fn new(entries: usize) -> Self {
        let words = (0..entries).map(|_| AtomicU32::new(0)).collect();
        Self { words, used: AtomicUsize::new(0), sorted: Published::new(Arc::new([])) }
    }
}

impl Runs {
    pub(super) fn new() -> Self {
        Self { sorted: Vec::new(), tail: Tail::new(TAIL_MIN) }
    }

    /// Adds a complete entry; false when the tail is full.
    pub(super) fn push(&self, word: u32) -> bool {
        let used = self.tail.used.load(Ordering::Relaxed);
        let Some(place) = self.tail.words.get(used) else { return false };
        place.store(word, Ordering::Relaxed);
        self.tail.used.store(used + 1, Ordering::Release);
        true
    }

    /// Numbers of the entries in the tail, oldest first.
    pub(super) fn tail(&self) -> impl Iterator<Item = u32> {
        let used = self.tail_entries();
        self.tail.words.iter().take(used).map(|word| word.load(Ordering::Relaxed))
    }

    /// Runs that hold the first `used` entries of the tail too.
    pub(super) fn all(&self, used: usize, arena: &Arena) -> Vec<Arc<[Item]>> {
        let mut runs = self.sorted.clone();
        let sorted = self.tail.sorted.with(Arc::clone);
        if sorted.len() == used {
            runs.push(sorted);
        } else {
            let sorted: Arc<[Item]> = sort(self.tail().take(used), arena).into();
            self.tail.sorted.store(Arc::new(Arc::clone(&sorted)));
            runs.push(sorted);
        }
        runs
    }

    /// What they take, bytes; the tail as if a reader had sorted all of it.
    pub(super) fn memory(&self) -> usize {
        let sorted: usize = self.sorted.iter().map(|run| size_of_val::<[Item]>(run)).sum();
        let tail = self.tail.words.len() * (size_of::<AtomicU32>() + size_of::<Item>());
        sorted.saturating_add(tail)
    }

    /// Entries in the tail.
    pub(super) fn tail_entries(&self) -> usize {
        self.tail.used.load(Ordering::Acquire)
    }

    /// The same entries, the tail sorted in, and an empty tail.
    pub(super) fn rolled(&self, arena: &Arena) -> Self {
        let mut sorted = self.sorted.clone();
        let mut run: Arc<[Item]> = sort(self.tail(), arena).into();
        while let Some(last) = sorted.pop() {
            let sum = last.len() + run.len();
            if last.len() > 2 * run.len() || sum > MERGED_MAX {
                sorted.push(last);
                break;
            }
            run = merged(&last, &run, arena).into();
        }
        sorted.push(run);
        let entries = (self.tail.words.len() * 2).min(TAIL_MAX);
        Self { sorted, tail: Tail::new(entries) }
    }
}

/// Entries in order.
fn sort(words: impl Iterator<Item = u32>, arena: &Arena) -> Vec<Item> {
    let mut items: Vec<Item> = words.filter_map(|word| Item::new(arena, word)).collect();
    items.sort_unstable_by(|one, other| one.order(other, arena));
    items
}

fn merged(mut one: &[Item], mut other: &[Item], arena: &Arena) -> Vec<Item> {
    let mut items = Vec::with_capacity(one.len() + other.len());
    while let ([first, behind_first @ ..], [second, behind_second @ ..]) = (one, other) {
        if first.order(second, arena).is_le() {
            items.push(*first);
            one = behind_first;
        } else {
            items.push(*second);
            other = behind_second;
        }
    }
    items.extend_from_slice(one);
    items.extend_from_slice(other);
    items
}
