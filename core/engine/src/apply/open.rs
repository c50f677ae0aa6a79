//! One open transaction: what its commit will change.

use super::row_change;
use super::step::{At, Content, Sink, Version};
use super::topics::{MESSAGE_INDEX_BYTES, Pending, message_versions};
use crate::expiry::Expiry;
use crate::memtable::{Entry, Location, ObjectSummary, RowChange, StorageKey, carry, index_bytes};
use crate::models::topic::key::{self, KeyKind, MessagePosition};
use crate::models::{object, successor};
use crate::records::TypeOfChange;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Bound;
use unison_base::Lsn;
use unison_base::checksum::Crc32;
use unison_base::limits::TRANSACTION_INDEX_BYTES_MAX;

/// In a head of a transaction that is not committed yet: the row or object was deleted in it.
const CLEARED: Lsn = Lsn::FIRST;

/// The kinds of change in a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kinds {
    None,
    One(TypeOfChange),
    Mixed,
}

/// A large object that the transaction writes.
#[derive(Default)]
struct Growing {
    bytes: u64,
    chunks: u32,
    checksum: Crc32,
}

/// A transaction without its end.
pub(crate) struct Open {
    pub(crate) begun: At,
    /// Its newest record.
    pub(crate) last: At,
    pub(crate) kinds: Kinds,
    /// Keys, and heads, in storage form, that must have these versions when it is committed.
    pub(crate) checked: BTreeMap<StorageKey, Lsn>,
    /// Heads of rows that must still expire then when it is committed, for it repeats that.
    pub(crate) kept: BTreeMap<StorageKey, Expiry>,
    /// When it was begun and last used, by the clock of the leader that it is open at, which the
    /// timestamps of records may be far ahead of. Milliseconds since 1970.
    begun_ms: u64,
    used_ms: u64,
    /// Nothing of it may happen any more: a record of it is missing or not understood.
    pub(crate) is_broken: bool,
    changes: BTreeMap<StorageKey, Entry>,
    objects: BTreeMap<StorageKey, Growing>,
    /// In the order in which they were published.
    messages: Vec<Pending>,
    index_bytes: usize,
    checksum: Crc32,
}

impl Open {
    pub(super) fn new(begun: At) -> Self {
        Self {
            begun,
            last: begun,
            kinds: Kinds::None,
            checked: BTreeMap::new(),
            kept: BTreeMap::new(),
            begun_ms: begun.ms,
            used_ms: begun.ms,
            is_broken: false,
            changes: BTreeMap::new(),
            objects: BTreeMap::new(),
            messages: Vec::new(),
            index_bytes: 0,
            checksum: Crc32::default(),
        }
    }

    /// Takes note of the leader's clock. One that goes back begins to count anew.
    pub(super) fn tick(&mut self, now_ms: u64) {
        self.begun_ms = self.begun_ms.min(now_ms);
        self.used_ms = self.used_ms.min(now_ms);
    }

    /// Takes note of its use at that time.
    pub(crate) fn used(&mut self, now_ms: u64) {
        self.tick(now_ms);
        self.used_ms = now_ms;
    }

    /// For how many milliseconds nothing was added to it, and for how many it has been open.
    pub(crate) fn age_ms(&self, now_ms: u64) -> (u64, u64) {
        (now_ms.saturating_sub(self.used_ms), now_ms.saturating_sub(self.begun_ms))
    }

    /// What it takes in the index, bytes.
    pub(crate) fn index_bytes(&self) -> usize {
        self.index_bytes
    }

    /// CRC-32 (IEEE) of all values put, one behind the other.
    pub(crate) fn checksum(&self) -> u32 {
        self.checksum.clone().finish()
    }

    /// What it has done to a key.
    pub(crate) fn find(&self, key: &[u8]) -> Option<Entry> {
        self.changes.get(key).copied()
    }

    /// The key of the one large object that it writes, in storage form.
    pub(crate) fn object(&self) -> Option<&[u8]> {
        let mut objects = self.objects.keys();
        let only = objects.next().map(StorageKey::as_bytes);
        only.filter(|_| objects.next().is_none())
    }

    /// Bytes so far of a large object that it writes, by its head; `None` when it has not begun one.
    pub(crate) fn object_bytes(&self, head: &[u8]) -> Option<u64> {
        self.objects.get(head).map(|object| object.bytes)
    }

    /// Takes note of a record.
    pub(super) fn prepare(&mut self, at: At, change: Option<TypeOfChange>) {
        self.last = at;
        self.kinds = match (self.kinds, change) {
            (_, None) => return self.break_up(),
            (Kinds::None, Some(change)) => Kinds::One(change),
            (Kinds::One(before), Some(change)) if before == change => self.kinds,
            _ => Kinds::Mixed,
        };
    }

    /// Gives up what it would have changed.
    pub(super) fn break_up(&mut self) {
        self.is_broken = true;
        self.changes.clear();
        self.objects.clear();
        self.messages.clear();
        self.checked.clear();
        self.kept.clear();
        self.index_bytes = 0;
    }

    /// Takes a version of the record at hand.
    pub(super) fn put(&mut self, key: &[u8], version: &Version) {
        if self.is_broken {
            return;
        }
        if let Content::Message { retained, payload_bytes } = version.content {
            self.checksum.append(version.checksum, u64::from(payload_bytes));
            self.put_message(key, retained, version.entry);
        } else if let Entry::Value(location, _) = version.entry {
            self.checksum.append(version.checksum, u64::from(location.length));
        }
        match (version.content, version.entry) {
            (Content::Message { .. }, _) => {}
            (Content::Chunk, Entry::Value(location, _)) => self.put_chunk(key, location, version),
            (_, Entry::Row { change: RowChange::Deleted, .. }) => self.delete_row(key),
            (_, entry) => self.change(key, entry),
        }
        if self.index_bytes > TRANSACTION_INDEX_BYTES_MAX {
            self.break_up();
        }
    }

    fn put_message(&mut self, head: &[u8], retained: bool, body: Entry) {
        if let Some(stream) = key::id_of(KeyKind::Message, head) {
            self.messages.push(Pending { stream, retained, body });
            self.index_bytes = self.index_bytes.saturating_add(MESSAGE_INDEX_BYTES);
        }
    }

    fn insert(&mut self, key: &[u8], entry: Entry) {
        if self.changes.insert(StorageKey::from_storage(key), entry).is_none() {
            self.index_bytes = self.index_bytes.saturating_add(index_bytes(key.len()));
        }
    }

    /// Whatever the transaction did to the row before is undone by this.
    fn delete_row(&mut self, head: &[u8]) {
        let end = successor(head);
        let range = (Bound::Included(head), Bound::Excluded(end.as_slice()));
        let keys = self.changes.range::<[u8], _>(range).map(|(key, _)| key.clone());
        for key in keys.collect::<Vec<_>>() {
            self.changes.remove(&key);
            let bytes = index_bytes(key.as_bytes().len());
            self.index_bytes = self.index_bytes.saturating_sub(bytes);
        }
        self.objects.remove(head);
        self.insert(head, row_change(RowChange::Deleted, CLEARED, Expiry::NEVER));
    }

    /// A row, or when something expires: what the transaction did to it before is not forgotten.
    fn change(&mut self, key: &[u8], entry: Entry) {
        let before = self.changes.get(key);
        self.insert(key, before.map_or(entry, |before| carry::onto(entry, *before, 0)));
    }

    /// The first chunk takes the place of the object that was there, each next one is added.
    fn put_chunk(&mut self, head: &[u8], location: Location, version: &Version) {
        if !self.objects.contains_key(head) {
            self.delete_row(head);
            self.change(head, row_change(RowChange::Filled, CLEARED, Expiry::NEVER));
            self.objects.insert(StorageKey::from_storage(head), Growing::default());
        }
        let Some(object) = self.objects.get_mut(head) else { return };
        let cell = [head, &object::chunk_cell(object.bytes)].concat();
        object.checksum.append(version.checksum, u64::from(location.length));
        object.bytes = object.bytes.saturating_add(u64::from(location.length));
        object.chunks = object.chunks.saturating_add(1);
        self.insert(&cell, Entry::Value(location, Expiry::NEVER));
    }

    /// Makes all of it happen, as of the record that commits it.
    pub(super) fn apply(&mut self, commit: &At, sink: &mut Sink<'_>) {
        let lsn = commit.lsn;
        for (index, message) in (0..).zip(core::mem::take(&mut self.messages)) {
            let at = MessagePosition { time_ms: commit.ms, lsn, index };
            for (key, entry) in message_versions(&at, &message) {
                sink.insert(&key, lsn, entry);
            }
        }
        for (head, object) in core::mem::take(&mut self.objects) {
            let summary = ObjectSummary {
                bytes: object.bytes,
                checksum: object.checksum.finish(),
                chunks: object.chunks,
            };
            let cell = [head.as_bytes(), object::summary_cell()].concat();
            self.changes.insert(StorageKey::from_storage(&cell), Entry::Object(summary));
        }
        for (key, entry) in core::mem::take(&mut self.changes) {
            sink.insert(key.as_bytes(), lsn, settled(entry, lsn));
        }
    }
}

/// A head says which record deleted the row: of a transaction, all records before its commit, for
/// cells put behind the deletion have the LSN of the commit itself.
fn settled(entry: Entry, lsn: Lsn) -> Entry {
    match entry {
        Entry::Row { change, cleared, expiry, .. } => {
            let cleared = if cleared == CLEARED { lsn.prev() } else { Lsn::ZERO };
            Entry::Row { change, cleared, expiry, first: lsn }
        }
        entry => entry,
    }
}
