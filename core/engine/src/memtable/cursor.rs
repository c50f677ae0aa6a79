//! Reading a memtable in key order, at one LSN, in either direction. A cursor owns what it reads.

use super::arena::{Arena, EntryRef};
use super::index::Body;
use super::runs::{Item, Probe};
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
    /// The one with the first item first.
    runs: Vec<Run>,
    lsn: Lsn,
    direction: Direction,
    key: Vec<u8>,
}

/// What is left of a run; never nothing.
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
        // The length first: so much of the tail lies in chunks that are published by then.
        let used = runs.tail_entries();
        let body = memtable.body.load();
        let start = start.map(Probe::new);
        let all = runs.all(used, &body.arena).into_iter().map(|items| {
            let (from, to) = part(&items, &body, &start, direction);
            Run { items, from, to }
        });
        let mut runs: Vec<Run> = all.filter(|run| run.from < run.to).collect();
        runs.sort_unstable_by(|one, other| head_order(one, other, &body.arena, direction));
        Self { body, runs, lsn, direction, key: Vec::new() }
    }

    /// The next key in its newest version at the cursor's LSN.
    pub(crate) fn next(&mut self) -> Option<Version> {
        loop {
            let item = self.take_first()?;
            if let Some(version) = self.newest_visible(item) {
                return Some(version);
            }
        }
    }

    fn first(&self) -> Option<Item> {
        self.runs.first()?.head(self.direction).copied()
    }

    /// Takes the item that comes first and puts its run where its next item belongs.
    fn take_first(&mut self) -> Option<Item> {
        let (direction, arena) = (self.direction, &self.body.arena);
        let (run, others) = self.runs.split_first_mut()?;
        let item = *run.head(direction)?;
        run.advance(direction);
        if run.from >= run.to {
            self.runs.remove(0);
            return Some(item);
        }
        let passed =
            others.iter().take_while(|other| head_order(other, run, arena, direction).is_lt());
        let place = passed.count();
        if let Some(moved) = self.runs.get_mut(..=place) {
            moved.rotate_left(1);
        }
        Some(item)
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
                Some(next) if next.is_same_key(&first, &self.body.arena) => item = next,
                _ => break,
            }
            self.take_first();
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

/// Which of two runs comes first.
fn head_order(one: &Run, other: &Run, arena: &Arena, direction: Direction) -> Order {
    match (one.head(direction), other.head(direction)) {
        (Some(one), Some(other)) if direction == Direction::Forward => one.order(other, arena),
        (Some(one), Some(other)) => other.order(one, arena),
        _ => Order::Equal,
    }
}

/// The part of a run that a cursor from `start` goes through.
fn part(
    items: &[Item],
    body: &Body,
    start: &Bound<Probe<'_>>,
    direction: Direction,
) -> (usize, usize) {
    let arena = &body.arena;
    let below = |key: &Probe<'_>| items.partition_point(|item| key.order(item, arena).is_lt());
    let up_to = |key: &Probe<'_>| items.partition_point(|item| key.order(item, arena).is_le());
    match (start, direction) {
        (Bound::Unbounded, _) => (0, items.len()),
        (Bound::Included(key), Direction::Forward) => (below(key), items.len()),
        (Bound::Excluded(key), Direction::Forward) => (up_to(key), items.len()),
        (Bound::Included(key), Direction::Backward) => (0, up_to(key)),
        (Bound::Excluded(key), Direction::Backward) => (0, below(key)),
    }
}
