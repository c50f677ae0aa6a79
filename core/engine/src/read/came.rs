//! Whether something was there for a while, as memory remembers it.

use super::reader::{Reader, storage_key};
use super::view::View;
use crate::errors::ReadError;
use crate::memtable::{Entry, RowChange};
use unison_base::Lsn;
use unison_ports::SegmentStore;

/// Most versions of one key that are looked at.
const LOOKS_MAX: usize = 64;

impl<S: SegmentStore> Reader<S> {
    /// Whether a key, or a row of that name, was written in a record behind `after`, even if it is gone
    /// again. A removal alone does not count. What a flush has taken out of memory is forgotten, and of
    /// one that was removed very often it is assumed.
    ///
    /// # Errors
    /// [`ReadError::KeyLength`].
    pub fn came_since(&self, key: &[u8], after: Lsn) -> Result<bool, ReadError> {
        let (key, row) = (storage_key(key)?, super::row::keys(key)?);
        Ok(self.shared.view.with(|view| {
            let newest = view.bound(self.shared.applied());
            let came = |key| is_written(view, key, after, newest);
            came(key.as_bytes()) || came(row.head())
        }))
    }
}

fn is_written(view: &View, key: &[u8], after: Lsn, newest: Lsn) -> bool {
    let (mut upto, mut looks) = (newest, 0);
    for memtable in view.memtables() {
        while let Some((lsn, entry)) = memtable.find(key, upto) {
            looks += 1;
            if lsn <= after {
                return false;
            }
            if writes(&entry) || looks >= LOOKS_MAX {
                return true;
            }
            upto = lsn.prev();
        }
    }
    false
}

/// Whether a version is more than a removal, or a change of what was there before.
fn writes(entry: &Entry) -> bool {
    match entry {
        Entry::Value(..) => true,
        Entry::Row { change, .. } => *change == RowChange::Filled,
        _ => false,
    }
}
