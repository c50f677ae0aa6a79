//! What the namespace holds after each record, computed from what was written and from nothing
//! else.

use std::collections::BTreeMap;
use std::sync::Arc;
use unison_base::Lsn;
use unison_base::prng::Prng;

pub(super) type Key = Vec<u8>;
pub(super) type Value = Arc<[u8]>;
/// Name of a column.
pub(super) type Column = String;

type Versions = Vec<(Lsn, Option<Value>)>;

/// Columns that a row may have.
const COLUMNS: u64 = 9;

/// One record.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Put(Vec<(Key, Value)>),
    Delete(Vec<Key>),
    /// Columns of rows.
    PutColumns(Vec<(Key, Vec<(Column, Value)>)>),
    DeleteColumns(Vec<(Key, Vec<Column>)>),
    DeleteRows(Vec<Key>),
}

/// How the clients of one seed write.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writing {
    /// Different keys.
    pub(super) keys: u64,
    /// Percent of records that are batches.
    pub(super) batches: u64,
    /// Percent of records that are about rows.
    pub(super) rows: u64,
    /// Percent of records that delete.
    pub(super) deletes: u64,
    /// All values have this size, if set: then a stale frame fits where a new one was.
    pub(super) value_bytes: Option<u64>,
}

impl Change {
    pub(super) fn draw(writing: &Writing, prng: &mut Prng) -> Self {
        let count = if prng.chance(writing.batches) { prng.between(2, 5) } else { 1 };
        let of_rows = prng.chance(writing.rows);
        let name = |prng: &mut Prng| {
            if of_rows { row(prng.below(writing.keys)) } else { key(prng.below(writing.keys)) }
        };
        let mut keys: Vec<_> = (0..count).map(|_| name(prng)).collect();
        keys.sort();
        keys.dedup();
        if of_rows {
            return Self::draw_rows(keys, writing, prng);
        }
        if prng.chance(writing.deletes) {
            return Self::Delete(keys);
        }
        Self::Put(keys.into_iter().map(|key| (key, value(writing, prng))).collect())
    }

    fn draw_rows(rows: Vec<Key>, writing: &Writing, prng: &mut Prng) -> Self {
        if prng.chance(writing.deletes / 2) {
            return Self::DeleteRows(rows);
        }
        let deletes = prng.chance(writing.deletes);
        let puts: Vec<(Key, Vec<(Column, Value)>)> = rows
            .into_iter()
            .map(|row| (row, columns(prng).map(|name| (name, value(writing, prng))).collect()))
            .collect();
        if !deletes {
            return Self::PutColumns(puts);
        }
        let names = |columns: Vec<(Column, Value)>| columns.into_iter().map(|(name, _)| name);
        Self::DeleteColumns(puts.into_iter().map(|(row, at)| (row, names(at).collect())).collect())
    }

    fn keys(&self) -> Vec<&Key> {
        match self {
            Self::Put(entries) => entries.iter().map(|(key, _)| key).collect(),
            Self::Delete(keys) => keys.iter().collect(),
            _ => Vec::new(),
        }
    }

    fn rows(&self) -> Vec<&Key> {
        match self {
            Self::PutColumns(rows) => rows.iter().map(|(row, _)| row).collect(),
            Self::DeleteColumns(rows) => rows.iter().map(|(row, _)| row).collect(),
            Self::DeleteRows(rows) => rows.iter().collect(),
            Self::Put(_) | Self::Delete(_) => Vec::new(),
        }
    }
}

/// The key of a number.
pub(super) fn key(number: u64) -> Key {
    format!("sensor/{number:04}").into_bytes()
}

/// The row of a number: fewer than keys, so that they grow wide.
pub(super) fn row(number: u64) -> Key {
    format!("device/{:03}", number / 3).into_bytes()
}

/// One to three columns that lie beside each other.
fn columns(prng: &mut Prng) -> impl Iterator<Item = Column> + use<> {
    let (first, count) = (prng.below(COLUMNS), prng.between(1, 3));
    (first..COLUMNS.min(first + count)).map(|number| format!("column{number}"))
}

/// Sizes lie on both sides of the bound for values in the tree.
fn value(writing: &Writing, prng: &mut Prng) -> Value {
    let bytes = writing.value_bytes.unwrap_or_else(|| match prng.below(100) {
        0..10 => 0,
        10..60 => prng.between(1, 128),
        60..90 => prng.between(129, 700),
        90..99 => prng.between(700, 3_000),
        _ => prng.between(3_000, 12_000),
    });
    let mut value = vec![0; usize::try_from(bytes).unwrap_or(0)];
    prng.fill(&mut value);
    value.into()
}

/// Every record that may be in the log, and every version it made.
#[derive(Debug, Default)]
pub(super) struct Model {
    changes: Vec<Change>,
    /// Records whose append failed, each with the one before the first of them. Their clients were
    /// told of an error, not of a loss: until another append succeeds, a power cut may bring them
    /// back.
    failed: Vec<(Lsn, Vec<Change>)>,
    versions: BTreeMap<Key, Versions>,
    cells: BTreeMap<Key, BTreeMap<Column, Versions>>,
}

impl Model {
    /// The newest record.
    pub(super) fn last(&self) -> Lsn {
        Lsn(self.changes.len() as u64)
    }

    /// A record was handed to the log, which gave it `lsn`. What had that number before, or a higher
    /// one, never came to be.
    pub(super) fn written(&mut self, lsn: Lsn, change: Change) {
        self.truncate(lsn.prev());
        self.write(lsn, &change);
        self.changes.push(change);
    }

    fn write(&mut self, lsn: Lsn, change: &Change) {
        match change {
            Change::Put(entries) => {
                for (key, value) in entries {
                    let version = (lsn, Some(Arc::clone(value)));
                    self.versions.entry(key.clone()).or_default().push(version);
                }
            }
            Change::Delete(keys) => {
                for key in keys {
                    self.versions.entry(key.clone()).or_default().push((lsn, None));
                }
            }
            Change::PutColumns(rows) => {
                for (row, columns) in rows {
                    for (name, value) in columns {
                        self.cell(row, name).push((lsn, Some(Arc::clone(value))));
                    }
                }
            }
            Change::DeleteColumns(rows) => {
                for (row, columns) in rows {
                    columns.iter().for_each(|name| self.cell(row, name).push((lsn, None)));
                }
            }
            Change::DeleteRows(rows) => {
                for row in rows {
                    let cells = self.cells.get_mut(row).into_iter().flatten();
                    cells.for_each(|(_, versions)| versions.push((lsn, None)));
                }
            }
        }
    }

    fn cell(&mut self, row: &Key, column: &Column) -> &mut Versions {
        self.cells.entry(row.clone()).or_default().entry(column.clone()).or_default()
    }

    /// An append succeeded: nothing that failed before it can come back.
    pub(super) fn settle(&mut self) {
        self.failed.clear();
    }

    /// The append of what is above `last` failed.
    pub(super) fn fail_above(&mut self, last: Lsn) {
        let kept = usize::try_from(last.0).unwrap_or(usize::MAX);
        let failed = self.changes.get(kept..).unwrap_or_default().to_vec();
        self.truncate(last);
        self.failed.push((last, failed));
    }

    /// Another history of the newest records that may have come true, if there is one left.
    pub(super) fn recall(&mut self) -> bool {
        let Some((last, changes)) = self.failed.pop() else { return false };
        self.truncate(last);
        for change in changes {
            self.written(self.last().next(), change);
        }
        true
    }

    /// Records above `last` are gone.
    pub(super) fn truncate(&mut self, last: Lsn) {
        while self.last() > last {
            let Some(change) = self.changes.pop() else { return };
            for key in change.keys() {
                let versions = self.versions.get_mut(key);
                versions.into_iter().for_each(|versions| versions.retain(|&(lsn, _)| lsn <= last));
            }
            for row in change.rows() {
                let cells = self.cells.get_mut(row).into_iter().flatten();
                cells.for_each(|(_, versions)| versions.retain(|&(lsn, _)| lsn <= last));
            }
        }
    }

    /// Whether a record has an LSN of its own.
    pub(super) fn has(&self, lsn: Lsn) -> bool {
        lsn <= self.last()
    }

    /// The value of a key after the record at `lsn`, and the record that wrote it.
    pub(super) fn value_at(&self, key: &[u8], lsn: Lsn) -> Option<(Lsn, &Value)> {
        newest(self.versions.get(key)?, lsn)
    }

    /// The columns of a row after the record at `lsn`, in order of names.
    pub(super) fn row(&self, row: &[u8], lsn: Lsn) -> impl Iterator<Item = (&Column, Lsn, &Value)> {
        self.cells.get(row).into_iter().flatten().filter_map(move |(column, versions)| {
            newest(versions, lsn).map(|(lsn, value)| (column, lsn, value))
        })
    }

    /// The columns of all rows after the record at `lsn`, in order of rows and names.
    pub(super) fn rows(&self, lsn: Lsn) -> impl Iterator<Item = (&Key, &Column, Lsn, &Value)> {
        self.cells.keys().flat_map(move |row| {
            self.row(row, lsn).map(move |(column, lsn, value)| (row, column, lsn, value))
        })
    }

    /// All keys that are there after the record at `lsn`, in order of keys.
    pub(super) fn content(&self, lsn: Lsn) -> impl Iterator<Item = (&Key, Lsn, &Value)> {
        self.versions.iter().filter_map(move |(key, versions)| {
            newest(versions, lsn).map(|(lsn, value)| (key, lsn, value))
        })
    }
}

fn newest(versions: &[(Lsn, Option<Value>)], lsn: Lsn) -> Option<(Lsn, &Value)> {
    let at = versions.partition_point(|&(written, _)| written <= lsn);
    let (written, value) = versions.get(at.checked_sub(1)?)?;
    value.as_ref().map(|value| (*written, value))
}
