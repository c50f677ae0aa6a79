//! The exact number of keys of the key-value model: what the tree counted at its checkpoint, corrected by what memory
//! knows. Every key in memory costs one look into the tree's keys; no value is read.

use super::merge::MemtableMerge;
use super::view::View;
use crate::errors::ReadError;
use crate::memtable::{Direction, Entry};
use crate::models::kv;
use core::ops::Bound;
use unison_base::Lsn;

/// The newest answer, kept until something changes.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) lsn: Lsn,
    pub(crate) keys: u64,
}

pub(crate) fn count(view: &View, lsn: Lsn) -> Result<u64, ReadError> {
    let mut keys = view.tree.checkpoint.keys;
    let first = Bound::Included([kv::PREFIX].as_slice());
    let mut merge = MemtableMerge::new(view, lsn, first, Direction::Forward);
    while let Some(version) = merge.next() {
        if kv::user_key(version.key.as_bytes()).is_none() {
            break;
        }
        let before = view.tree.find(version.key.as_bytes(), |_| ())?.is_some();
        match (before, version.entry) {
            (false, Entry::Value(_)) => keys = keys.saturating_add(1),
            (true, Entry::Tombstone) => keys = keys.saturating_sub(1),
            _ => {}
        }
    }
    Ok(keys)
}
