//! Entries on their way into the table, gathered while their keys ascend: a run between two keys of the
//! table is put in as a whole, which fills its leaves.
//!
//! One insertion splits a full leaf in the middle, and keys that ascend never come back to its first
//! half. A run is packed into full leaves, and costs one change of the branches above.

use super::write::DataTable;
use crate::errors::{TreeError, TreeTable};
use alloc::vec::Vec;
use core::ops::Bound;
use redb::{CursorError, ReadableTable};

/// Fewer keys than this in one gap of the table are put in one by one.
const RUN_MIN: usize = 8;
/// A run of so many bytes goes into the table.
const RUN_BYTES: usize = 128 << 10;

/// Keys and values, the keys in ascending order.
#[derive(Default)]
pub(super) struct Run {
    bytes: Vec<u8>,
    /// Where each key and each value ends.
    ends: Vec<(usize, usize)>,
}

impl Run {
    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= RUN_BYTES
    }

    /// Whether a key is above all that are here.
    pub(super) fn is_followed_by(&self, key: &[u8]) -> bool {
        self.ends.len().checked_sub(1).is_none_or(|last| self.key(last) < key)
    }

    pub(super) fn push(&mut self, key: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(key);
        let key_end = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.ends.push((key_end, self.bytes.len()));
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn start(&self, at: usize) -> usize {
        let before = at.checked_sub(1).and_then(|before| self.ends.get(before));
        before.map_or(0, |&(_, end)| end)
    }

    fn key(&self, at: usize) -> &[u8] {
        let end = self.ends.get(at).map_or(0, |&(end, _)| end);
        self.bytes.get(self.start(at)..end).unwrap_or_default()
    }

    fn value(&self, at: usize) -> &[u8] {
        let ends = self.ends.get(at).copied().unwrap_or_default();
        self.bytes.get(ends.0..ends.1).unwrap_or_default()
    }

    /// Puts everything into the table, and calls `put` with each key, its value, and what it had before.
    pub(super) fn put_into(
        &self,
        table: &mut DataTable<'_>,
        mut put: impl FnMut(&[u8], &[u8], Option<&[u8]>) -> Result<(), TreeError>,
    ) -> Result<(), TreeError> {
        let mut next = 0;
        while next < self.ends.len() {
            let in_gap = self.in_gap(next, table)?;
            let end = next.saturating_add(in_gap.max(RUN_MIN)).min(self.ends.len());
            if in_gap < RUN_MIN {
                for at in next..end {
                    let replaced = table.insert(self.key(at), self.value(at))?;
                    put(self.key(at), self.value(at), replaced.as_ref().map(|old| old.value()))?;
                }
            } else {
                self.fill_gap(next..end, table)?;
                (next..end).try_for_each(|at| put(self.key(at), self.value(at), None))?;
            }
            next = end;
        }
        Ok(())
    }

    /// How many keys from one on have no key of the table between them.
    fn in_gap(&self, first: usize, table: &DataTable<'_>) -> Result<usize, TreeError> {
        let left = self.ends.len().saturating_sub(first);
        if left < RUN_MIN {
            return Ok(left);
        }
        let Some(behind) = table.range(self.key(first)..)?.next().transpose()? else {
            return Ok(left);
        };
        let behind = behind.0.value();
        let (mut low, mut high) = (0, left);
        while low < high {
            let middle = low.midpoint(high);
            if self.key(first.saturating_add(middle)) < behind {
                low = middle.saturating_add(1);
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    fn fill_gap(
        &self,
        run: core::ops::Range<usize>,
        table: &mut DataTable<'_>,
    ) -> Result<(), TreeError> {
        let mut cursor = table.lower_bound_mut(Bound::Included(self.key(run.start)))?;
        for at in run {
            cursor.insert_before(self.key(at), self.value(at)).map_err(|error| match error {
                CursorError::Storage(error) => error.into(),
                _ => TreeError::Corrupt { table: TreeTable::Data },
            })?;
        }
        Ok(cursor.close()?)
    }
}
