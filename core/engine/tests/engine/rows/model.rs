//! What rows and keys should be: a map of maps, and a map.

use crate::fixture::{self, Pairs, Sim};
use std::collections::BTreeMap;
use unison_base::Lsn;
use unison_engine::{
    Cell, Column, ColumnNames, ColumnRange, ColumnValues, Operation, Row, RowScanRequest,
    ScanRequest, Snapshot, Write, WriteError, Written,
};
use unison_sim::disk::SimStore;

/// Columns of one row, and the record that changed the row last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ModelRow {
    pub(crate) lsn: Lsn,
    pub(crate) columns: BTreeMap<String, (Vec<u8>, Lsn)>,
}

/// Everything there is at one LSN.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) rows: BTreeMap<Vec<u8>, ModelRow>,
    pub(crate) keys: BTreeMap<Vec<u8>, (Vec<u8>, Lsn)>,
}

/// Columns by name.
type Values = Vec<(String, Vec<u8>)>;

/// What one write changes.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Put(Vec<(Vec<u8>, Values)>),
    Delete(Vec<(Vec<u8>, Vec<String>)>),
    DeleteRows(Vec<Vec<u8>>),
    Key(Vec<u8>, Option<Vec<u8>>),
}

impl Change {
    /// Hands the change over as the engine's operation.
    pub(crate) fn stage(
        &self,
        engine: &mut Sim,
        condition: unison_engine::Condition,
        want_previous: bool,
    ) -> Result<Written<SimStore>, WriteError> {
        self.with_operation(&mut |operation| {
            let write = Write { condition, want_previous, ..Write::new(operation) };
            engine.stage(&write, fixture::NOW_MS)
        })
    }

    /// Hands the change over as the engine's operation.
    pub(crate) fn with_operation<R>(&self, stage: &mut impl FnMut(Operation<'_>) -> R) -> R {
        match self {
            Self::Put(rows) => {
                let columns: Vec<Vec<(&str, &[u8])>> = rows
                    .iter()
                    .map(|(_, columns)| {
                        columns.iter().map(|(name, value)| (name.as_str(), &**value)).collect()
                    })
                    .collect();
                let rows = rows.iter().zip(&columns);
                let rows: Vec<_> =
                    rows.map(|((row, _), columns)| ColumnValues { row, columns }).collect();
                stage(Operation::PutColumns(&rows))
            }
            Self::Delete(rows) => {
                let names: Vec<Vec<&str>> = rows
                    .iter()
                    .map(|(_, names)| names.iter().map(String::as_str).collect())
                    .collect();
                let rows = rows.iter().zip(&names);
                let rows: Vec<_> =
                    rows.map(|((row, _), columns)| ColumnNames { row, columns }).collect();
                stage(Operation::DeleteColumns(&rows))
            }
            Self::DeleteRows(rows) => {
                let rows: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
                stage(Operation::DeleteRows(&rows))
            }
            Self::Key(key, Some(value)) => stage(Operation::Put { key, value }),
            Self::Key(key, None) => stage(Operation::Delete { key }),
        }
    }

    /// The versions that a condition is held against, in order.
    pub(crate) fn versions(&self, state: &State) -> Vec<Option<Lsn>> {
        let row = |row: &Vec<u8>| state.rows.get(row).map(|row| row.lsn);
        match self {
            Self::Put(rows) => rows.iter().map(|(key, _)| row(key)).collect(),
            Self::Delete(rows) => rows.iter().map(|(key, _)| row(key)).collect(),
            Self::DeleteRows(rows) => rows.iter().map(row).collect(),
            Self::Key(key, _) => vec![state.keys.get(key).map(|(_, lsn)| *lsn)],
        }
    }

    /// How many of the named columns, rows or keys are there.
    pub(crate) fn existing(&self, state: &State) -> u32 {
        let there = |row: &Vec<u8>, name: &String| {
            state.rows.get(row).is_some_and(|row| row.columns.contains_key(name))
        };
        let count = match self {
            Self::Put(rows) => rows
                .iter()
                .flat_map(|(row, columns)| columns.iter().map(move |(name, _)| (row, name)))
                .filter(|(row, name)| there(row, name))
                .count(),
            Self::Delete(rows) => rows
                .iter()
                .flat_map(|(row, names)| names.iter().map(move |name| (row, name)))
                .filter(|(row, name)| there(row, name))
                .count(),
            Self::DeleteRows(rows) => {
                rows.iter().filter(|row| state.rows.contains_key(*row)).count()
            }
            Self::Key(key, _) => usize::from(state.keys.contains_key(key)),
        };
        u32::try_from(count).unwrap()
    }
}

impl State {
    /// The state behind a change by the record `lsn`.
    pub(crate) fn changed(&self, change: &Change, lsn: Lsn) -> Self {
        let mut state = self.clone();
        match change {
            Change::Put(rows) => rows.iter().for_each(|(key, columns)| {
                let row = state.rows.entry(key.clone()).or_default();
                row.lsn = lsn;
                for (name, value) in columns {
                    row.columns.insert(name.clone(), (value.clone(), lsn));
                }
            }),
            Change::Delete(rows) => rows.iter().for_each(|(key, names)| {
                if let Some(row) = state.rows.get_mut(key) {
                    row.lsn = lsn;
                    names.iter().for_each(|name| drop(row.columns.remove(name)));
                }
            }),
            Change::DeleteRows(rows) => rows.iter().for_each(|key| drop(state.rows.remove(key))),
            Change::Key(key, Some(value)) => {
                drop(state.keys.insert(key.clone(), (value.clone(), lsn)))
            }
            Change::Key(key, None) => drop(state.keys.remove(key)),
        }
        state.rows.retain(|_, row| !row.columns.is_empty());
        state
    }

    fn pairs(&self) -> Pairs {
        self.keys.iter().map(|(key, (value, lsn))| (key.clone(), value.clone(), *lsn)).collect()
    }
}

/// Row, the row's LSN, column, value, the value's LSN.
pub(crate) type Flat = (Vec<u8>, Lsn, String, Vec<u8>, Lsn);

pub(crate) fn flat(state: &State) -> Vec<Flat> {
    let cells = state.rows.iter().flat_map(|(key, row)| {
        row.columns.iter().map(move |(name, (value, lsn))| {
            (key.clone(), row.lsn, name.clone(), value.clone(), *lsn)
        })
    });
    cells.collect()
}

pub(crate) fn read(cell: Cell<SimStore>) -> Flat {
    let (name, value, lsn) = read_column(cell.column);
    (cell.row.key.clone(), cell.row.lsn, name, value, lsn)
}

fn read_column(column: Column<SimStore>) -> (String, Vec<u8>, Lsn) {
    let value = column.value.bytes().expect("sound").to_vec();
    assert_eq!(column.value.len(), value.len());
    (column.name, value, column.value.lsn())
}

pub(crate) fn scan(snapshot: &Snapshot<SimStore>, request: RowScanRequest<'_>) -> Vec<Flat> {
    let cells = snapshot.rows(request).expect("a scan");
    cells.map(|cell| read(cell.expect("readable"))).collect()
}

pub(crate) fn columns(row: &Row<SimStore>, range: ColumnRange<'_>) -> Vec<(String, Vec<u8>, Lsn)> {
    let columns = row.columns(range).expect("columns");
    columns.map(|column| read_column(column.expect("readable"))).collect()
}

/// Everything a snapshot tells is what the state holds.
pub(crate) fn check_all(snapshot: &Snapshot<SimStore>, state: &State) {
    assert_eq!(fixture::scan(snapshot, ScanRequest::default()), state.pairs());
    assert_eq!(snapshot.count().unwrap(), state.keys.len() as u64);
    let mut expected = flat(state);
    assert_eq!(scan(snapshot, RowScanRequest::default()), expected);
    expected.reverse();
    let request = RowScanRequest { reverse: true, ..RowScanRequest::default() };
    assert_eq!(scan(snapshot, request), expected);
    for (key, row) in &state.rows {
        let found = snapshot.row(key).unwrap().expect("a row");
        assert_eq!(found.lsn(), row.lsn);
        let of_model: Vec<_> = row
            .columns
            .iter()
            .map(|(name, (value, lsn))| (name.clone(), value.clone(), *lsn))
            .collect();
        assert_eq!(columns(&found, ColumnRange::default()), of_model);
        for (name, value, lsn) in of_model {
            let column = found.column(&name).unwrap().expect("a column");
            assert_eq!((&*column.bytes().unwrap(), column.lsn()), (value.as_slice(), lsn));
        }
        assert!(found.column("never there").unwrap().is_none());
    }
}
