//! The row that a flush is in: from its head, through its cells, to what is left of it.

use crate::errors::TreeError;
use crate::expiry::Expiry;
use crate::memtable::{Entry, StorageKey, Version};
use crate::tree::TreeWrite;
use unison_base::Lsn;

/// Nothing, between rows, or the row at hand.
#[derive(Default)]
pub(super) struct RowFlush(Option<Open>);

struct Open {
    head: StorageKey,
    lsn: Lsn,
    cleared: Lsn,
    expiry: Expiry,
    /// A cell was put into the tree.
    filled: bool,
}

impl RowFlush {
    /// A row that the memtable changed. When it deleted the row, or the row had expired by the
    /// watermark at the first change, everything of it that is in the tree goes: all of that is
    /// older than the memtable.
    pub(super) fn begin(
        head: &Version,
        (cleared, expiry): (Lsn, Expiry),
        first_watermark: u64,
        tree: &mut TreeWrite<'_>,
    ) -> Result<Self, TreeError> {
        let key = head.key.as_bytes();
        let begins_anew = tree.earliest_expiry() <= first_watermark
            && tree.expiry_of(key)?.unwrap_or_default().is_past(first_watermark);
        if cleared > Lsn::ZERO || begins_anew {
            tree.remove_row(key)?;
        }
        let (head, lsn) = (head.key.clone(), head.lsn);
        Ok(Self(Some(Open { head, lsn, cleared, expiry, filled: false })))
    }

    /// Ends the row when the next key is not its own.
    pub(super) fn advance(self, next: &[u8], tree: &mut TreeWrite<'_>) -> Result<Self, TreeError> {
        match &self.0 {
            Some(row) if !next.starts_with(row.head.as_bytes()) => {
                self.end(tree)?;
                Ok(Self::default())
            }
            _ => Ok(self),
        }
    }

    /// Whether a cell went with its row.
    pub(super) fn is_gone(&self, cell: Lsn) -> bool {
        self.0.as_ref().is_some_and(|row| cell <= row.cleared)
    }

    /// Takes note of a cell.
    pub(super) fn note(&mut self, cell: Entry) {
        if let Some(row) = &mut self.0 {
            row.filled |= matches!(cell, Entry::Value(..) | Entry::Object(_));
        }
    }

    /// A row with cells has a head in the tree, with the LSN of its newest change; one without has
    /// nothing.
    pub(super) fn end(self, tree: &mut TreeWrite<'_>) -> Result<(), TreeError> {
        let Some(row) = self.0 else { return Ok(()) };
        let head = row.head.as_bytes();
        if row.filled || tree.has_cells(head)? {
            return tree.put_head(head, row.lsn, row.expiry);
        }
        tree.remove(head)
    }
}
