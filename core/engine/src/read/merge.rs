//! Several memtables as one, in key order; of a key that several hold, the newest wins.

use super::view::View;
use crate::memtable::{Direction, MemtableCursor, Version};
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::Bound;
use unison_base::Lsn;

/// A place in every memtable of a view.
pub(crate) struct MemtableMerge {
    direction: Direction,
    /// In the view's order, newest first.
    sources: Vec<Source>,
}

struct Source {
    head: Version,
    cursor: MemtableCursor,
}

impl MemtableMerge {
    pub(crate) fn new(view: &View, lsn: Lsn, start: Bound<&[u8]>, direction: Direction) -> Self {
        let filled = view.memtables().filter(|memtable| !memtable.is_empty());
        let sources = filled.filter_map(|memtable| {
            let mut cursor = MemtableCursor::new(memtable, start, lsn, direction);
            Some(Source { head: cursor.next()?, cursor })
        });
        Self { direction, sources: sources.collect() }
    }

    /// The next key without taking it.
    pub(crate) fn peek(&self) -> Option<&Version> {
        self.sources.get(self.first()?).map(|source| &source.head)
    }

    /// The next key in its newest visible version, tombstones included.
    pub(crate) fn next(&mut self) -> Option<Version> {
        let first = self.first()?;
        let version = self.take(first)?;
        let mut other = first;
        while let Some(source) = self.sources.get(other) {
            if source.head.key.as_bytes() != version.key.as_bytes() {
                other += 1;
            } else if self.take(other).is_none() {
                break;
            }
        }
        Some(version)
    }

    /// Takes a source's head; a source that has no further one leaves.
    fn take(&mut self, source: usize) -> Option<Version> {
        let at = self.sources.get_mut(source)?;
        match at.cursor.next() {
            Some(next) => Some(core::mem::replace(&mut at.head, next)),
            None => Some(self.sources.remove(source).head),
        }
    }

    /// The newest source among those with the first key.
    fn first(&self) -> Option<usize> {
        let sources = self.sources.iter().enumerate();
        let first = sources.reduce(|best, other| {
            let (one, two) = (other.1.head.key.as_bytes(), best.1.head.key.as_bytes());
            if ordered(self.direction, one, two).is_lt() { other } else { best }
        });
        first.map(|(index, _)| index)
    }
}

/// Which of two keys a scan in this direction meets first.
pub(super) fn ordered(direction: Direction, one: &[u8], other: &[u8]) -> Ordering {
    match direction {
        Direction::Forward => one.cmp(other),
        Direction::Backward => other.cmp(one),
    }
}
