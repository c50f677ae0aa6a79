//! Several memtables as one, in key order; of a key that several hold, the newest wins.

use super::view::View;
use crate::memtable::{Direction, Memtable, StorageKey, Version};
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::Bound;
use unison_base::Lsn;

/// Keys in the first page of each memtable; later pages double up to [`PAGE_KEYS_MAX`].
const PAGE_KEYS_FIRST: usize = 16;
const PAGE_KEYS_MAX: usize = 256;

/// A place in every memtable of a view. The view comes in with each call, so that nothing is
/// borrowed in between.
pub(crate) struct MemtableMerge {
    lsn: Lsn,
    direction: Direction,
    /// In the view's order, newest first.
    sources: Vec<Source>,
}

/// What was read ahead of one memtable, last key first.
struct Source {
    page: Vec<Version>,
    keys: usize,
    resume: Bound<StorageKey>,
    ended: bool,
}

impl MemtableMerge {
    pub(crate) fn new(
        view: &View,
        lsn: Lsn,
        start: Bound<&StorageKey>,
        direction: Direction,
    ) -> Self {
        let source = |memtable: &Memtable| Source {
            page: Vec::new(),
            keys: PAGE_KEYS_FIRST,
            resume: start.cloned(),
            ended: memtable.is_empty(),
        };
        Self {
            lsn,
            direction,
            sources: view.memtables().map(|memtable| source(memtable)).collect(),
        }
    }

    /// The next key without taking it. `view` is always the one given to `new`.
    pub(crate) fn peek(&mut self, view: &View) -> Option<&Version> {
        let first = self.first(view)?;
        self.sources.get(first)?.page.last()
    }

    /// The next key in its newest visible version, tombstones included.
    pub(crate) fn next(&mut self, view: &View) -> Option<Version> {
        let first = self.first(view)?;
        let version = self.sources.get_mut(first)?.page.pop()?;
        for source in self.sources.iter_mut().skip(first + 1) {
            let same = |head: &Version| head.key.as_bytes() == version.key.as_bytes();
            if source.page.last().is_some_and(same) {
                source.page.pop();
            }
        }
        Some(version)
    }

    /// Index of the newest source among those with the first key.
    fn first(&mut self, view: &View) -> Option<usize> {
        self.fill(view);
        let heads = self.sources.iter().enumerate();
        let heads = heads.filter_map(|(index, source)| Some((index, source.page.last()?)));
        let first = heads.reduce(|best, other| {
            match ordered(self.direction, other.1.key.as_bytes(), best.1.key.as_bytes()) {
                Ordering::Less => other,
                _ => best,
            }
        });
        first.map(|(index, _)| index)
    }

    fn fill(&mut self, view: &View) {
        let (lsn, direction) = (self.lsn, self.direction);
        for (source, memtable) in self.sources.iter_mut().zip(view.memtables()) {
            if source.page.is_empty() && !source.ended {
                source.fill(memtable, lsn, direction);
            }
        }
    }
}

impl Source {
    fn fill(&mut self, memtable: &Memtable, lsn: Lsn, direction: Direction) {
        memtable.page(self.resume.as_ref(), lsn, direction, self.keys, &mut self.page);
        self.ended = self.page.len() < self.keys;
        self.keys = (self.keys * 2).min(PAGE_KEYS_MAX);
        if let Some(last) = self.page.last() {
            self.resume = Bound::Excluded(last.key.clone());
        }
        self.page.reverse();
    }
}

/// Which of two keys a scan in this direction meets first.
pub(super) fn ordered(direction: Direction, one: &[u8], other: &[u8]) -> Ordering {
    match direction {
        Direction::Forward => one.cmp(other),
        Direction::Backward => other.cmp(one),
    }
}
