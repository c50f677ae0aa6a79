//! Changes of the expiry index, gathered and made in its own order, when all else of a transaction is.

use super::run::Run;
use super::write::DataTable;
use crate::errors::TreeError;
use crate::expiry::{Expiry, put_index_key};
use alloc::vec::Vec;

/// Keys that come into the index, and keys that leave it.
#[derive(Default)]
pub(super) struct IndexChanges {
    bytes: Vec<u8>,
    /// End of each key, and whether it comes.
    changes: Vec<(usize, bool)>,
}

impl IndexChanges {
    /// A key expires at another time than before.
    pub(super) fn move_key(&mut self, key: &[u8], before: Expiry, now: Expiry) {
        if before == now {
            return;
        }
        if before.is_set() {
            self.push(before, key, false);
        }
        if now.is_set() {
            self.push(now, key, true);
        }
    }

    fn push(&mut self, expiry: Expiry, key: &[u8], comes: bool) {
        put_index_key(&mut self.bytes, expiry, key);
        self.changes.push((self.bytes.len(), comes));
    }

    /// Makes the changes. Of several to one key the last one holds.
    pub(super) fn make(&mut self, table: &mut DataTable<'_>) -> Result<(), TreeError> {
        let mut changes = self.sorted();
        changes.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                earlier.1 = later.1;
            }
            same
        });
        let mut run = Run::default();
        for (key, comes) in changes {
            if !comes {
                table.remove(key)?;
                continue;
            }
            run.push(key, &[]);
            if run.is_full() {
                run.put_into(table, |_, _, _| Ok(()))?;
                run.clear();
            }
        }
        run.put_into(table, |_, _, _| Ok(()))?;
        *self = Self::default();
        Ok(())
    }

    /// In the order of their keys, those of one key in the order in which they came.
    fn sorted(&self) -> Vec<(&[u8], bool)> {
        let mut start = 0;
        let mut sorted: Vec<(&[u8], bool)> = Vec::with_capacity(self.changes.len());
        for &(end, comes) in &self.changes {
            sorted.push((self.bytes.get(start..end).unwrap_or_default(), comes));
            start = end;
        }
        sorted.sort_by(|one, other| one.0.cmp(other.0));
        sorted
    }
}
