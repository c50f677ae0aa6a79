//! From a record to its events: those and only those that a reader sees happen.

use super::change::Body;
use super::{Change, ChangeId, ChangeKind, ChangeModel};
use crate::errors::ReadError;
use crate::expiry::Expiry;
use crate::memtable::STORAGE_KEY_MAX;
use crate::models::topic::key::{KeyKind, MessagePosition};
use crate::models::{kv, object, row};
use crate::records::{
    KeyValue, Kind, Record, deletions, key_values, messages, rows, trims, watermark,
};
use crate::seal::{Opener, Wrapped};
use alloc::collections::BTreeMap;
use alloc::string::String;
use core::ops::ControlFlow;
use unison_base::Lsn;
use unison_base::checksum::{Crc32, crc32c};
use unison_base::limits::{INDEX_ENTRY_BYTES, TRANSACTION_INDEX_BYTES_MAX};

/// Whoever is told of events; breaks off behind one that it has taken.
pub(super) type Visit<'v> = &'v mut dyn FnMut(&Change<'_>) -> ControlFlow<()>;
/// Finds the name of a topic, or the text of a pattern.
pub(super) type Names<'n> = &'n dyn Fn(KeyKind, u64) -> Result<Option<String>, ReadError>;

/// Finds the key of an epoch.
pub(super) type Keys<'k> = &'k dyn Fn(u64) -> Result<Option<Wrapped>, ReadError>;

/// Why no further event of a record is told.
pub(super) enum Stop {
    /// Whoever is told broke off, or has to be asked again for more.
    BrokenOff,
    /// The name of a topic cannot be read.
    Name(ReadError),
    /// The records of a transaction cannot be read.
    Log(unison_walfs::ReadError),
}

/// Whoever is told, and what was told before.
pub(super) struct Telling<'v> {
    /// The record that the events have their names of: of a transaction its commit.
    pub(super) lsn: Lsn,
    /// When the record at hand was written, ms since 1970.
    pub(super) time_ms: u64,
    /// The index of the next event.
    pub(super) index: u32,
    /// Events below this one are passed over.
    pub(super) from: ChangeId,
    /// Objects that were told of, of those that come in several records.
    pub(super) objects: Objects,
    pub(super) names: Names<'v>,
    pub(super) keys: Keys<'v>,
    pub(super) opener: Opener,
    pub(super) visit: Visit<'v>,
}

/// Large objects of one transaction that are remembered as told of: no transaction has room for chunks of
/// more.
const OBJECTS_MAX: usize = TRANSACTION_INDEX_BYTES_MAX / INDEX_ENTRY_BYTES;

/// As which event each large object was told of, by checksums of their keys. A record that is read again
/// from its beginning finds its own objects new again.
#[derive(Default)]
pub(super) struct Objects(BTreeMap<u64, u32>);

impl Objects {
    fn is_new(&mut self, key: &[u8], index: u32) -> bool {
        let mut ieee = Crc32::default();
        ieee.update(key);
        let hash = u64::from(crc32c(key)) << 32 | u64::from(ieee.finish());
        if self.0.len() >= OBJECTS_MAX && !self.0.contains_key(&hash) {
            return true;
        }
        *self.0.entry(hash).or_insert(index) == index
    }
}

/// What an event is, but for its name.
struct Said<'a> {
    model: ChangeModel,
    kind: ChangeKind,
    key: &'a [u8],
    expiry: Expiry,
    body: Body<'a>,
}

impl Telling<'_> {
    /// Tells of the events of a record.
    pub(super) fn record(&mut self, record: &Record<'_>) -> ControlFlow<Stop> {
        self.time_ms = record.hlc().millis();
        match record.kind {
            Kind::Put => self.keys(record, ChangeKind::Put),
            Kind::Delete => self.keys(record, ChangeKind::Delete),
            Kind::Expire => self.keys(record, ChangeKind::Expire),
            Kind::PutColumns => self.rows(record, ChangeKind::Put),
            Kind::DeleteColumns => self.rows(record, ChangeKind::DeleteColumns),
            Kind::DeleteRows => self.rows(record, ChangeKind::DeleteRow),
            Kind::ExpireRows => self.rows(record, ChangeKind::Expire),
            Kind::ExpireTo => self.watermark(record),
            Kind::PutChunks => self.objects(record, ChangeKind::Put),
            Kind::DeleteObjects => self.objects(record, ChangeKind::Delete),
            Kind::Publish | Kind::PublishPatterns => self.messages(record),
            Kind::DeleteMessages => {
                let streams = deletions(record).map(|(stream, _)| stream);
                self.streams(streams, ChangeKind::Delete)
            }
            Kind::Trim => self.streams(trims(record).map(|(stream, ..)| stream), ChangeKind::Trim),
            Kind::DefineTopics
            | Kind::DefinePatterns
            | Kind::SetTopics
            | Kind::NewEpoch
            | Kind::Nothing
            | Kind::Foreign => ControlFlow::Continue(()),
        }
    }

    /// The name of the next event; `None` when it was told before.
    fn next_id(&mut self) -> Option<ChangeId> {
        let id = ChangeId { lsn: self.lsn, index: self.index };
        self.index = self.index.saturating_add(1);
        (id >= self.from).then_some(id)
    }

    fn tell(&mut self, said: Said<'_>) -> ControlFlow<Stop> {
        match self.next_id() {
            Some(id) => self.tell_as(id, said, false),
            None => ControlFlow::Continue(()),
        }
    }

    fn tell_as(&mut self, id: ChangeId, said: Said<'_>, is_of_pattern: bool) -> ControlFlow<Stop> {
        let Said { model, kind, key, expiry, body } = said;
        let expires_at = expiry.is_set().then_some(expiry.0);
        let time_ms = self.time_ms;
        let change = Change { id, time_ms, model, kind, key, is_of_pattern, expires_at, body };
        (self.visit)(&change).map_break(|()| Stop::BrokenOff)
    }

    fn keys(&mut self, record: &Record<'_>, kind: ChangeKind) -> ControlFlow<Stop> {
        for KeyValue { key, value, expiry, .. } in key_values(record) {
            let user = kv::user_key(key).filter(|_| key.len() <= STORAGE_KEY_MAX);
            let Some(key) = user else { continue };
            let body = if kind == ChangeKind::Put { Body::Value(value) } else { Body::Nothing };
            self.tell(Said { model: ChangeModel::Kv, kind, key, expiry, body })?;
        }
        ControlFlow::Continue(())
    }

    fn rows(&mut self, record: &Record<'_>, kind: ChangeKind) -> ControlFlow<Stop> {
        for entry in rows(record) {
            let Some(key) = row::from_log(entry.key) else { continue };
            let head = row::head_bytes(key);
            let whole = matches!(kind, ChangeKind::DeleteRow | ChangeKind::Expire);
            let changes = whole || entry.columns().any(|(name, ..)| row::has_place(head, name));
            if head > STORAGE_KEY_MAX || !changes {
                continue;
            }
            let expiry = entry.expiry();
            let body = if whole { Body::Nothing } else { Body::Columns(entry) };
            self.tell(Said { model: ChangeModel::Row, kind, key, expiry, body })?;
        }
        ControlFlow::Continue(())
    }

    fn watermark(&mut self, record: &Record<'_>) -> ControlFlow<Stop> {
        let Some(ms) = watermark(record) else { return ControlFlow::Continue(()) };
        let (model, kind, expiry) = (ChangeModel::Kv, ChangeKind::ExpiredTo, Expiry(ms));
        self.tell(Said { model, kind, key: &[], expiry, body: Body::Nothing })
    }

    /// Of messages to a topic that nobody named, nobody reads.
    fn messages(&mut self, record: &Record<'_>) -> ControlFlow<Stop> {
        let pattern = record.kind == Kind::PublishPatterns;
        let names = if pattern { KeyKind::Pattern } else { KeyKind::Topic };
        for (place, (message, ..)) in (0..).zip(messages(record)) {
            let Some(id) = self.next_id() else { continue };
            let Some(name) = self.name(names, message.stream)? else { continue };
            // Of one in a transaction only the commit counts.
            let index = if self.lsn == record.lsn() { place } else { u32::MAX };
            let at = MessagePosition { time_ms: self.time_ms, lsn: self.lsn, index };
            let expiry = Expiry(message.expires_at);
            let opened = self.opener.open(&message, &at, self.keys);
            let said = Said {
                model: ChangeModel::Topic,
                kind: ChangeKind::Publish,
                key: name.as_bytes(),
                expiry,
                body: match &opened {
                    Ok(None) => Body::Message(message),
                    Ok(Some(opened)) => Body::Opened(opened),
                    Err(_) => Body::Closed,
                },
            };
            self.tell_as(id, said, pattern)?;
        }
        ControlFlow::Continue(())
    }

    fn streams(
        &mut self,
        streams: impl Iterator<Item = u64>,
        kind: ChangeKind,
    ) -> ControlFlow<Stop> {
        for stream in streams {
            let Some(id) = self.next_id() else { continue };
            let (model, expiry, body) = (ChangeModel::Topic, Expiry::NEVER, Body::Nothing);
            let topic = self.name(KeyKind::Topic, stream)?;
            let pattern = topic.is_none();
            let name = if pattern { self.name(KeyKind::Pattern, stream)? } else { topic };
            if let Some(name) = name {
                let key = name.as_bytes();
                self.tell_as(id, Said { model, kind, key, expiry, body }, pattern)?;
            }
        }
        ControlFlow::Continue(())
    }

    fn name(&self, kind: KeyKind, stream: u64) -> ControlFlow<Stop, Option<String>> {
        match (self.names)(kind, stream) {
            Ok(name) => ControlFlow::Continue(name),
            Err(error) => ControlFlow::Break(Stop::Name(error)),
        }
    }

    /// A large object that is put comes in many records and is one event, at its first one.
    pub(super) fn objects(&mut self, record: &Record<'_>, kind: ChangeKind) -> ControlFlow<Stop> {
        let (model, expiry) = (ChangeModel::Object, Expiry::NEVER);
        for KeyValue { key, .. } in key_values(record) {
            let Some(key) = object::from_log(key) else { continue };
            if kind == ChangeKind::Delete || self.objects.is_new(key, self.index) {
                self.tell(Said { model, kind, key, expiry, body: Body::Nothing })?;
            }
        }
        ControlFlow::Continue(())
    }
}
