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
    /// When the row expires; `None` when the tree says.
    expiry: Option<Expiry>,
    /// A cell was put into the tree.
    filled: bool,
}

impl RowFlush {
    /// A row that the memtable changed. When it deleted the row, everything of it that is in the tree
    /// goes: all of that is older than the memtable.
    pub(super) fn begin(
        head: &Version,
        (cleared, expiry): (Lsn, Option<Expiry>),
        tree: &mut TreeWrite<'_>,
    ) -> Result<Self, TreeError> {
        if cleared > Lsn::ZERO {
            tree.remove_row(head.key.as_bytes())?;
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
            row.filled |= matches!(cell, Entry::Value(..));
        }
    }

    /// A row with cells has a head in the tree, with the LSN of its newest change; one without has
    /// nothing.
    pub(super) fn end(self, tree: &mut TreeWrite<'_>) -> Result<(), TreeError> {
        let Some(row) = self.0 else { return Ok(()) };
        let head = row.head.as_bytes();
        if row.filled || tree.has_cells(head)? {
            let expiry = match row.expiry {
                Some(expiry) => expiry,
                None => tree.expiry_of(head)?.unwrap_or_default(),
            };
            return tree.put_head(head, row.lsn, expiry);
        }
        tree.remove(head)
    }
}
