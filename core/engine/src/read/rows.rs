//! Rows in order, cell by cell: however wide a row is, a scan holds one cell.

use super::entries::{Bounds, Content, Entries, Version, higher, lower, until_end};
use super::own::record_of;
use super::row::{Column, head_of, text};
use super::value::{Found, Pin};
use crate::errors::ReadError;
use crate::expiry::{At, Expiry};
use crate::memtable::Direction;
use crate::models::row::{RowKeys, row_of, start};
use crate::models::successor;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Bound;
use unison_base::Lsn;
use unison_ports::SegmentStore;

/// Which rows, and in which order: that of their keys' bytes. Prefix and bounds all hold; with
/// `reverse` rows and columns come from the highest down.
#[derive(Clone, Copy, Debug)]
pub struct RowScanRequest<'a> {
    /// Only rows whose keys begin with this; empty means all.
    pub prefix: &'a [u8],
    /// Lowest row.
    pub start: Bound<&'a [u8]>,
    /// Highest row.
    pub end: Bound<&'a [u8]>,
    /// From the highest row down.
    pub reverse: bool,
    /// Begin behind this row and column: where a page ended.
    pub after: Option<(&'a [u8], &'a str)>,
}

impl Default for RowScanRequest<'_> {
    fn default() -> Self {
        let (start, end) = (Bound::Unbounded, Bound::Unbounded);
        Self { prefix: &[], start, end, reverse: false, after: None }
    }
}

/// A row that a scan is in.
#[derive(Debug)]
pub struct ScannedRow {
    /// The row's key as its user gave it.
    pub key: Vec<u8>,
    /// LSN of the newest record that changed the row.
    pub lsn: Lsn,
    /// When the row expires, milliseconds since 1970; 0 = never.
    pub expires_at: u64,
}

/// One column of one row.
#[derive(Debug)]
pub struct Cell<S: SegmentStore> {
    /// The row; cells of the same row share it.
    pub row: Arc<ScannedRow>,
    /// The column.
    pub column: Column<S>,
}

/// Iterator over the cells of rows in one snapshot. After an error it yields nothing more.
pub struct RowScan<S: SegmentStore> {
    entries: Entries<S>,
    at: At,
    row: Option<Current>,
    ended: bool,
}

/// The row at hand.
struct Current {
    head: Vec<u8>,
    cleared: Lsn,
    row: Arc<ScannedRow>,
}

impl<S: SegmentStore> RowScan<S> {
    pub(crate) fn new(
        pin: Arc<Pin<S>>,
        at: At,
        request: &RowScanRequest<'_>,
    ) -> Result<Self, ReadError> {
        let direction = if request.reverse { Direction::Backward } else { Direction::Forward };
        let entries = Entries::new(pin, at, bounds(request), direction)?;
        Ok(Self { entries, at, row: None, ended: false })
    }

    fn next_cell(&mut self) -> Result<Option<Cell<S>>, ReadError> {
        while let Some(version) = self.entries.step()? {
            let (head, name) = head_of(version.key())?;
            if self.row.as_ref().is_none_or(|current| current.head != head) {
                let current = self.enter(head, name, &version)?;
                if current.cleared > Lsn::ZERO {
                    self.entries.pass_tree(&current.head)?;
                }
                self.row = Some(current);
            }
            let Some(current) = self.row.as_ref().filter(|_| !name.is_empty()) else { continue };
            let name = text(name)?;
            if let Content::Value(place) = version.content
                && version.lsn > current.cleared
            {
                let (lsn, expiry) = (version.lsn, version.expiry);
                let value = Found { lsn, expiry, place }.lazy(&self.entries.pin);
                let row = Arc::clone(&current.row);
                return Ok(Some(Cell { row, column: Column { name, value } }));
            }
        }
        Ok(None)
    }

    /// What the row's head says. One that the scan itself meets in the tree is in no memtable.
    fn enter(&self, head: &[u8], name: &[u8], version: &Version<S>) -> Result<Current, ReadError> {
        let (lsn, cleared, expiry) = match version.content {
            Content::Value(_) if name.is_empty() => (version.lsn, Lsn::ZERO, version.expiry),
            _ => match self.entries.pin.view.row(head, self.at)? {
                Some(known) => (known.lsn, known.cleared, known.expiry),
                // It has expired: none of its cells is left.
                None => (version.lsn, Lsn::MAX, Expiry::NEVER),
            },
        };
        let (key, lsn, expires_at) = (row_of(head), record_of(lsn), expiry.0);
        let row = Arc::new(ScannedRow { key, lsn, expires_at });
        Ok(Current { head: head.into(), cleared, row })
    }
}

impl<S: SegmentStore> Iterator for RowScan<S> {
    type Item = Result<Cell<S>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        until_end(self, |entries| &mut entries.ended, Self::next_cell)
    }
}

/// Lowest and highest key in storage form: the tightest of prefix, bounds and where the page before
/// ended.
fn bounds(request: &RowScanRequest<'_>) -> Bounds {
    let prefix = start(request.prefix);
    let head = |row: &[u8]| RowKeys::new(row).head().to_vec();
    let behind = |row: &[u8]| successor(RowKeys::new(row).head());
    let low = match request.start {
        Bound::Included(row) => Bound::Included(head(row)),
        Bound::Excluded(row) => Bound::Included(behind(row)),
        Bound::Unbounded => Bound::Unbounded,
    };
    let high = match request.end {
        Bound::Included(row) => Bound::Excluded(behind(row)),
        Bound::Excluded(row) => Bound::Excluded(head(row)),
        Bound::Unbounded => Bound::Unbounded,
    };
    let high = lower(high, Bound::Excluded(successor(&prefix)));
    let low = higher(low, Bound::Included(prefix));
    let after = request.after.map_or(Bound::Unbounded, |(row, column)| {
        Bound::Excluded(RowKeys::new(row).cell(column.as_bytes()).to_vec())
    });
    if request.reverse { (low, lower(high, after)) } else { (higher(low, after), high) }
}

impl<S: SegmentStore> fmt::Debug for RowScan<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = &self.entries.direction;
        f.debug_struct("RowScan").field("direction", direction).finish_non_exhaustive()
    }
}
