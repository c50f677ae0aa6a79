//! Reading a memtable in key order, at one LSN, in either direction. A cursor owns what it reads.

use super::arena::EntryRef;
use super::index::Body;
use super::runs::{Item, sort};
use super::{Entry, Memtable, StorageKey};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering as Order;
use core::ops::Bound;
use unison_base::Lsn;

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Backward,
}

/// A key with its visible version.
pub(crate) struct Version {
    pub(crate) key: StorageKey,
    pub(crate) lsn: Lsn,
    pub(crate) entry: Entry,
}

/// A place in a memtable; its versions come one key at a time, tombstones included.
pub(crate) struct MemtableCursor {
    body: Arc<Body>,
    runs: Vec<Run>,
    lsn: Lsn,
    direction: Direction,
    key: Vec<u8>,
}

/// What is left of a run.
struct Run {
    items: Arc<[Item]>,
    from: usize,
    to: usize,
}

impl Run {
    fn head(&self, direction: Direction) -> Option<&Item> {
        let left = self.items.get(self.from..self.to)?;
        match direction {
            Direction::Forward => left.first(),
            Direction::Backward => left.last(),
        }
    }

    fn advance(&mut self, direction: Direction) {
        match direction {
            Direction::Forward => self.from += 1,
            Direction::Backward => self.to -= 1,
        }
    }
}

impl MemtableCursor {
    /// A cursor from `start` on, which is the highest key when it goes backward.
    pub(crate) fn new(
        memtable: &Memtable,
        start: Bound<&[u8]>,
        lsn: Lsn,
        direction: Direction,
    ) -> Self {
        let runs = memtable.runs.load();
        // The tail first: what it holds lies in chunks that are published by then.
        let tail: Vec<u32> = runs.tail().collect();
        let body = memtable.body.load();
        let tail = sort(tail.into_iter(), &body.arena);
        let sorted = runs.sorted.iter().map(Arc::clone).chain([Arc::from(tail)]);
        let part = |items: Arc<[Item]>| {
            let (from, to) = part(&items, &body, start, direction);
            Run { items, from, to }
        };
        let runs = sorted.map(part).filter(|run| run.from < run.to).collect();
        Self { body, runs, lsn, direction, key: Vec::new() }
    }

    /// The next key in its newest version at the cursor's LSN.
    pub(crate) fn next(&mut self) -> Option<Version> {
        loop {
            let (run, item) = self.first()?;
            self.take(run);
            if let Some(version) = self.newest_visible(item) {
                return Some(version);
            }
        }
    }

    /// The item that comes first, and its run.
    fn first(&self) -> Option<(usize, Item)> {
        let (direction, arena) = (self.direction, &self.body.arena);
        let heads = self.runs.iter().enumerate();
        let heads = heads.filter_map(|(index, run)| Some((index, *run.head(direction)?)));
        heads.reduce(|best, other| {
            let order = other.1.order(&best.1, arena);
            let order = if direction == Direction::Backward { order.reverse() } else { order };
            if order.is_lt() { other } else { best }
        })
    }

    fn take(&mut self, run: usize) {
        if let Some(run) = self.runs.get_mut(run) {
            run.advance(self.direction);
        }
    }

    /// Passes over all items of the first one's key. Going forward the newest comes first, going
    /// backward last.
    fn newest_visible(&mut self, first: Item) -> Option<Version> {
        let mut best = None;
        let mut item = first;
        loop {
            let keep = self.direction == Direction::Backward || best.is_none();
            if keep && self.is_visible(item) {
                best = Some(item);
            }
            match self.first() {
                Some((run, next)) if next.is_same_key(&first, &self.body.arena) => {
                    self.take(run);
                    item = next;
                }
                _ => break,
            }
        }
        let entry = best?.entry(&self.body.arena)?;
        entry.copy_key(&mut self.key);
        let key = StorageKey::from_storage(&self.key);
        Some(Version { key, lsn: entry.lsn(), entry: entry.entry() })
    }

    fn is_visible(&self, item: Item) -> bool {
        let visible = |entry: EntryRef<'_>| entry.lsn() <= self.lsn && !entry.is_dead();
        item.entry(&self.body.arena).is_some_and(visible)
    }
}

/// The part of a run that a cursor from `start` goes through.
fn part(items: &[Item], body: &Body, start: Bound<&[u8]>, direction: Direction) -> (usize, usize) {
    let order = |item: &Item, key: &[u8]| {
        item.entry(&body.arena).map_or(Order::Less, |entry| entry.compare_bytes(key))
    };
    let below = |key: &[u8]| items.partition_point(|item| order(item, key).is_lt());
    let up_to = |key: &[u8]| items.partition_point(|item| order(item, key).is_le());
    match (start, direction) {
        (Bound::Unbounded, _) => (0, items.len()),
        (Bound::Included(key), Direction::Forward) => (below(key), items.len()),
        (Bound::Excluded(key), Direction::Forward) => (up_to(key), items.len()),
        (Bound::Included(key), Direction::Backward) => (0, up_to(key)),
        (Bound::Excluded(key), Direction::Backward) => (0, below(key)),
    }
}
