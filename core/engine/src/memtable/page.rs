//! Reading a memtable in order, a page at a time: one seek and one pin for many keys, and nothing
//! borrowed in between.

use super::{Entry, Memtable, StorageKey, VersionedKey};
use alloc::vec::Vec;
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

type Node<'a, 'g> = crossbeam_skiplist::base::Entry<'a, 'g, VersionedKey, Entry>;

impl Memtable {
    /// Fills `page` with up to `limit` keys from `start` on, each in its version at `lsn`,
    /// tombstones included. Fewer than `limit` mean that the memtable ends.
    pub(crate) fn page(
        &self,
        start: Bound<&StorageKey>,
        lsn: Lsn,
        direction: Direction,
        limit: usize,
        page: &mut Vec<Version>,
    ) {
        page.clear();
        let guard = self.list.pin();
        match direction {
            Direction::Forward => {
                let probe =
                    start.map(|key| VersionedKey { key: key.clone(), lsn: edge(start, lsn) });
                forward(self.list.entries.lower_bound(probe.as_ref(), &guard), lsn, limit, page);
            }
            Direction::Backward => {
                let last = if matches!(start, Bound::Included(_)) { Lsn::ZERO } else { Lsn::MAX };
                let probe = start.map(|key| VersionedKey { key: key.clone(), lsn: last });
                backward(self.list.entries.upper_bound(probe.as_ref(), &guard), lsn, limit, page);
            }
        }
    }
}

/// Going forward, versions of the start key above `lsn` need not be visited, and all of them are
/// passed over when the key itself is excluded.
fn edge(start: Bound<&StorageKey>, lsn: Lsn) -> Lsn {
    if matches!(start, Bound::Excluded(_)) { Lsn::ZERO } else { lsn }
}

fn forward(mut next: Option<Node<'_, '_>>, lsn: Lsn, limit: usize, page: &mut Vec<Version>) {
    while let Some(node) = next {
        let version = node.key();
        let newest_taken =
            page.last().is_some_and(|last| last.key.as_bytes() == version.key.as_bytes());
        if version.lsn <= lsn && !newest_taken {
            if page.len() == limit {
                return;
            }
            page.push(taken(&node));
        }
        next = node.next();
    }
}

/// Going backward the oldest version comes first, so a younger visible one replaces it.
fn backward(mut next: Option<Node<'_, '_>>, lsn: Lsn, limit: usize, page: &mut Vec<Version>) {
    while let Some(node) = next {
        let version = node.key();
        if version.lsn <= lsn {
            let full = page.len() == limit;
            match page.last_mut() {
                Some(last) if last.key.as_bytes() == version.key.as_bytes() => *last = taken(&node),
                _ if full => return,
                _ => page.push(taken(&node)),
            }
        }
        next = node.prev();
    }
}

fn taken(node: &Node<'_, '_>) -> Version {
    let version = node.key();
    Version { key: version.key.clone(), lsn: version.lsn, entry: *node.value() }
}
