//! Writes to rows: their parts, their limits, and what they leave in the memtable.

use super::{Condition, Operation, Write};
use crate::apply::{located, row_change};
use crate::engine::Engine;
use crate::errors::WriteError;
use crate::expiry::{At, Expiry};
use crate::memtable::{Entry, RowChange};
use crate::models::row::{RowKeys, head_bytes, index_bytes_of};
use crate::read::{Pin, Row, View, cell};
use alloc::sync::Arc;
use unison_base::limits::{
    BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, COLUMN_NAME_MAX, INDEX_BYTES_MAX, KEY_MAX,
    ROW_COLUMNS_MAX, VALUE_MAX,
};
use unison_base::{Lsn, Position};
use unison_ports::SegmentStore;

/// Columns of one row, with values.
///
/// ```
/// use std::sync::Arc;
/// use unison_engine::{ColumnRange, ColumnValues, Engine, EngineOptions, Operation, Write};
/// use unison_sim::disk::CrashDisk;
///
/// let now_ms = 1_700_000_000_000;
/// let disk = CrashDisk::new();
/// let tree = redb::Database::builder().create_with_backend(disk.tree("default"))?;
/// let store = Arc::new(disk.store("default"));
/// let (mut engine, _report) = Engine::open(store, tree, EngineOptions::default(), now_ms)?;
///
/// let before: [(&str, &[u8]); 2] = [("state", b"open"), ("lock", b"off")];
/// for columns in [&before[..], &[("lock", b"on"), ("by", b"7")]] {
///     let rows = [ColumnValues { row: b"door-7", columns }];
///     engine.stage(&Write::new(Operation::PutColumns(&rows)), now_ms)?;
/// }
/// engine.append(now_ms)?;
/// engine.publish(engine.appended());
/// let row = engine.reader().snapshot().row(b"door-7")?.unwrap();
/// let names = row.columns(ColumnRange::default())?.map(|column| column.unwrap().name);
/// assert_eq!(names.collect::<Vec<_>>(), ["by", "lock", "state"]);
/// assert_eq!(&*row.column("lock")?.unwrap().bytes()?, b"on");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ColumnValues<'a> {
    /// The row's key.
    pub row: &'a [u8],
    /// Names and values.
    pub columns: &'a [(&'a str, &'a [u8])],
}

/// Columns of one row, by name.
#[derive(Clone, Copy, Debug)]
pub struct ColumnNames<'a> {
    /// The row's key.
    pub row: &'a [u8],
    /// Names.
    pub columns: &'a [&'a str],
}

/// What happens to one row.
#[derive(Clone, Copy)]
pub(crate) enum Part<'a> {
    Put(&'a [(&'a str, &'a [u8])]),
    Delete(&'a [&'a str]),
    DeleteRow,
    Expire,
}

impl<'a> Part<'a> {
    const fn columns(&self) -> usize {
        match self {
            Self::Put(columns) => columns.len(),
            Self::Delete(columns) => columns.len(),
            Self::DeleteRow | Self::Expire => 0,
        }
    }

    fn at(&self, index: usize) -> (&'a str, Option<&'a [u8]>) {
        let column = match *self {
            Self::Put(columns) => columns.get(index).map(|&(name, value)| (name, Some(value))),
            Self::Delete(columns) => columns.get(index).map(|&name| (name, None)),
            Self::DeleteRow | Self::Expire => None,
        };
        column.unwrap_or_default()
    }

    /// Names, and values unless they are deleted.
    pub(crate) fn iter(self) -> impl ExactSizeIterator<Item = (&'a str, Option<&'a [u8]>)> {
        (0..self.columns()).map(move |index| self.at(index))
    }

    const fn change(&self) -> RowChange {
        match self {
            Self::Put(_) => RowChange::Filled,
            Self::Delete(_) => RowChange::Thinned,
            Self::DeleteRow => RowChange::Deleted,
            Self::Expire => RowChange::Kept,
        }
    }
}

impl<'a> Operation<'a> {
    /// Calls `visit` with every row until it fails. Keys have none.
    pub(crate) fn try_each_row<E>(
        &self,
        mut visit: impl FnMut(&'a [u8], Part<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        match *self {
            Self::PutColumns(rows) => {
                rows.iter().try_for_each(|row| visit(row.row, Part::Put(row.columns)))
            }
            Self::DeleteColumns(rows) => {
                rows.iter().try_for_each(|row| visit(row.row, Part::Delete(row.columns)))
            }
            Self::DeleteRows(rows) => rows.iter().try_for_each(|row| visit(row, Part::DeleteRow)),
            Self::ExpireRow { row } => visit(row, Part::Expire),
            _ => Ok(()),
        }
    }

    /// Calls `visit` with every row.
    pub(crate) fn each_row(&self, mut visit: impl FnMut(&'a [u8], Part<'a>)) {
        let visited: Result<(), core::convert::Infallible> = self.try_each_row(|row, part| {
            visit(row, part);
            Ok(())
        });
        let Ok(()) = visited;
    }
}

/// Bytes and operations of the rows so far.
#[derive(Default)]
struct Sum {
    operations: usize,
    bytes: usize,
    index_bytes: usize,
}

impl Sum {
    fn add(&mut self, row: &[u8], part: Part<'_>) {
        self.operations = self.operations.saturating_add(part.columns().max(1));
        self.bytes = self.bytes.saturating_add(row.len());
        for (name, value) in part.iter() {
            let bytes = name.len().saturating_add(value.map_or(0, <[u8]>::len));
            self.bytes = self.bytes.saturating_add(bytes);
        }
        let names = part.iter().map(|(name, _)| name);
        let index_bytes = index_bytes_of(head_bytes(row), names, INDEX_BYTES_MAX);
        self.index_bytes = self.index_bytes.saturating_add(index_bytes);
    }

    fn check(&self) -> Result<(), WriteError> {
        if self.operations > BATCH_OPERATIONS_MAX {
            let (operations, limit) = (self.operations, BATCH_OPERATIONS_MAX);
            return Err(WriteError::BatchOperations { operations, limit });
        }
        if self.index_bytes > INDEX_BYTES_MAX {
            let (bytes, limit) = (self.index_bytes, INDEX_BYTES_MAX);
            return Err(WriteError::IndexBytes { bytes, limit });
        }
        Ok(())
    }
}

/// Refuses an operation on rows that breaks a limit.
pub(super) fn check(operation: &Operation<'_>) -> Result<(), WriteError> {
    let mut sum = Sum::default();
    operation.try_each_row(|row, part| {
        check_row(row, part)?;
        part.iter().try_for_each(|(name, value)| check_column(name, value))?;
        sum.add(row, part);
        sum.check()
    })?;
    if sum.operations > 1 && sum.bytes > BATCH_BYTES_MAX {
        return Err(WriteError::BatchBytes { bytes: sum.bytes, limit: BATCH_BYTES_MAX });
    }
    Ok(())
}

fn check_row(row: &[u8], part: Part<'_>) -> Result<(), WriteError> {
    if row.is_empty() || row.len() > KEY_MAX {
        return Err(WriteError::KeyLength { bytes: row.len(), limit: KEY_MAX });
    }
    match part.columns() {
        0 if matches!(part, Part::DeleteRow | Part::Expire) => Ok(()),
        1..=ROW_COLUMNS_MAX => Ok(()),
        columns => Err(WriteError::Columns { columns, limit: ROW_COLUMNS_MAX }),
    }
}

fn check_column(name: &str, value: Option<&[u8]>) -> Result<(), WriteError> {
    let (bytes, value_bytes) = (name.len(), value.map_or(0, <[u8]>::len));
    if bytes == 0 || bytes > COLUMN_NAME_MAX {
        return Err(WriteError::ColumnLength { bytes, limit: COLUMN_NAME_MAX });
    }
    if value_bytes > VALUE_MAX {
        return Err(WriteError::ValueLength { bytes: value_bytes, limit: VALUE_MAX });
    }
    Ok(())
}

/// What the rows of a write were before it.
#[derive(Default)]
pub(super) struct RowsBefore {
    pub(super) existed: bool,
    pub(super) existing: u32,
}

impl<S: SegmentStore> Engine<S> {
    /// Looks at the rows of a write, and at their columns when it asks for that.
    pub(super) fn look_at_rows(
        &self,
        write: &Write<'_>,
        view: &Arc<View>,
        now_ms: u64,
    ) -> Result<RowsBefore, WriteError> {
        let pin = Arc::new(Pin { view: Arc::clone(view), log: self.shared.log.clone() });
        let at = At::newest(now_ms);
        let mut before = RowsBefore::default();
        write.operation.try_each_row(|row, part| {
            let columns_only = write.condition == Condition::Always && part.columns() > 0;
            let version = match columns_only {
                true => None,
                false => Row::find(&pin, row, at)?.as_ref().map(Row::lsn),
            };
            super::condition::allowed(write, version)?;
            let existing = match part {
                Part::DeleteRow | Part::Expire => u32::from(version.is_some()),
                _ if write.want_previous => existing_columns(&pin, row, part, at)?,
                _ => 0,
            };
            before.existing = before.existing.saturating_add(existing);
            before.existed |= if write.want_previous { existing > 0 } else { version.is_some() };
            Ok::<(), WriteError>(())
        })?;
        Ok(before)
    }

    /// Puts the versions of the rows just staged into the memtable.
    pub(super) fn remember_rows(
        &self,
        write: &Write<'_>,
        expiries: &[Expiry],
        lsn: Lsn,
        position: Position,
    ) {
        let all = write.expiry();
        let mut expiries = expiries.iter();
        let mut spans = self.encoder.spans().iter();
        write.operation.each_row(|row, part| {
            let mut keys = RowKeys::new(row);
            let expiry = expiries.next().copied().unwrap_or(all);
            self.active.insert(keys.head(), lsn, row_change(part.change(), lsn, expiry));
            for (name, value) in part.iter() {
                let span = spans.next().copied().unwrap_or_default();
                let value = value.map(|value| located(position, span, value, Expiry::NEVER));
                let cell = value.unwrap_or(Entry::Tombstone);
                self.active.insert(keys.cell(name.as_bytes()), lsn, cell);
            }
        });
    }
}

/// How many of the named columns are there, staged ones included.
fn existing_columns<S: SegmentStore>(
    pin: &Pin<S>,
    row: &[u8],
    part: Part<'_>,
    at: At,
) -> Result<u32, WriteError> {
    let mut keys = RowKeys::new(row);
    let Some(cleared) = pin.view.cleared(keys.head(), at)? else { return Ok(0) };
    let mut existing = 0;
    for (name, _) in part.iter() {
        let found = cell::<S>(&pin.view, keys.cell(name.as_bytes()), at, cleared)?;
        existing += u32::from(found.is_some());
    }
    Ok(existing)
}
