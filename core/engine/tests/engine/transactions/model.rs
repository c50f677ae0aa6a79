//! What a namespace with large objects and topics should be, and what a transaction does to it.

use crate::fixture::{self, NOW_MS, Sim};
use crate::rows::model::{Change, State, check_all};
use crate::topics::message;
use std::collections::{BTreeMap, BTreeSet};
use unison_base::{Lsn, TxnId};
use unison_engine::{
    Check, Condition, MessageId, MessageRequest, Model, ObjectScanRequest, Operation, Snapshot,
    TopicFilter, Write, WriteError, Written,
};
use unison_sim::disk::SimStore;

/// Everything there is at one LSN.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) objects: BTreeMap<Vec<u8>, (Vec<u8>, Lsn)>,
    /// Those that were ever named.
    pub(crate) topics: BTreeSet<String>,
    /// In the order of their ids.
    pub(crate) messages: Vec<Message>,
}

/// What it was published to, and the payload.
pub(crate) type Message = (String, Vec<u8>, MessageId);

/// One write of a transaction, or alone.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Change(Change),
    Chunk(Vec<u8>, Vec<u8>),
    DeleteObjects(Vec<Vec<u8>>),
    Publish(Vec<String>, Vec<u8>),
    PublishPattern(String, Vec<u8>),
}

impl Part {
    pub(crate) fn stage(
        &self,
        engine: &mut Sim,
        transaction: Option<TxnId>,
        condition: Condition,
        want_previous: bool,
    ) -> Result<Written<SimStore>, WriteError> {
        let mut stage = |operation: Operation<'_>| {
            let write = Write { condition, transaction, want_previous, ..Write::new(operation) };
            engine.stage(&write, NOW_MS)
        };
        match self {
            Self::Change(change) => change.with_operation(&mut stage),
            Self::Chunk(object, chunk) => stage(Operation::PutChunk { object, chunk }),
            Self::DeleteObjects(objects) => {
                let objects: Vec<&[u8]> = objects.iter().map(Vec::as_slice).collect();
                stage(Operation::DeleteObjects(&objects))
            }
            Self::Publish(topics, payload) => {
                let messages: Vec<_> = topics.iter().map(|to| message(to, payload)).collect();
                stage(Operation::Publish(&messages))
            }
            Self::PublishPattern(pattern, payload) => {
                stage(Operation::PublishPattern(&[message(pattern, payload)]))
            }
        }
    }
}

impl Part {
    /// The one key, row or object that it names.
    pub(crate) fn name(&self) -> Option<(Model, &Vec<u8>)> {
        Some(match self {
            Self::Change(Change::Key(key, _)) => (Model::KeyValue, key),
            Self::Change(Change::Put(rows)) => (Model::Row, &rows[0].0),
            Self::Change(Change::Delete(rows)) => (Model::Row, &rows[0].0),
            Self::Change(Change::DeleteRows(rows)) => (Model::Row, &rows[0]),
            Self::Chunk(key, _) => (Model::Object, key),
            Self::DeleteObjects(keys) => (Model::Object, &keys[0]),
            Self::Publish(..) | Self::PublishPattern(..) => return None,
        })
    }
}

impl World {
    /// The version of a key, row or object.
    pub(crate) fn version(&self, model: Model, key: &[u8]) -> Option<Lsn> {
        match model {
            Model::KeyValue => self.state.keys.get(key).map(|(_, lsn)| *lsn),
            Model::Row => self.state.rows.get(key).map(|row| row.lsn),
            Model::Object => self.objects.get(key).map(|(_, lsn)| *lsn),
        }
    }

    /// What it is behind the record `lsn`, which does all of this at once.
    pub(crate) fn changed<'a>(&self, parts: impl Iterator<Item = &'a Part>, lsn: Lsn) -> Self {
        let mut messages = self.messages.clone();
        let before = messages.len();
        let parts: Vec<_> = parts.collect();
        for part in &parts {
            let mut publish = |to: &String, payload: &Vec<u8>| {
                let index = u32::try_from(messages.len() - before).unwrap();
                messages.push((to.clone(), payload.clone(), MessageId { lsn, index }));
            };
            match part {
                Part::Publish(to, payload) => to.iter().for_each(|to| publish(to, payload)),
                Part::PublishPattern(pattern, payload) => publish(pattern, payload),
                _ => {}
            }
        }
        Self { messages, ..self.within(parts.into_iter().map(|part| (part, lsn))) }
    }

    /// What it is to a transaction that has done this by these records. It knows the topics that it
    /// names; its messages have no place before its commit.
    pub(crate) fn within<'a>(&self, parts: impl Iterator<Item = (&'a Part, Lsn)>) -> Self {
        let mut world = self.clone();
        let mut written = BTreeSet::new();
        for (part, lsn) in parts {
            match part {
                Part::Change(change) => world.state = world.state.changed(change, lsn),
                Part::Chunk(key, chunk) => {
                    let object = world.objects.entry(key.clone()).or_default();
                    if written.insert(key.clone()) {
                        object.0.clear();
                    }
                    object.0.extend_from_slice(chunk);
                    object.1 = lsn;
                }
                Part::DeleteObjects(objects) => objects.iter().for_each(|key| {
                    world.objects.remove(key);
                    written.remove(key);
                }),
                Part::Publish(topics, _) => world.topics.extend(topics.iter().cloned()),
                Part::PublishPattern(..) => {}
            }
        }
        world
    }
}

/// Everything a snapshot tells is what the world holds.
pub(crate) fn check_world(snapshot: &Snapshot<SimStore>, world: &World) {
    check_all(snapshot, &world.state);
    let listed = snapshot.objects(ObjectScanRequest::default());
    let listed: Vec<_> = listed.map(|listed| listed.unwrap().key).collect();
    assert_eq!(listed, world.objects.keys().cloned().collect::<Vec<_>>());
    for (key, (bytes, lsn)) in &world.objects {
        let object = snapshot.object(key).unwrap().expect("an object");
        assert_eq!((object.lsn(), object.len()), (*lsn, bytes.len() as u64));
        assert_eq!(object.checksum(), unison_base::checksum::crc32(bytes));
        for offset in [0, bytes.len() / 2, bytes.len().saturating_sub(1), bytes.len() + 1] {
            let offset = u64::try_from(offset).unwrap();
            assert_eq!(rest(snapshot, key, offset), bytes[first(bytes, offset)..], "{offset}");
        }
    }
    assert!(snapshot.object(b"never there").unwrap().is_none());
    check_topics(snapshot, world);
}

fn check_topics(snapshot: &Snapshot<SimStore>, world: &World) {
    let filter = TopicFilter::new("#").unwrap();
    let topics = snapshot.topics(&filter, None).unwrap().map(|topic| topic.unwrap().name);
    assert_eq!(topics.collect::<BTreeSet<_>>(), world.topics);
    for text in ["#", "t/a", "t/b"] {
        let filter = TopicFilter::new(text).unwrap();
        let shown = snapshot.messages(MessageRequest::all(&filter)).unwrap().map(|message| {
            let message = message.unwrap();
            (message.topic.to_string(), message.payload().to_vec(), message.at.id())
        });
        let meets = |to: &str| filter.overlaps(&TopicFilter::new(to).unwrap());
        let expected = world.messages.iter().filter(|(to, ..)| meets(to));
        assert_eq!(shown.collect::<Vec<_>>(), expected.cloned().collect::<Vec<_>>(), "{text}");
    }
}

fn first(bytes: &[u8], offset: u64) -> usize {
    bytes.len().min(usize::try_from(offset).unwrap())
}

/// The bytes of an object from `offset` on.
pub(crate) fn rest(snapshot: &Snapshot<SimStore>, key: &[u8], offset: u64) -> Vec<u8> {
    let object = snapshot.object(key).unwrap().expect("an object");
    let mut bytes = Vec::new();
    for chunk in object.chunks(offset).unwrap() {
        let chunk = chunk.unwrap();
        let whole = chunk.bytes.bytes().unwrap();
        let skipped = usize::try_from(offset.saturating_sub(chunk.offset)).unwrap();
        bytes.extend_from_slice(&whole[skipped.min(whole.len())..]);
    }
    bytes
}

pub(crate) fn id(number: u64) -> TxnId {
    let mut bytes = [7; 16];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    TxnId(bytes)
}

pub(crate) fn begin(engine: &mut Sim, id: TxnId) -> Result<Written<SimStore>, WriteError> {
    engine.stage(&Write::new(Operation::Begin).within(id), NOW_MS)
}

pub(crate) fn commit(
    engine: &mut Sim,
    id: TxnId,
    checks: &[Check<'_>],
) -> Result<Written<SimStore>, WriteError> {
    engine.stage(&Write::new(Operation::Commit(checks)).within(id), NOW_MS)
}

pub(crate) fn abort(engine: &mut Sim, id: TxnId) -> Result<Written<SimStore>, WriteError> {
    engine.stage(&Write::new(Operation::Abort).within(id), NOW_MS)
}

pub(crate) fn put(
    engine: &mut Sim,
    id: TxnId,
    key: &[u8],
    value: &[u8],
) -> Result<Written<SimStore>, WriteError> {
    engine.stage(&Write::put(key, value).within(id), NOW_MS)
}

pub(crate) fn chunk(
    engine: &mut Sim,
    id: TxnId,
    object: &[u8],
    chunk: &[u8],
) -> Result<Written<SimStore>, WriteError> {
    engine.stage(&Write::new(Operation::PutChunk { object, chunk }).within(id), NOW_MS)
}

pub(crate) fn snapshot(engine: &mut Sim) -> Snapshot<SimStore> {
    fixture::commit(engine);
    engine.reader().snapshot()
}
