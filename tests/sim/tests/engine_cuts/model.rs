//! What a namespace holds after each record, computed from the operations alone.

use std::collections::BTreeMap;
use unison_base::Lsn;
use unison_base::prng::Prng;

/// One record.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Put(Vec<(Vec<u8>, Vec<u8>)>),
    Delete(Vec<Vec<u8>>),
    PutColumns(Vec<u8>, Vec<(String, Vec<u8>)>),
    DeleteColumns(Vec<u8>, Vec<String>),
    DeleteRow(Vec<u8>),
}

/// Keys and values, rows and their columns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    pub(crate) keys: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) rows: BTreeMap<Vec<u8>, BTreeMap<String, Vec<u8>>>,
}

impl Content {
    fn take(&mut self, change: &Change) {
        match change {
            Change::Put(entries) => self.keys.extend(entries.iter().cloned()),
            Change::Delete(keys) => keys.iter().for_each(|key| drop(self.keys.remove(key))),
            Change::PutColumns(row, columns) => {
                self.rows.entry(row.clone()).or_default().extend(columns.iter().cloned());
            }
            Change::DeleteColumns(row, columns) => {
                let held = self.rows.entry(row.clone()).or_default();
                columns.iter().for_each(|column| drop(held.remove(column)));
            }
            Change::DeleteRow(row) => drop(self.rows.remove(row)),
        }
    }
}

/// Every record, in order of LSN.
#[derive(Clone, Debug, Default)]
pub(crate) struct History(Vec<Change>);

impl History {
    pub(crate) fn push(&mut self, change: Change) {
        self.0.push(change);
    }

    /// The newest record.
    pub(crate) fn last(&self) -> Lsn {
        Lsn(self.0.len() as u64)
    }

    pub(crate) fn truncate(&mut self, last: Lsn) {
        self.0.truncate(usize::try_from(last.0).unwrap());
    }

    /// The content after the record at `lsn`.
    pub(crate) fn content(&self, lsn: Lsn) -> Content {
        let mut content = Content::default();
        for change in &self.0[..usize::try_from(lsn.0).unwrap()] {
            content.take(change);
        }
        content.rows.retain(|_, columns| !columns.is_empty());
        content
    }
}

/// A random record over a few keys, with values on both sides of the bound for inline ones.
pub(crate) fn change(prng: &mut Prng) -> Change {
    if prng.chance(35) {
        return change_of_row(prng);
    }
    let count = if prng.chance(15) { prng.between(2, 5) } else { 1 };
    let keys: Vec<_> = (0..count).map(|_| format!("key{:02}", prng.below(24)).into()).collect();
    if prng.chance(20) {
        return Change::Delete(keys);
    }
    Change::Put(keys.into_iter().map(|key| (key, value(prng))).collect())
}

/// A random record of a row, with one column or with several.
fn change_of_row(prng: &mut Prng) -> Change {
    let row = format!("row{}", prng.below(6)).into_bytes();
    let (first, count) = (prng.below(6), prng.between(1, 3));
    let columns = (first..first + count).map(|number| format!("column{number}"));
    match prng.below(100) {
        0..20 => Change::DeleteColumns(row, columns.collect()),
        20..30 => Change::DeleteRow(row),
        _ => Change::PutColumns(row, columns.map(|column| (column, value(prng))).collect()),
    }
}

fn value(prng: &mut Prng) -> Vec<u8> {
    let sizes = [0, 20, 128, 129, 700, 4_000, 14_000];
    let mut value = vec![0; sizes[usize::try_from(prng.below(7)).unwrap()]];
    prng.fill(&mut value);
    value
}
