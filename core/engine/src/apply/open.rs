//! One open transaction: what its commit will change.

use super::row_change;
use super::step::{At, Content, Sink, Version};
use super::topics::{MESSAGE_INDEX_BYTES, Pending, message_versions, pattern_of};
use crate::expiry::Expiry;
use crate::memtable::{
    Entry, Location, Memtable, ObjectSummary, RowChange, StorageKey, carry, index_bytes,
};
use crate::models::topic::key::{self, KeyKind, MessagePosition};
use crate::models::{object, successor};
use crate::read::own;
use crate::records::TypeOfChange;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;
use unison_base::Lsn;
use unison_base::checksum::Crc32;
use unison_base::limits::TRANSACTION_INDEX_BYTES_MAX;

/// What versions that were written over may take beside those that were not, bytes.
const OWN_SPARE_BYTES: usize = 4 << 10;

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
    /// What its newest record that touches a key makes of it, and that record. Heads say which record
    /// of the transaction deleted the row or object, if one did.
    changes: BTreeMap<StorageKey, (Lsn, Entry)>,
    /// The same as its reader takes it, once somebody reads in it.
    own: Option<Arc<Memtable>>,
    objects: BTreeMap<StorageKey, Growing>,
    /// In the order in which they were published.
    messages: Vec<Pending>,
    /// The highest id that it gives to a topic or a pattern; 0 when it names none.
    last_stream: u64,
    /// How many patterns it names.
    patterns: usize,
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
            own: None,
            objects: BTreeMap::new(),
            messages: Vec::new(),
            last_stream: 0,
            patterns: 0,
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

    /// What its reader's form of it takes in memory, bytes; 0 when nobody reads in it.
    pub(super) fn own_bytes(&self) -> usize {
        self.own.as_ref().map_or(0, |own| own.memory())
    }

    /// CRC-32 (IEEE) of all values put, one behind the other.
    pub(crate) fn checksum(&self) -> u32 {
        self.checksum.clone().finish()
    }

    /// What it has done to a key.
    pub(crate) fn find(&self, key: &[u8]) -> Option<Entry> {
        self.changes.get(key).map(|&(_, entry)| entry)
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
        self.own = None;
        self.objects.clear();
        self.messages.clear();
        (self.last_stream, self.patterns) = (0, 0);
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
        } else if version.content == Content::Definition {
            self.defined(key, version.entry);
        } else if let Entry::Value(location, _) = version.entry {
            self.checksum.append(version.checksum, u64::from(location.length));
        }
        match (version.content, version.entry) {
            (Content::Message { .. }, _) => {}
            (Content::Chunk, Entry::Value(location, _)) => self.put_chunk(key, location, version),
            (_, Entry::Row { change: RowChange::Deleted, .. }) => {
                self.delete_row(key, version.lsn, version.lsn);
            }
            (_, entry) => self.change(key, version.lsn, entry),
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

    /// Takes note of the id that a name has, or a pattern's text.
    fn defined(&mut self, key: &[u8], entry: Entry) {
        let Entry::Numbers(numbers) = entry else { return };
        self.last_stream = self.last_stream.max(numbers.first);
        self.patterns += usize::from(KeyKind::Text.rest(key).is_some());
    }

    /// The highest id that it gives to a topic or a pattern; 0 when it names none.
    pub(super) fn last_stream(&self) -> u64 {
        self.last_stream
    }

    /// How many patterns it names.
    pub(super) fn patterns(&self) -> usize {
        self.patterns
    }

    /// The id that it gives to a topic or a pattern, by the key of its name.
    pub(crate) fn stream_of(&self, name: &[u8]) -> Option<u64> {
        match self.find(name).filter(|_| self.last_stream > 0) {
            Some(Entry::Numbers(numbers)) => Some(numbers.first),
            _ => None,
        }
    }

    /// Its changes in the form that a reader takes them; `None` when there are none. Topics that it names
    /// are in it, messages are not: they have their place when the transaction is committed.
    pub(super) fn own(&mut self) -> Option<Arc<Memtable>> {
        if self.own.is_none() && !self.changes.is_empty() {
            let own = Memtable::new(0);
            for (key, &(lsn, entry)) in &self.changes {
                insert_own(&own, key.as_bytes(), lsn, entry);
            }
            for (head, object) in &self.objects {
                let (key, summary) = object.summary(head.as_bytes());
                insert_own(&own, key.as_bytes(), self.last.lsn, summary);
            }
            self.own = Some(Arc::new(own));
        }
        self.own.clone()
    }

    fn insert(&mut self, key: &[u8], lsn: Lsn, entry: Entry) {
        if self.changes.insert(StorageKey::from_storage(key), (lsn, entry)).is_none() {
            self.index_bytes = self.index_bytes.saturating_add(index_bytes(key.len()));
        }
        self.insert_own(key, lsn, entry);
    }

    /// What was written over takes memory too: when it is too much it is left, and made anew for the
    /// next reader.
    fn insert_own(&mut self, key: &[u8], lsn: Lsn, entry: Entry) {
        let Some(own) = &self.own else { return };
        insert_own(own, key, lsn, entry);
        if own.bytes() > self.index_bytes.saturating_mul(2).saturating_add(OWN_SPARE_BYTES) {
            self.own = None;
        }
    }

    /// Whatever the transaction did to the row before is undone by this. Cells up to `cleared` are gone.
    fn delete_row(&mut self, head: &[u8], lsn: Lsn, cleared: Lsn) {
        let end = successor(head);
        let range = (Bound::Included(head), Bound::Excluded(end.as_slice()));
        let keys = self.changes.range::<[u8], _>(range).map(|(key, _)| key.clone());
        for key in keys.collect::<Vec<_>>() {
            self.changes.remove(&key);
            let bytes = index_bytes(key.as_bytes().len());
            self.index_bytes = self.index_bytes.saturating_sub(bytes);
        }
        self.objects.remove(head);
        self.insert(head, lsn, row_change(RowChange::Deleted, cleared, Expiry::NEVER));
    }

    /// A row, or when something expires: what the transaction did to it before is not forgotten.
    fn change(&mut self, key: &[u8], lsn: Lsn, entry: Entry) {
        let before = self.find(key);
        self.insert(key, lsn, before.map_or(entry, |before| carry::onto(entry, before, 0)));
    }

    /// The first chunk takes the place of the object that was there, each next one is added.
    fn put_chunk(&mut self, head: &[u8], location: Location, version: &Version) {
        let lsn = version.lsn;
        if !self.objects.contains_key(head) {
            self.delete_row(head, lsn, lsn.prev());
            self.change(head, lsn, row_change(RowChange::Filled, lsn, Expiry::NEVER));
            self.objects.insert(StorageKey::from_storage(head), Growing::default());
        }
        let Some(object) = self.objects.get_mut(head) else { return };
        let cell = [head, &object::chunk_cell(object.bytes)].concat();
        object.checksum.append(version.checksum, u64::from(location.length));
        object.bytes = object.bytes.saturating_add(u64::from(location.length));
        object.chunks = object.chunks.saturating_add(1);
        let (summary_key, summary) = object.summary(head);
        self.insert(&cell, lsn, Entry::Value(location, Expiry::NEVER));
        if let Some((_, entry)) = self.changes.get(head).copied() {
            self.insert(head, lsn, entry);
        }
        self.insert_own(summary_key.as_bytes(), lsn, summary);
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
            let (key, summary) = object.summary(head.as_bytes());
            self.changes.insert(key, (lsn, summary));
        }
        for (key, (_, entry)) in core::mem::take(&mut self.changes) {
            sink.patterns.extend(pattern_of(key.as_bytes(), entry));
            sink.insert(key.as_bytes(), lsn, settled(entry, lsn));
        }
    }
}

impl Growing {
    /// What is known of the object so far, and the key of that cell.
    fn summary(&self, head: &[u8]) -> (StorageKey, Entry) {
        let (bytes, chunks) = (self.bytes, self.chunks);
        let summary = ObjectSummary { bytes, checksum: self.checksum.clone().finish(), chunks };
        let cell = [head, object::summary_cell()].concat();
        (StorageKey::from_storage(&cell), Entry::Object(summary))
    }
}

/// Puts a version in front of all that there is.
fn insert_own(memtable: &Memtable, key: &[u8], lsn: Lsn, entry: Entry) {
    let entry = match entry {
        Entry::Row { change, cleared, expiry, first } => {
            let cleared = if cleared > Lsn::ZERO { own(cleared) } else { Lsn::ZERO };
            Entry::Row { change, cleared, expiry, first: own(first) }
        }
        entry => entry,
    };
    memtable.insert(key, own(lsn), entry);
}

/// A head says which record deleted the row: of a transaction, all records before its commit, for
/// cells put behind the deletion have the LSN of the commit itself.
fn settled(entry: Entry, lsn: Lsn) -> Entry {
    match entry {
        Entry::Row { change, cleared, expiry, .. } => {
            let cleared = if cleared > Lsn::ZERO { lsn.prev() } else { Lsn::ZERO };
            Entry::Row { change, cleared, expiry, first: lsn }
        }
        entry => entry,
    }
}
