//! What an engine should hold: maps with times, a watermark, and whatever clock a reader has.

use crate::fixture;
use std::collections::BTreeMap;
use unison_base::Lsn;
use unison_engine::{Reader, RowScanRequest, ScanRequest, Snapshot};
use unison_sim::disk::SimStore;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) value: Vec<u8>,
    pub(super) lsn: Lsn,
    pub(super) expires_at: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) columns: BTreeMap<String, Vec<u8>>,
    pub(super) lsn: Lsn,
    pub(super) expires_at: u64,
}

/// Everything that was written and not deleted, expired or not.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) keys: BTreeMap<Vec<u8>, Key>,
    pub(super) rows: BTreeMap<Vec<u8>, Row>,
    pub(super) watermark: u64,
}

impl State {
    pub(super) fn is_gone(&self, expires_at: u64, now: u64) -> bool {
        expires_at != 0 && (expires_at <= now || expires_at <= self.watermark)
    }

    /// The key that a reader with this clock sees.
    pub(super) fn key(&self, key: &[u8], now: u64) -> Option<&Key> {
        self.keys.get(key).filter(|found| !self.is_gone(found.expires_at, now))
    }

    pub(super) fn row(&self, row: &[u8], now: u64) -> Option<&Row> {
        self.rows.get(row).filter(|found| !self.is_gone(found.expires_at, now))
    }

    /// True when something expires behind the watermark and not behind `now`.
    pub(super) fn is_due(&self, now: u64) -> bool {
        let keys = self.keys.values().map(|key| key.expires_at);
        let mut times = keys.chain(self.rows.values().map(|row| row.expires_at));
        times.any(|ms| ms > self.watermark && ms <= now)
    }

    fn keys_at(&self, now: u64) -> Vec<(Vec<u8>, Key)> {
        let seen = self.keys.keys().filter_map(|name| Some((name, self.key(name, now)?)));
        seen.map(|(name, key)| (name.clone(), key.clone())).collect()
    }

    fn rows_at(&self, now: u64) -> Vec<(Vec<u8>, Row)> {
        let seen = self.rows.keys().filter_map(|name| Some((name, self.row(name, now)?)));
        seen.map(|(name, row)| (name.clone(), row.clone())).collect()
    }
}

/// Compares a snapshot whose clock says `now` with the state that it should show.
pub(super) fn check(snapshot: &Snapshot<SimStore>, state: &State, now: u64) {
    for reverse in [false, true] {
        let request = ScanRequest { reverse, ..ScanRequest::default() };
        let mut keys: Vec<_> =
            snapshot.scan(request).unwrap().map(|item| of_item(item.unwrap())).collect();
        let request = RowScanRequest { reverse, ..RowScanRequest::default() };
        let mut rows = Vec::<(Vec<u8>, Row)>::new();
        for cell in snapshot.rows(request).unwrap() {
            take_cell(&mut rows, cell.unwrap());
        }
        if reverse {
            keys.reverse();
            rows.reverse();
        }
        assert_eq!(keys, state.keys_at(now), "at {now}, watermark {}", state.watermark);
        assert_eq!(rows, state.rows_at(now), "at {now}, watermark {}", state.watermark);
    }
    assert_eq!(snapshot.count().unwrap(), state.keys_at(now).len() as u64);
    assert_eq!(snapshot.expired_to(), state.watermark);
    for name in state.rows.keys() {
        let found = snapshot.row(name).unwrap();
        let found = found.map(|row| (row.lsn(), row.expires_at()));
        assert_eq!(found, state.row(name, now).map(|row| (row.lsn, row.expires_at)));
    }
}

/// What the reader says of the keys that will expire.
fn check_expiring(reader: &Reader<SimStore>, state: &State, now: u64) {
    let ends = state.keys_at(now).into_iter().map(|(_, key)| key.expires_at);
    let left: Vec<_> =
        ends.filter(|end| *end > 0).map(|end| end - now.max(state.watermark)).collect();
    let keys = left.len() as u64;
    let average_ms = left.iter().sum::<u64>().checked_div(keys).unwrap_or(0);
    let expected = unison_engine::Expiring { keys, average_ms };
    assert_eq!(reader.expiring(usize::MAX).unwrap(), Some(expected), "at {now}");
}

fn of_item(item: unison_engine::Item<SimStore>) -> (Vec<u8>, Key) {
    let (lsn, expires_at) = (item.lsn, item.value.expires_at());
    (item.key, Key { value: item.value.bytes().unwrap().to_vec(), lsn, expires_at })
}

fn take_cell(rows: &mut Vec<(Vec<u8>, Row)>, cell: unison_engine::Cell<SimStore>) {
    if rows.last().is_none_or(|(name, _)| *name != cell.row.key) {
        let (lsn, expires_at) = (cell.row.lsn, cell.row.expires_at);
        rows.push((cell.row.key.clone(), Row { columns: BTreeMap::new(), lsn, expires_at }));
    }
    let value = cell.column.value.bytes().unwrap().to_vec();
    rows.last_mut().unwrap().1.columns.insert(cell.column.name, value);
}

/// Single looks of a reader whose clock says `now`.
pub(super) fn check_one(
    reader: &Reader<SimStore>,
    state: &State,
    now: u64,
    (name, column): (&[u8], &str),
) {
    let key = state.key(name, now);
    assert_eq!(fixture::get(reader, name).as_ref(), key.map(|key| &key.value));
    assert_eq!(reader.version(name).unwrap(), key.map(|key| key.lsn));
    assert_eq!(reader.expires_at(name).unwrap(), key.map(|key| key.expires_at));
    let several = reader.multi_get(&[name]).unwrap();
    assert_eq!(several[0].is_some(), key.is_some());
    assert_eq!(reader.count().unwrap(), state.keys_at(now).len() as u64);
    check_expiring(reader, state, now);
    assert_eq!(reader.now_ms(), now.max(state.watermark));
    let row = state.row(name, now);
    assert_eq!(reader.row_version(name).unwrap(), row.map(|row| row.lsn));
    assert_eq!(reader.row_expires_at(name).unwrap(), row.map(|row| row.expires_at));
    let found = reader.column(name, column).unwrap();
    let found = found.map(|value| value.bytes().unwrap().to_vec());
    assert_eq!(found.as_ref(), row.and_then(|row| row.columns.get(column)));
}
