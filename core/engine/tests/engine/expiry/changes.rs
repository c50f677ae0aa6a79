//! Changes, as an engine takes them and as the model does.

use super::model::{Key, Row, State};
use crate::fixture::Sim;
use unison_base::Lsn;
use unison_engine::{ColumnNames, ColumnValues, Condition, Operation, Write, WriteError, Written};
use unison_sim::disk::SimStore;

/// A row and columns of it.
type Columns = (Vec<u8>, Vec<(String, Vec<u8>)>);

#[derive(Clone, Debug)]
pub(super) enum Change {
    Put(Vec<(Vec<u8>, Vec<u8>)>),
    Delete(Vec<u8>),
    PutColumns(Vec<Columns>),
    DeleteColumns(Vec<u8>, Vec<String>),
    DeleteRow(Vec<u8>),
    Expire(Vec<u8>),
    ExpireRow(Vec<u8>),
}

/// How a change is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) condition: Condition,
    pub(super) want_previous: bool,
    pub(super) expires_at: u64,
}

impl Change {
    pub(super) fn stage(
        &self,
        engine: &mut Sim,
        terms: Terms,
        now: u64,
    ) -> Result<Written<SimStore>, WriteError> {
        let Terms { condition, want_previous, expires_at } = terms;
        let mut stage = |operation| {
            let write = Write { condition, want_previous, ..Write::new(operation) };
            engine.stage(&write.expiring_at(expires_at), now)
        };
        match self {
            Self::Put(pairs) if pairs.len() == 1 => {
                stage(Operation::Put { key: &pairs[0].0, value: &pairs[0].1 })
            }
            Self::Put(pairs) => {
                let pairs: Vec<_> =
                    pairs.iter().map(|(key, value)| (&key[..], &value[..])).collect();
                stage(Operation::PutBatch(&pairs))
            }
            Self::Delete(key) => stage(Operation::Delete { key }),
            Self::PutColumns(rows) => {
                let columns: Vec<Vec<(&str, &[u8])>> = rows
                    .iter()
                    .map(|(_, columns)| columns.iter().map(|(n, v)| (n.as_str(), &v[..])).collect())
                    .collect();
                let rows = rows.iter().zip(&columns);
                let rows: Vec<_> =
                    rows.map(|((row, _), columns)| ColumnValues { row, columns }).collect();
                stage(Operation::PutColumns(&rows))
            }
            Self::DeleteColumns(row, names) => {
                let columns: Vec<&str> = names.iter().map(String::as_str).collect();
                stage(Operation::DeleteColumns(&[ColumnNames { row, columns: &columns }]))
            }
            Self::DeleteRow(row) => stage(Operation::DeleteRows(&[row])),
            Self::Expire(key) => stage(Operation::Expire { key }),
            Self::ExpireRow(row) => stage(Operation::ExpireRow { row }),
        }
    }

    /// What each key or row is before the change, as a condition sees it.
    pub(super) fn versions(&self, state: &State, now: u64) -> Vec<Option<Lsn>> {
        let key = |key: &[u8]| state.key(key, now).map(|key| key.lsn);
        let row = |row: &[u8]| state.row(row, now).map(|row| row.lsn);
        match self {
            Self::Put(pairs) => pairs.iter().map(|(name, _)| key(name)).collect(),
            Self::Delete(name) | Self::Expire(name) => vec![key(name)],
            Self::PutColumns(rows) => rows.iter().map(|(name, _)| row(name)).collect(),
            Self::DeleteColumns(name, _) | Self::DeleteRow(name) | Self::ExpireRow(name) => {
                vec![row(name)]
            }
        }
    }

    /// Whether what it names has to be there, whatever the condition is.
    pub(super) fn needs_presence(&self) -> bool {
        matches!(self, Self::Expire(_) | Self::ExpireRow(_))
    }

    /// How many of the keys, rows or columns named are there.
    pub(super) fn existing(&self, state: &State, now: u64) -> u32 {
        let there = |row: &[u8], name: &String| {
            state.row(row, now).is_some_and(|row| row.columns.contains_key(name))
        };
        let count = match self {
            Self::PutColumns(rows) => {
                let of = |(row, columns): &Columns| {
                    columns.iter().filter(|(name, _)| there(row, name)).count()
                };
                rows.iter().map(of).sum()
            }
            Self::DeleteColumns(row, names) => names.iter().filter(|name| there(row, name)).count(),
            _ => self.versions(state, now).iter().flatten().count(),
        };
        u32::try_from(count).unwrap()
    }

    /// Whether a row that it changes has expired by the writer's clock and not by the watermark.
    pub(super) fn is_late(&self, state: &State, now: u64) -> bool {
        let late = |name: &Vec<u8>| {
            let row = state.row(name, 0);
            row.is_some_and(|row| state.is_gone(row.expires_at, now))
        };
        match self {
            Self::PutColumns(rows) => rows.iter().any(|(name, _)| late(name)),
            Self::DeleteColumns(name, _) => late(name),
            _ => false,
        }
    }

    pub(super) fn apply(&self, state: &State, lsn: Lsn, expires_at: u64) -> State {
        let mut state = state.clone();
        let watermark = state.watermark;
        state.rows.retain(|_, row| row.expires_at == 0 || row.expires_at > watermark);
        match self {
            Self::Put(pairs) => {
                for (key, value) in pairs {
                    let key_of = Key { value: value.clone(), lsn, expires_at };
                    state.keys.insert(key.clone(), key_of);
                }
            }
            Self::Delete(key) => drop(state.keys.remove(key)),
            Self::PutColumns(rows) => {
                for (name, columns) in rows {
                    let row = state.rows.entry(name.clone()).or_default();
                    row.lsn = lsn;
                    row.columns.extend(columns.iter().cloned());
                    if expires_at != 0 {
                        row.expires_at = expires_at;
                    }
                }
            }
            Self::DeleteColumns(name, names) => {
                if let Some(row) = state.rows.get_mut(name) {
                    row.lsn = lsn;
                    row.columns.retain(|column, _| !names.contains(column));
                }
                state.rows.retain(|_, row| !row.columns.is_empty());
            }
            Self::DeleteRow(row) => drop(state.rows.remove(row)),
            Self::Expire(key) => {
                let key = state.keys.get_mut(key).unwrap();
                (key.lsn, key.expires_at) = (lsn, expires_at);
            }
            Self::ExpireRow(row) => {
                let row: &mut Row = state.rows.get_mut(row).unwrap();
                (row.lsn, row.expires_at) = (lsn, expires_at);
            }
        }
        state
    }
}
