//! What events should be, and who reads them.

use crate::fixture::{self, Sim};
use std::ops::ControlFlow;
use unison_base::prng::Prng;
use unison_base::{Lsn, TxnId};
use unison_engine::{
    Change as Event, ChangeFilter, ChangeId, ChangeKind, ChangeModel, Changes, ColumnNames,
    ColumnValues, Operation, Reached, Reader, Write, WriteError,
};
use unison_sim::disk::SimStore;

/// One event, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) id: ChangeId,
    pub(super) model: ChangeModel,
    pub(super) kind: ChangeKind,
    pub(super) key: Vec<u8>,
    pub(super) expires_at: Option<u64>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) columns: Vec<(String, Option<Vec<u8>>)>,
}

pub(super) fn told(event: &Event<'_>) -> Told {
    let columns = event.columns().map(|(name, value)| (name.to_owned(), value.map(<[u8]>::to_vec)));
    Told {
        id: event.id,
        model: event.model,
        kind: event.kind,
        key: event.key.to_vec(),
        // A row's depends on what it was before; `tests/engine/rows` has the model of that.
        expires_at: event.expires_at.filter(|_| event.columns().next().is_none()),
        value: event.value().map(<[u8]>::to_vec),
        columns: columns.collect(),
    }
}

pub(super) fn pick<'t, T>(prng: &mut Prng, of: &'t [T]) -> &'t T {
    &of[usize::try_from(prng.below(of.len() as u64)).unwrap()]
}

type Names = Vec<String>;
type Values = Vec<(String, Vec<u8>)>;

/// What one write changes.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Put(Vec<(Vec<u8>, Vec<u8>)>),
    Delete(Vec<Vec<u8>>),
    Columns(Vec<(Vec<u8>, Values)>),
    DeleteColumns(Vec<(Vec<u8>, Names)>),
    DeleteRows(Vec<Vec<u8>>),
    Expire(Vec<u8>),
    ExpireRow(Vec<u8>),
    Chunk(Vec<u8>, Vec<u8>),
    DeleteObjects(Vec<Vec<u8>>),
}

fn many<T>(prng: &mut Prng, mut one: impl FnMut(&mut Prng) -> T) -> Vec<T> {
    let count = if prng.chance(70) { 1 } else { prng.between(2, 12) };
    (0..count).map(|_| one(prng)).collect()
}

fn key(prng: &mut Prng) -> Vec<u8> {
    pick(prng, &[&b"a"[..], b"ab", b"abc", b"b", b"\0\xff", b"\xfe", b"c\0"]).to_vec()
}

fn value(prng: &mut Prng) -> Vec<u8> {
    let length = if prng.chance(90) { prng.below(40) } else { prng.below(6_000) };
    vec![u8::try_from(prng.below(256)).unwrap(); usize::try_from(length).unwrap()]
}

fn name(prng: &mut Prng) -> String {
    (*pick(prng, &["x", "y", "long name"])).to_owned()
}

pub(super) fn change(prng: &mut Prng) -> Change {
    match prng.below(9) {
        8 => Change::DeleteObjects(many(prng, key)),
        0 => Change::Delete(many(prng, key)),
        1 => Change::Columns(many(prng, |prng| {
            (key(prng), many(prng, |prng| (name(prng), value(prng))))
        })),
        2 => Change::DeleteColumns(many(prng, |prng| (key(prng), many(prng, name)))),
        6 => Change::Expire(key(prng)),
        7 => Change::ExpireRow(key(prng)),
        3 => Change::DeleteRows(many(prng, key)),
        _ => Change::Put(many(prng, |prng| (key(prng), value(prng)))),
    }
}

/// A part of one of a few large objects.
pub(super) fn chunk(prng: &mut Prng) -> Change {
    Change::Chunk(key(prng), value(prng))
}

impl Change {
    /// Nothing in these tests lives to see that time.
    pub(super) fn expires_at(&self) -> u64 {
        match self {
            Self::Put(pairs) if pairs.len() % 2 == 0 => 4_000_000_000_000,
            Self::Expire(key) | Self::ExpireRow(key) if key.len() > 1 => 4_000_000_000_002,
            _ => 0,
        }
    }

    pub(super) fn stage(
        &self,
        engine: &mut Sim,
        transaction: Option<TxnId>,
    ) -> Result<Lsn, WriteError> {
        let mut stage = |operation| {
            let write = Write { transaction, ..Write::new(operation) };
            let write = write.expiring_at(self.expires_at());
            engine.stage(&write, fixture::NOW_MS).map(|written| written.lsn)
        };
        match self {
            Self::Put(pairs) => {
                let pairs: Vec<_> = pairs.iter().map(|(key, value)| (&**key, &**value)).collect();
                match pairs[..] {
                    [(key, value)] => stage(Operation::Put { key, value }),
                    _ => stage(Operation::PutBatch(&pairs)),
                }
            }
            Self::Delete(keys) => {
                let keys: Vec<_> = keys.iter().map(|key| &**key).collect();
                match keys[..] {
                    [key] => stage(Operation::Delete { key }),
                    _ => stage(Operation::DeleteBatch(&keys)),
                }
            }
            Self::Columns(rows) => {
                let columns: Vec<Vec<_>> = rows
                    .iter()
                    .map(|(_, all)| all.iter().map(|(name, value)| (&**name, &**value)).collect())
                    .collect();
                let rows = rows.iter().zip(&columns);
                let rows: Vec<_> =
                    rows.map(|((row, _), columns)| ColumnValues { row, columns }).collect();
                stage(Operation::PutColumns(&rows))
            }
            Self::DeleteColumns(rows) => {
                let names: Vec<Vec<_>> =
                    rows.iter().map(|(_, all)| all.iter().map(|name| &**name).collect()).collect();
                let rows = rows.iter().zip(&names);
                let rows: Vec<_> =
                    rows.map(|((row, _), columns)| ColumnNames { row, columns }).collect();
                stage(Operation::DeleteColumns(&rows))
            }
            Self::Chunk(object, chunk) => stage(Operation::PutChunk { object, chunk }),
            Self::DeleteObjects(objects) => {
                let objects: Vec<_> = objects.iter().map(|object| &**object).collect();
                stage(Operation::DeleteObjects(&objects))
            }
            Self::Expire(key) => stage(Operation::Expire { key }),
            Self::ExpireRow(row) => stage(Operation::ExpireRow { row }),
            Self::DeleteRows(rows) => {
                let rows: Vec<_> = rows.iter().map(|row| &**row).collect();
                stage(Operation::DeleteRows(&rows))
            }
        }
    }

    /// ChangeModel and kind, and of every part its key, value and columns.
    fn parts(&self) -> (ChangeModel, ChangeKind, Vec<Part>) {
        let bare = |key: &Vec<u8>| (key.clone(), None, Vec::new());
        match self {
            Self::Put(pairs) => {
                let part = |(key, value): &(Vec<u8>, Vec<u8>)| {
                    (key.clone(), Some(value.clone()), Vec::new())
                };
                (ChangeModel::Kv, ChangeKind::Put, pairs.iter().map(part).collect())
            }
            Self::Chunk(object, _) => (ChangeModel::Object, ChangeKind::Put, vec![bare(object)]),
            Self::DeleteObjects(objects) => {
                (ChangeModel::Object, ChangeKind::Delete, objects.iter().map(bare).collect())
            }
            Self::Expire(key) => (ChangeModel::Kv, ChangeKind::Expire, vec![bare(key)]),
            Self::ExpireRow(row) => (ChangeModel::Row, ChangeKind::Expire, vec![bare(row)]),
            Self::Delete(keys) => {
                (ChangeModel::Kv, ChangeKind::Delete, keys.iter().map(bare).collect())
            }
            Self::Columns(rows) => {
                let set = |(name, value): &(String, Vec<u8>)| (name.clone(), Some(value.clone()));
                let part = |(key, all): &(Vec<u8>, Values)| {
                    (key.clone(), None, all.iter().map(set).collect())
                };
                (ChangeModel::Row, ChangeKind::Put, rows.iter().map(part).collect())
            }
            Self::DeleteColumns(rows) => {
                let part = |(key, all): &(Vec<u8>, Names)| {
                    (key.clone(), None, all.iter().map(|name| (name.clone(), None)).collect())
                };
                (ChangeModel::Row, ChangeKind::DeleteColumns, rows.iter().map(part).collect())
            }
            Self::DeleteRows(rows) => {
                (ChangeModel::Row, ChangeKind::DeleteRow, rows.iter().map(bare).collect())
            }
        }
    }
}

type Part = (Vec<u8>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>);

/// The events of a change that became the record `lsn`.
pub(super) fn expected(change: &Change, lsn: Lsn) -> Vec<Told> {
    let (model, kind, parts) = change.parts();
    let expires_at = Some(change.expires_at()).filter(|ms| *ms > 0);
    let numbered = (0..).zip(parts);
    numbered
        .map(|(index, (key, value, columns))| Told {
            id: ChangeId { lsn, index },
            model,
            kind,
            key,
            expires_at,
            value,
            columns,
        })
        .collect()
}

/// The events of a transaction that the record `lsn` commits: a large object is one, at its first
/// chunk.
pub(super) fn expected_of(parts: &[Change], lsn: Lsn) -> Vec<Told> {
    let mut events: Vec<Told> = Vec::new();
    for told in parts.iter().flat_map(|part| expected(part, lsn)) {
        let is_object = told.model == ChangeModel::Object && told.kind == ChangeKind::Put;
        let known = events.iter().any(|before| {
            before.kind == told.kind && before.key == told.key && before.model == told.model
        });
        if !(is_object && known) {
            let index = u32::try_from(events.len()).unwrap();
            events.push(Told { id: ChangeId { lsn, index }, ..told });
        }
    }
    events
}

/// Somebody who reads events, with all that was told so far.
pub(super) struct Watcher {
    pub(super) reader: Reader<SimStore>,
    filter: ChangeFilter,
    behind: ChangeId,
    changes: Changes<SimStore>,
    seen: Vec<Told>,
    /// How often it went on from where another reader got.
    pub(super) led: usize,
}

impl Watcher {
    pub(super) fn new(engine: &Sim, filter: ChangeFilter, behind: ChangeId) -> Self {
        let reader = engine.reader();
        let changes = reader.changes(filter.clone(), behind);
        Self { reader, filter, behind, changes, seen: Vec::new(), led: 0 }
    }

    /// Goes on at a node, with the name of the last event or with the place it had come to.
    pub(super) fn come_back(&mut self, engine: &Sim) {
        let position = self.changes.position();
        let last = self.seen.last().map_or(self.behind, |told| told.id);
        assert!(position >= last || self.seen.is_empty());
        self.reader = engine.reader();
        let behind = if position.lsn.0.is_multiple_of(2) { position } else { last };
        self.changes = self.reader.changes(self.filter.clone(), behind);
    }

    /// Reads some, breaking off where it likes; or has another one read that is at the same place.
    pub(super) fn read(&mut self, prng: &mut Prng) {
        let other = self.reader.changes(self.filter.clone(), self.changes.position());
        if prng.chance(30) && other.place() == self.changes.place() {
            let own = std::mem::replace(&mut self.changes, other);
            self.read_some(prng);
            let other = std::mem::replace(&mut self.changes, own);
            self.led += usize::from(other.place() != self.changes.place());
            return self.changes.go_on_from(other.place());
        }
        self.read_some(prng);
    }

    fn read_some(&mut self, prng: &mut Prng) {
        let bytes = usize::try_from(prng.below(20_000)).unwrap();
        let mut left = prng.below(30);
        let seen = &mut self.seen;
        let reached = self.changes.read(bytes, &mut |event| {
            seen.push(told(event));
            left = left.saturating_sub(1);
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        reached.expect("readable");
        if prng.chance(40) {
            self.changes.rest();
        }
    }

    pub(super) fn read_all(&mut self) {
        let seen = &mut self.seen;
        let reached = self.changes.read(usize::MAX, &mut |event| {
            seen.push(told(event));
            ControlFlow::Continue(())
        });
        assert_eq!(reached, Ok(Reached::End));
    }

    /// What was told is the beginning of what should be; all of it once the reading is at its end.
    pub(super) fn check(&self, visible: &[Told]) {
        let wanted = |told: &&Told| {
            told.id > self.behind
                && self.filter.models.contains(told.model)
                && told.key.starts_with(&self.filter.prefix)
        };
        let due: Vec<&Told> = visible.iter().filter(wanted).collect();
        let seen: Vec<&Told> = self.seen.iter().collect();
        let reached = self.changes.position();
        let common = due.len().min(seen.len());
        let differs = seen[..common].iter().zip(&due[..common]).find(|(seen, due)| seen != due);
        assert!(differs.is_none(), "{differs:?}");
        // At a node that is behind the one before, some of what was told is not visible yet.
        assert!(seen[common..].iter().all(|told| told.id.lsn > self.reader.applied()));
        let missing = due[common..].iter().find(|told| told.id <= reached);
        assert_eq!(missing, None, "passed over, the place is {reached}");
    }
}
