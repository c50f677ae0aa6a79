//! One file: what is durable, what is cached, and the changes between the two.

use super::PAGE_BYTES;
use super::pages::Pages;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A change to a file.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// Bytes at an offset.
    Write { offset: u64, bytes: Arc<[u8]> },
    /// Another length.
    Length(u64),
}

impl Change {
    /// Makes the change; what lies past the end is left out.
    pub(super) fn apply(&self, pages: &mut Pages) {
        match self {
            Self::Write { offset, bytes } => pages.write_clipped(*offset, bytes),
            Self::Length(length) => pages.set_len(*length),
        }
    }
}

/// What is known about a change that is not part of the durable bytes yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Not synced yet.
    Unsynced,
    /// A sync that covered it failed: no later sync settles it (A3).
    Doubtful,
    /// Synced, but after a doubtful change, so it has to be applied on top of that one's fate.
    Certain,
}

/// A change and what is known about it.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) sequence: u64,
    pub(super) change: Change,
    pub(super) standing: Standing,
}

/// One file.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub(super) cached: Pages,
    pub(super) durable: Pages,
    pub(super) pending: Vec<Pending>,
}

impl Inode {
    /// A file whose cached and durable bytes are `pages`.
    pub(super) fn settled(pages: Pages) -> Self {
        Self { cached: pages.clone(), durable: pages, pending: Vec::new() }
    }

    pub(super) fn change(&mut self, sequence: u64, change: Change) {
        change.apply(&mut self.cached);
        self.pending.push(Pending { sequence, change, standing: Standing::Unsynced });
    }

    pub(super) fn sync(&mut self) {
        if self.pending.iter().all(|pending| pending.standing == Standing::Unsynced) {
            self.durable = self.cached.clone();
            self.pending.clear();
        }
        self.turn_unsynced_into(Standing::Certain);
    }

    pub(super) fn sync_failed(&mut self) {
        self.turn_unsynced_into(Standing::Doubtful);
    }

    fn turn_unsynced_into(&mut self, standing: Standing) {
        let unsynced = |pending: &&mut Pending| pending.standing == Standing::Unsynced;
        self.pending.iter_mut().filter(unsynced).for_each(|pending| pending.standing = standing);
    }

    /// Bytes of the pages that a sync would write now, each page once.
    pub(super) fn dirty_page_bytes(&self) -> u64 {
        let unsynced = self.pending.iter().filter(|p| p.standing == Standing::Unsynced);
        let pages = unsynced.flat_map(|pending| match &pending.change {
            Change::Write { offset, bytes } if !bytes.is_empty() => {
                offset / PAGE_BYTES..(offset + bytes.len() as u64).div_ceil(PAGE_BYTES)
            }
            _ => 0..0,
        });
        pages.collect::<BTreeSet<_>>().len() as u64 * PAGE_BYTES
    }
}
