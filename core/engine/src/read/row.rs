//! One row: its version, single columns, and its columns in order.

use super::entries::{Bounds, Content, Entries, higher, lower, until_end};
use super::own::record_of;
use super::value::{Found, Pin, ValueRef};
use super::view::{RowVersion, View};
use crate::errors::{ReadError, TreeError, TreeTable};
use crate::expiry::{At, Expiry};
use crate::memtable::{Direction, RowChange};
use crate::models::row::{RowKeys, split};
use crate::models::successor;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Bound;
use unison_base::Lsn;
use unison_base::limits::{COLUMN_NAME_MAX, KEY_MAX};
use unison_ports::SegmentStore;

/// Which columns of a row, and in which order. Columns are in the order of their names' bytes.
#[derive(Clone, Copy, Debug)]
pub struct ColumnRange<'a> {
    /// Lowest name.
    pub start: Bound<&'a str>,
    /// Highest name.
    pub end: Bound<&'a str>,
    /// From the highest name down.
    pub reverse: bool,
}

impl Default for ColumnRange<'_> {
    fn default() -> Self {
        Self { start: Bound::Unbounded, end: Bound::Unbounded, reverse: false }
    }
}

/// A column of a row.
#[derive(Debug)]
pub struct Column<S: SegmentStore> {
    /// Its name.
    pub name: String,
    /// The value, read when asked for.
    pub value: ValueRef<S>,
}

/// A row of a snapshot that has at least one column.
pub struct Row<S: SegmentStore> {
    pin: Arc<Pin<S>>,
    at: At,
    head: Vec<u8>,
    version: RowVersion,
}

impl<S: SegmentStore> Row<S> {
    /// The row as it is at `at`; `None` when it has no column.
    pub(crate) fn find(pin: &Arc<Pin<S>>, row: &[u8], at: At) -> Result<Option<Self>, ReadError> {
        Self::find_head(pin, keys(row)?.head(), at)
    }

    /// The same, by the row's head.
    pub(crate) fn find_head(
        pin: &Arc<Pin<S>>,
        head: &[u8],
        at: At,
    ) -> Result<Option<Self>, ReadError> {
        let head = head.to_vec();
        let Some(version) = pin.view.row(&head, at)? else { return Ok(None) };
        let row = Self { pin: Arc::clone(pin), at, head, version };
        Ok(row.is_there()?.then_some(row))
    }

    fn is_there(&self) -> Result<bool, ReadError> {
        match self.version.last {
            RowChange::Filled => Ok(true),
            RowChange::Deleted | RowChange::Kept => Ok(false),
            RowChange::Thinned => {
                Ok(self.columns(ColumnRange::default())?.next().transpose()?.is_some())
            }
        }
    }

    /// LSN of the newest record that changed the row.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        record_of(self.version.lsn)
    }

    /// When the row expires with all its columns, milliseconds since 1970; 0 = never.
    #[must_use]
    pub fn expires_at(&self) -> u64 {
        self.version.expiry.0
    }

    /// The value of one column.
    ///
    /// # Errors
    /// [`ReadError::ColumnLength`]; what the tree says when it cannot be read.
    pub fn column(&self, name: &str) -> Result<Option<ValueRef<S>>, ReadError> {
        let key = [&*self.head, column_name(name)?].concat();
        let found = cell(&self.pin.view, &key, self.at, self.version.cleared)?;
        Ok(found.map(|found| found.lazy(&self.pin)))
    }

    /// Key of its head.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Cells up to this record are gone.
    pub(super) fn cleared(&self) -> Lsn {
        self.version.cleared
    }

    /// Columns in order. A page ends where the caller stops; the next one starts behind the last
    /// name (`Bound::Excluded`).
    ///
    /// # Errors
    /// What the tree says when it cannot be read.
    pub fn columns(&self, range: ColumnRange<'_>) -> Result<Columns<S>, ReadError> {
        let direction = if range.reverse { Direction::Backward } else { Direction::Forward };
        let bounds = bounds(&self.head, &range);
        let entries = self.cells(bounds, direction)?;
        let (head, cleared) = (self.head.len(), self.version.cleared);
        Ok(Columns { entries, head, cleared, ended: false })
    }

    /// Cells of the row between two keys.
    pub(super) fn cells(
        &self,
        bounds: Bounds,
        direction: Direction,
    ) -> Result<Entries<S>, ReadError> {
        let mut entries = Entries::new(Arc::clone(&self.pin), self.at, bounds, direction)?;
        if self.version.cleared > Lsn::ZERO {
            // Nothing of the tree is left of a row that was deleted behind the checkpoint.
            entries.pass_tree(&self.head)?;
        }
        Ok(entries)
    }
}

/// A cell of a row by its name's bytes.
pub(super) fn cell_of<S: SegmentStore>(
    row: &Row<S>,
    name: &[u8],
) -> Result<Option<Found<S>>, ReadError> {
    cell(&row.pin.view, &[&*row.head, name].concat(), row.at, row.version.cleared)
}

/// Iterator over columns of one row. After an error it yields nothing more.
pub struct Columns<S: SegmentStore> {
    entries: Entries<S>,
    /// Bytes of the row's head.
    head: usize,
    cleared: Lsn,
    ended: bool,
}

impl<S: SegmentStore> Columns<S> {
    fn next_column(&mut self) -> Result<Option<Column<S>>, ReadError> {
        while let Some(version) = self.entries.step()? {
            let name = text(version.key().get(self.head..).unwrap_or_default())?;
            if let Content::Value(place) = version.content
                && version.lsn > self.cleared
            {
                let (lsn, expiry) = (version.lsn, Expiry::NEVER);
                let value = Found { lsn, expiry, place }.lazy(&self.entries.pin);
                return Ok(Some(Column { name, value }));
            }
        }
        Ok(None)
    }
}

impl<S: SegmentStore> Iterator for Columns<S> {
    type Item = Result<Column<S>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        until_end(self, |entries| &mut entries.ended, Self::next_column)
    }
}

/// A cell, unless its row was deleted behind it.
pub(crate) fn cell<S: SegmentStore>(
    view: &View,
    key: &[u8],
    at: At,
    cleared: Lsn,
) -> Result<Option<Found<S>>, ReadError> {
    Ok(view.find(key, at)?.filter(|found| found.lsn > cleared))
}

/// The keys of a row that a reader asks for.
pub(crate) fn keys(row: &[u8]) -> Result<RowKeys, ReadError> {
    if row.is_empty() || row.len() > KEY_MAX {
        return Err(ReadError::KeyLength { bytes: row.len(), limit: KEY_MAX });
    }
    Ok(RowKeys::new(row))
}

/// The name of a column that a reader asks for.
pub(super) fn column_name(name: &str) -> Result<&[u8], ReadError> {
    if name.is_empty() || name.len() > COLUMN_NAME_MAX {
        return Err(ReadError::ColumnLength { bytes: name.len(), limit: COLUMN_NAME_MAX });
    }
    Ok(name.as_bytes())
}

/// Names were verified as text when they came.
pub(super) fn text(name: &[u8]) -> Result<String, TreeError> {
    let text = core::str::from_utf8(name).map(String::from);
    text.map_err(|_| TreeError::Corrupt { table: TreeTable::Data })
}

/// The head of a key of a row.
pub(super) fn head_of(key: &[u8]) -> Result<(&[u8], &[u8]), TreeError> {
    split(key).ok_or(TreeError::Corrupt { table: TreeTable::Data })
}

/// From behind the head to the end of the row, or the tighter range.
fn bounds(head: &[u8], range: &ColumnRange<'_>) -> Bounds {
    let stored = |name: &str| [head, name.as_bytes()].concat();
    let (low, high) = (Bound::Excluded(head.to_vec()), Bound::Excluded(successor(head)));
    (higher(low, range.start.map(stored)), lower(high, range.end.map(stored)))
}

impl<S: SegmentStore> fmt::Debug for Row<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row").field("lsn", &self.lsn()).finish_non_exhaustive()
    }
}

impl<S: SegmentStore> fmt::Debug for Columns<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = &self.entries.direction;
        f.debug_struct("Columns").field("direction", direction).finish_non_exhaustive()
    }
}
