//! How many keys will expire, and when: what the tree's index by time says, and what memory knows
//! better. Every key in memory costs one look into the tree's keys; of the index a bounded part is read.

use super::count::known_to_tree_only;
use super::merge::MemtableMerge;
use super::reader::Reader;
use super::view::View;
use crate::errors::ReadError;
use crate::expiry::{At, Expiry};
use crate::memtable::Direction;
use crate::models::kv;
use core::ops::Bound;
use unison_ports::SegmentStore;

/// Keys of the key-value model that are there and will expire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expiring {
    /// How many.
    pub keys: u64,
    /// How long they live from now on, milliseconds, on the average; 0 without any.
    pub average_ms: u64,
}

/// The same while it is counted.
struct Sum {
    now_ms: u64,
    keys: u64,
    ms: u128,
}

impl Sum {
    fn add(&mut self, expiry: Expiry) {
        self.keys = self.keys.saturating_add(1);
        self.ms = self.ms.saturating_add(u128::from(expiry.0.saturating_sub(self.now_ms)));
    }
}

impl<S: SegmentStore> Reader<S> {
    /// The keys that will expire, if the tree has at most `limit` keys and rows that do; `None` when it
    /// has more, and they are not counted. Looks once at every key in memory, and at no value.
    ///
    /// # Errors
    /// What the tree says when it cannot be read.
    pub fn expiring(&self, limit: usize) -> Result<Option<Expiring>, ReadError> {
        let view = self.shared.view.load();
        let at = view.by_the_later_clock(self.moment(&view));
        let mut sum = Sum { now_ms: at.now_ms, keys: 0, ms: 0 };
        if !add_tree(&view, at, limit, &mut sum)? {
            return Ok(None);
        }
        add_memory::<S>(&view, at, &mut sum)?;
        let average = sum.ms.checked_div(u128::from(sum.keys)).unwrap_or(0);
        let average_ms = u64::try_from(average).unwrap_or(u64::MAX);
        Ok(Some(Expiring { keys: sum.keys, average_ms }))
    }
}

/// What the tree holds and memory knows nothing of. Returns false when that is too much to look at.
fn add_tree(view: &View, at: At, limit: usize, sum: &mut Sum) -> Result<bool, ReadError> {
    let Some(from) = at.now_ms.checked_add(1) else { return Ok(true) };
    for (looked, expiry) in known_to_tree_only(view, at, (from, u64::MAX))?.enumerate() {
        if looked >= limit {
            return Ok(false);
        }
        if let Some(expiry) = expiry? {
            sum.add(expiry);
        }
    }
    Ok(true)
}

fn add_memory<S: SegmentStore>(view: &View, at: At, sum: &mut Sum) -> Result<(), ReadError> {
    let first = Bound::Included([kv::PREFIX].as_slice());
    let mut merge = MemtableMerge::new(view, at.lsn, first, Direction::Forward);
    while let Some(version) = merge.next() {
        let key = version.key.as_bytes();
        if kv::user_key(key).is_none() {
            break;
        }
        let found = view.find::<S>(key, at)?;
        if let Some(found) = found.filter(|found| found.expiry.is_set()) {
            sum.add(found.expiry);
        }
    }
    Ok(())
}
