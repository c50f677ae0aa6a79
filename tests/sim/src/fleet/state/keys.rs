//! Keys and rows.

use super::super::model::{Column, Key, Row, Value};
use super::super::trace::Digest;
use super::{Look, Looked};
use unison_base::Lsn;
use unison_engine::{Cell, ColumnRange, RowScanRequest, ScanRequest};

impl Look<'_> {
    pub(super) fn at_key(&self, key: &[u8]) -> Looked {
        let held = self.reader.get(key)?;
        let held = match held {
            Some(value) => Some((value.lsn(), value.expires_at(), value.bytes()?)),
            None => None,
        };
        let due = self.model.pair(key, self.at);
        let same = match (&held, due) {
            (None, None) => true,
            (Some((lsn, expires_at, bytes)), Some((due_lsn, due))) => {
                (*lsn, *expires_at) == (due_lsn, due.expires_at) && bytes[..] == due.value[..]
            }
            _ => false,
        };
        let seen = held.as_ref().map(|(lsn, ..)| *lsn);
        let due = due.map(|(lsn, _)| lsn);
        Ok((!same).then(|| format!("{} at {:?}: {seen:?} instead of {due:?}", text(key), self.at)))
    }

    pub(super) fn at_row(&self, row: &[u8]) -> Looked {
        let due = self.model.row(row, self.at);
        let found = self.snapshot.row(row)?;
        let held = found.as_ref().map(|row| (row.lsn(), row.expires_at()));
        if held != due.map(|(lsn, row)| (lsn, row.expires_at)) {
            let due = due.map(|(lsn, _)| lsn);
            return Ok(Some(format!(
                "{} at {:?}: {held:?} instead of {due:?}",
                text(row),
                self.at
            )));
        }
        let (Some(found), Some((_, due))) = (found, due) else { return Ok(None) };
        let mut due = due.columns.iter();
        for column in found.columns(ColumnRange::default())? {
            let column = column?;
            let bytes = column.value.bytes()?;
            let same = due.next().is_some_and(|(name, (lsn, value))| {
                (name, *lsn) == (&column.name, column.value.lsn()) && bytes[..] == value[..]
            });
            if !same {
                let (name, row) = (column.name, text(row));
                return Ok(Some(format!("{name} of {row} at {:?} is not due", self.at)));
            }
        }
        let missing =
            |(column, _)| format!("{column} of {} is missing at {:?}", text(row), self.at);
        Ok(due.next().map(missing))
    }

    pub(super) fn at_keys(&self, digest: &mut Digest) -> Looked {
        let mut due = self.model.pairs(self.at);
        for item in self.snapshot.scan(ScanRequest::default())? {
            let item = item?;
            let bytes = item.value.bytes()?;
            digest.take(&item.key);
            digest.take(&bytes);
            let same = due.next().is_some_and(|(key, lsn, pair)| {
                (key, lsn, pair.expires_at) == (&item.key, item.lsn, item.value.expires_at())
                    && bytes[..] == pair.value[..]
            });
            if !same {
                let (key, lsn) = (text(&item.key), item.lsn);
                return Ok(Some(format!("{key} of {lsn} at {:?} is not due", self.at)));
            }
        }
        let missing = |(key, lsn, _): (&Vec<u8>, Lsn, _)| {
            format!("{} of {lsn} is missing at {:?}", text(key), self.at)
        };
        Ok(due.next().map(missing))
    }

    pub(super) fn at_rows(&self, digest: &mut Digest) -> Looked {
        let mut due = self.model.rows(self.at).flat_map(cells_of);
        for cell in self.snapshot.rows(RowScanRequest::default())? {
            let Cell { row, column } = cell?;
            let bytes = column.value.bytes()?;
            digest.take(&row.key);
            digest.take(column.name.as_bytes());
            digest.take(&bytes);
            let same = due.next().is_some_and(|(key, of_row, name, lsn, value)| {
                (key, name, lsn) == (&row.key, &column.name, column.value.lsn())
                    && of_row == (row.lsn, row.expires_at)
                    && bytes[..] == value[..]
            });
            if !same {
                let (name, row) = (column.name, text(&row.key));
                return Ok(Some(format!("{name} of {row} at {:?} is not due", self.at)));
            }
        }
        let missing = |(row, _, column, ..): (&Vec<u8>, _, &String, _, _)| {
            format!("{column} of {} is missing at {:?}", text(row), self.at)
        };
        Ok(due.next().map(missing))
    }
}

/// A cell that is due: its row, what that is like, the column, its record and its value.
type Due<'a> = (&'a Key, (Lsn, u64), &'a Column, Lsn, &'a Value);

fn cells_of<'a>((key, lsn, row): (&'a Key, Lsn, &'a Row)) -> impl Iterator<Item = Due<'a>> {
    let of_row = (lsn, row.expires_at);
    row.columns.iter().map(move |(name, (cell, value))| (key, of_row, name, *cell, value))
}

pub(super) fn text(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}
