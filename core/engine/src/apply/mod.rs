//! Building state from records that exist already: a leader's, and our own at a restart.

mod follow;
mod open;
mod replay;
mod step;
mod topics;
mod transactions;

pub(crate) use open::{Kinds, Open};
pub(crate) use step::At;
pub(crate) use topics::{MESSAGE_INDEX_BYTES, definition_index_bytes, values_of};
pub(crate) use transactions::{Ending, Transactions};

use crate::errors::RecordError;
use crate::expiry::{Due, Expiry, WATERMARK_KEY};
use crate::memtable::{
    Entry, Location, Memtable, RowChange, STORAGE_KEY_MAX, StorageKey, index_bytes,
};
use crate::models::row::{self, RowKeys};
use crate::models::topic::settings::Rules;
use crate::models::{kv, object};
use crate::records::{
    KeyValue, Kind, Part, Record, RowEntry, Span, decode, key_values, rows, watermark,
};
use alloc::vec::Vec;
use step::{Content, Sink, Step, Version};
use unison_base::checksum::{crc32, crc32c};
use unison_base::frame::HEADER_BYTES;
use unison_base::hlc::{Hlc, HlcClock};
use unison_base::limits::INDEX_BYTES_MAX;
use unison_base::{Lsn, Position};

/// Steps that the buffer keeps room for between runs.
const KEPT_STEPS: usize = 4 << 10;
/// Longest head of an object: its cells have keys too.
const OBJECT_HEAD_MAX: usize = STORAGE_KEY_MAX - 16;

/// What verified records say, on its way into the memtable, in a buffer that is kept.
#[derive(Default)]
pub(crate) struct Incoming {
    steps: Vec<Step>,
    /// The steps at the end belong to a transaction.
    in_transaction: bool,
    /// What they will take in the index, bytes.
    index_bytes: usize,
    newest: Hlc,
    skipped: u64,
    frame_bytes: u64,
    /// Patterns among them, and those that are in the memtable by now.
    patterns: Vec<topics::Defined>,
    defined: Vec<topics::Defined>,
    /// Settings of topics, likewise.
    settings: Option<Rules>,
    set: Option<Rules>,
}

/// How much of the index may be taken.
#[derive(Clone, Copy)]
pub(crate) struct Room<'a> {
    pub(crate) bytes: usize,
    /// Says what a commit will take.
    pub(crate) transactions: Option<&'a Transactions>,
}

impl Room<'_> {
    pub(crate) const UNBOUNDED: Self = Self { bytes: usize::MAX, transactions: None };
}

/// What became of a record.
pub(crate) enum Taken {
    Whole,
    /// Nothing of it was taken: it needs so many bytes of the index.
    NoRoom {
        index_bytes: usize,
    },
}

impl Incoming {
    pub(crate) fn clear(&mut self) {
        self.steps.clear();
        self.in_transaction = false;
        self.index_bytes = 0;
        self.newest = Hlc::default();
        self.skipped = 0;
        self.frame_bytes = 0;
        self.patterns.clear();
        self.settings = None;
    }

    /// Verifies the record of a frame at `position` and takes what it says when it is above
    /// `checkpoint`, the newest record that the tree knows already, and all that is taken stays within
    /// `room` bytes of the index. Of one below, what it says of a transaction that may still be open is
    /// taken.
    pub(crate) fn take(
        &mut self,
        payload: &[u8],
        position: Position,
        checkpoint: Lsn,
        room: Room<'_>,
    ) -> Result<Taken, RecordError> {
        let record = decode(payload)?;
        let part = record.part();
        let (is_flushed, skipped) = (record.lsn() <= checkpoint, self.skipped);
        let index_bytes = record_index_bytes(&record).max(self.commit_bytes(part.as_ref(), room));
        let fits = index_bytes <= INDEX_BYTES_MAX || matches!(part, Some(Part::Commit(_)));
        if fits && !is_flushed && self.index_bytes.saturating_add(index_bytes) > room.bytes {
            return Ok(Taken::NoRoom { index_bytes });
        }
        self.newest = self.newest.max(record.hlc());
        if !is_flushed {
            let frame = unison_base::frame::frame_bytes(payload.len()).unwrap_or(payload.len());
            self.frame_bytes = self.frame_bytes.saturating_add(u64::try_from(frame).unwrap_or(0));
        }
        let at = At { lsn: record.lsn(), position, ms: record.hlc().millis() };
        match part {
            None => self.skip(),
            Some(Part::Alone) if is_flushed => {}
            Some(Part::Alone) => {
                self.leave_transaction();
                self.take_changes(&record, position, fits);
            }
            Some(Part::Commit(id)) if is_flushed => self.steps.push(Step::Abort(id, at)),
            Some(part) => self.take_part(part, &record, at, fits),
        }
        if is_flushed {
            // The tree has counted it.
            self.skipped = skipped;
        }
        if fits {
            self.index_bytes = self.index_bytes.saturating_add(index_bytes);
        }
        Ok(Taken::Whole)
    }

    /// What the end of a transaction puts into the index, bytes, at most: what was taken before it
    /// may belong to it too.
    fn commit_bytes(&self, part: Option<&Part>, room: Room<'_>) -> usize {
        match (part, room.transactions) {
            (Some(Part::Commit(id)), Some(transactions)) => {
                transactions.index_bytes_of(id).saturating_add(self.index_bytes)
            }
            _ => 0,
        }
    }

    /// A record of a transaction.
    fn take_part(&mut self, part: Part, record: &Record<'_>, at: At, fits: bool) {
        self.in_transaction = true;
        match part {
            Part::Alone => {}
            Part::Begin(id) => self.steps.push(Step::Begin(id, at)),
            Part::Commit(id) => self.steps.push(Step::Commit(id, at)),
            Part::Abort(id) => self.steps.push(Step::Abort(id, at)),
            Part::Prepare(id) => {
                let known = fits && record.kind != Kind::Foreign;
                let change = known.then(|| record.type_of_change());
                self.steps.push(Step::Prepare(id, at, change));
                self.take_changes(record, at.position, fits);
            }
        }
    }

    /// What comes next belongs to no transaction.
    fn leave_transaction(&mut self) {
        if core::mem::take(&mut self.in_transaction) {
            self.steps.push(Step::Alone);
        }
    }

    /// No writer of ours makes a record that does not fit the index.
    fn take_changes(&mut self, record: &Record<'_>, position: Position, fits: bool) {
        match record.kind {
            _ if !fits => self.skip(),
            Kind::Put | Kind::Delete | Kind::Expire => self.take_key_values(record, position),
            Kind::PutColumns | Kind::DeleteColumns | Kind::DeleteRows | Kind::ExpireRows => {
                self.take_rows(record, position);
            }
            Kind::ExpireTo => self.take_watermark(record),
            Kind::PutChunks | Kind::DeleteObjects => self.take_objects(record, position),
            Kind::DefineTopics
            | Kind::DefinePatterns
            | Kind::Publish
            | Kind::PublishPatterns
            | Kind::DeleteMessages
            | Kind::SetTopics
            | Kind::NewEpoch
            | Kind::Trim => self.take_topics(record, position),
            Kind::Foreign => self.skip(),
            Kind::Nothing => {}
        }
    }

    /// Counts a record that means something to others only.
    fn skip(&mut self) {
        self.skipped = self.skipped.saturating_add(1);
    }

    /// Keys of a KV record that are not in a KV key's form mean something to others only.
    fn take_key_values(&mut self, record: &Record<'_>, position: Position) {
        let mut foreign = false;
        for KeyValue { key, value, span, expiry } in key_values(record) {
            if kv::user_key(key).is_none() || key.len() > STORAGE_KEY_MAX {
                foreign = true;
                continue;
            }
            let entry = match record.kind {
                Kind::Delete => Entry::Tombstone,
                Kind::Expire => Entry::Expire { expiry, watermark: 0 },
                _ => located(position, span, value, expiry),
            };
            self.push(key, record.lsn(), entry, Content::Key, value);
        }
        self.skipped = self.skipped.saturating_add(u64::from(foreign));
    }

    fn take_watermark(&mut self, record: &Record<'_>) {
        match watermark(record) {
            Some(ms) => {
                self.push_key(&WATERMARK_KEY, record.lsn(), Entry::Watermark(ms));
            }
            None => self.skip(),
        }
    }

    /// A key without a value of the user's.
    fn push_key(&mut self, key: &[u8], lsn: Lsn, entry: Entry) {
        self.push(key, lsn, entry, Content::Key, &[]);
    }

    /// The checksum of a value is for the transaction that it belongs to.
    fn push(&mut self, key: &[u8], lsn: Lsn, entry: Entry, content: Content, value: &[u8]) {
        let key = StorageKey::from_storage(key);
        let checksum = if self.in_transaction { crc32(value) } else { 0 };
        self.steps.push(Step::Version(Version { key, content, lsn, entry, checksum }));
    }

    /// Chunks of objects, and objects to delete.
    fn take_objects(&mut self, record: &Record<'_>, position: Position) {
        let mut foreign = false;
        for KeyValue { key, value, span, .. } in key_values(record) {
            let head = object::from_log(key).map(object::keys);
            let Some(head) = head.filter(|keys| keys.head().len() < OBJECT_HEAD_MAX) else {
                foreign = true;
                continue;
            };
            let (lsn, head) = (record.lsn(), head.head());
            match record.kind {
                Kind::DeleteObjects => {
                    let deleted = row_change(RowChange::Deleted, lsn, Expiry::NEVER);
                    self.push_key(head, lsn, deleted);
                }
                _ => {
                    let place = located(position, span, value, Expiry::NEVER);
                    self.push(head, lsn, place, Content::Chunk, value);
                }
            }
        }
        self.skipped = self.skipped.saturating_add(u64::from(foreign));
    }

    /// As above; a column without a name has no place beside its row's head.
    fn take_rows(&mut self, record: &Record<'_>, position: Position) {
        let mut foreign = false;
        for entry in rows(record) {
            let row = row::from_log(entry.key);
            let row = row.filter(|row| row::head_bytes(row) <= STORAGE_KEY_MAX);
            foreign |= row.is_none_or(|row| self.take_row(record, row, &entry, position));
        }
        self.skipped = self.skipped.saturating_add(u64::from(foreign));
    }

    /// True when a part of it means something to others only.
    fn take_row(
        &mut self,
        record: &Record<'_>,
        row: &[u8],
        entry: &RowEntry<'_>,
        position: Position,
    ) -> bool {
        let (lsn, change, before) = (record.lsn(), changed_by(record.kind), self.steps.len());
        let keys = RowKeys::new(row);
        let head = keys.head().len();
        self.push_key(keys.head(), lsn, row_change(change, lsn, entry.expiry()));
        if matches!(change, RowChange::Deleted | RowChange::Kept) {
            return false;
        }
        let mut foreign = false;
        for (name, value, span) in entry.columns() {
            if !row::has_place(head, name) {
                foreign = true;
                continue;
            }
            let entry = match change {
                RowChange::Filled => located(position, span, value, Expiry::NEVER),
                _ => Entry::Tombstone,
            };
            self.push(name.as_bytes(), lsn, entry, Content::Cell, value);
        }
        if self.steps.len() == before + 1 {
            // No column, no change.
            self.steps.truncate(before);
        }
        foreign
    }

    /// What the versions taken will take in the index, bytes.
    pub(crate) fn index_bytes(&self) -> usize {
        self.index_bytes
    }

    /// Puts what was taken into the memtable, and what transactions will do into theirs.
    pub(crate) fn apply(
        &mut self,
        memtable: &Memtable,
        transactions: &mut Transactions,
        clock: &mut HlcClock,
        due: &mut Due,
    ) {
        clock.observe(self.newest);
        memtable.add_log_bytes(self.frame_bytes);
        memtable.add_skipped(self.skipped);
        let mut sink = Sink { memtable, due, patterns: &mut self.defined };
        step::run(self.steps.drain(..), &mut sink, transactions);
        self.defined.append(&mut self.patterns);
        self.set = self.settings.take().or(self.set.take());
        self.steps.shrink_to(KEPT_STEPS);
        self.clear();
    }
}

/// A record of no more than this takes nowhere near the index's limit: its columns and the key that
/// each of them repeats share these bytes.
const SURELY_WITHIN_BYTES: usize = 4 << 10;

/// Whether nothing of a record is taken, for all that it would need in the index.
pub(crate) fn is_passed_over(record: &Record<'_>, payload_bytes: usize) -> bool {
    payload_bytes > SURELY_WITHIN_BYTES && record_index_bytes(record) > INDEX_BYTES_MAX
}

/// What a record takes in the index, bytes, counted no further than the limit is passed.
fn record_index_bytes(record: &Record<'_>) -> usize {
    match record.kind {
        Kind::Put | Kind::Delete | Kind::Expire | Kind::ExpireTo => {
            within_limit(key_values(record).map(|entry| index_bytes(entry.key.len())))
        }
        Kind::PutColumns | Kind::DeleteColumns => within_limit(rows(record).filter_map(|entry| {
            let head = row::head_bytes(row::from_log(entry.key)?);
            let names = entry.columns().map(|(name, _, _)| name);
            Some(row::index_bytes_of(head, names, INDEX_BYTES_MAX))
        })),
        Kind::DeleteRows | Kind::ExpireRows => within_limit(rows(record).filter_map(|entry| {
            let head = row::head_bytes(row::from_log(entry.key)?);
            Some(index_bytes(head))
        })),
        Kind::PutChunks | Kind::DeleteObjects => {
            within_limit(key_values(record).map(|entry| object::index_bytes_of(entry.key)))
        }
        Kind::Nothing | Kind::Foreign => 0,
        _ => topics::record_index_bytes(record),
    }
}

/// The sum, as far as it takes to pass the limit.
fn within_limit(mut parts: impl Iterator<Item = usize>) -> usize {
    let sum = parts.try_fold(0_usize, |sum, part| {
        let sum = sum.saturating_add(part);
        if sum > INDEX_BYTES_MAX { Err(sum) } else { Ok(sum) }
    });
    sum.unwrap_or_else(|passed| passed)
}

fn changed_by(kind: Kind) -> RowChange {
    match kind {
        Kind::PutColumns => RowChange::Filled,
        Kind::DeleteColumns => RowChange::Thinned,
        Kind::ExpireRows => RowChange::Kept,
        _ => RowChange::Deleted,
    }
}

/// The head of a row that the record at `lsn` changed.
pub(crate) fn row_change(change: RowChange, lsn: Lsn, expiry: Expiry) -> Entry {
    let (cleared, expiry) = match change {
        RowChange::Deleted => (lsn, Expiry::NEVER),
        _ => (Lsn::ZERO, expiry),
    };
    Entry::Row { change, cleared, expiry, first: lsn }
}

/// A value at its place in the record of the frame at `position`.
pub(crate) fn located(position: Position, span: Span, value: &[u8], expiry: Expiry) -> Entry {
    let header = u32::try_from(HEADER_BYTES).unwrap_or_default();
    let location = Location {
        segment: position.segment,
        offset: position.offset.saturating_add(header).saturating_add(span.offset),
        length: span.length,
        crc: crc32c(value),
    };
    Entry::Value(location, expiry)
}
