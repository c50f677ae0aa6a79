//! Building state from records that exist already: a leader's, and our own at a restart.

mod follow;
mod replay;
mod topics;

pub(crate) use topics::{definition_index_bytes, values_of};

use crate::errors::RecordError;
use crate::expiry::{Due, Expiry, WATERMARK_KEY};
use crate::memtable::{
    Entry, Location, Memtable, RowChange, STORAGE_KEY_MAX, StorageKey, index_bytes,
};
use crate::models::kv;
use crate::models::row::{self, RowKeys};
use crate::records::{KeyValue, Kind, Record, RowEntry, Span, decode, key_values, rows, watermark};
use alloc::vec::Vec;
use unison_base::checksum::crc32c;
use unison_base::frame::HEADER_BYTES;
use unison_base::hlc::{Hlc, HlcClock};
use unison_base::limits::INDEX_BYTES_MAX;
use unison_base::{Lsn, Position};

/// Versions that the buffer keeps room for between runs.
const KEPT_VERSIONS: usize = 4 << 10;

/// Versions of verified records on their way into the memtable, in a buffer that is kept.
#[derive(Default)]
pub(crate) struct Incoming {
    versions: Vec<Version>,
    /// What they will take in the index, bytes.
    index_bytes: usize,
    newest: Hlc,
    skipped: u64,
    frame_bytes: u64,
    /// Patterns among them, and those that are in the memtable by now.
    patterns: Vec<topics::Defined>,
    defined: Vec<topics::Defined>,
}

struct Version {
    /// Of a cell the column alone: its row's head is the last one before it.
    key: StorageKey,
    is_cell: bool,
    lsn: Lsn,
    entry: Entry,
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
        self.versions.clear();
        self.index_bytes = 0;
        self.newest = Hlc::default();
        self.skipped = 0;
        self.frame_bytes = 0;
        self.patterns.clear();
    }

    /// Verifies the record of a frame at `position` and takes its versions when it is above
    /// `checkpoint`, the newest record that the tree knows already, and all that is taken stays
    /// within `room` bytes of the index.
    pub(crate) fn take(
        &mut self,
        payload: &[u8],
        position: Position,
        checkpoint: Lsn,
        room: usize,
    ) -> Result<Taken, RecordError> {
        let record = decode(payload)?;
        if record.lsn() <= checkpoint {
            self.newest = self.newest.max(record.hlc());
            return Ok(Taken::Whole);
        }
        let index_bytes = record_index_bytes(&record);
        let passed_over = index_bytes > INDEX_BYTES_MAX;
        if !passed_over && self.index_bytes.saturating_add(index_bytes) > room {
            return Ok(Taken::NoRoom { index_bytes });
        }
        self.newest = self.newest.max(record.hlc());
        let frame = unison_base::frame::frame_bytes(payload.len()).unwrap_or(payload.len());
        self.frame_bytes = self.frame_bytes.saturating_add(u64::try_from(frame).unwrap_or(0));
        if passed_over {
            // No writer of ours makes such a record.
            self.skipped = self.skipped.saturating_add(1);
            return Ok(Taken::Whole);
        }
        self.index_bytes = self.index_bytes.saturating_add(index_bytes);
        match record.kind {
            Kind::Put | Kind::Delete | Kind::Expire => self.take_key_values(&record, position),
            Kind::PutColumns | Kind::DeleteColumns | Kind::DeleteRows | Kind::ExpireRows => {
                self.take_rows(&record, position);
            }
            Kind::ExpireTo => self.take_watermark(&record),
            Kind::DefineTopics
            | Kind::DefinePatterns
            | Kind::Publish
            | Kind::PublishPatterns
            | Kind::DeleteMessages
            | Kind::Trim => self.take_topics(&record, position),
            Kind::Foreign => self.skipped = self.skipped.saturating_add(1),
            Kind::Nothing => {}
        }
        Ok(Taken::Whole)
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
            self.push(key, record.lsn(), entry);
        }
        self.skipped = self.skipped.saturating_add(u64::from(foreign));
    }

    fn take_watermark(&mut self, record: &Record<'_>) {
        match watermark(record) {
            Some(ms) => self.push(&WATERMARK_KEY, record.lsn(), Entry::Watermark(ms)),
            None => self.skipped = self.skipped.saturating_add(1),
        }
    }

    fn push(&mut self, key: &[u8], lsn: Lsn, entry: Entry) {
        let key = StorageKey::from_storage(key);
        self.versions.push(Version { key, is_cell: false, lsn, entry });
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
        let (lsn, change, before) = (record.lsn(), changed_by(record.kind), self.versions.len());
        let keys = RowKeys::new(row);
        let head = keys.head().len();
        self.push(keys.head(), lsn, row_change(change, lsn, entry.expiry()));
        if matches!(change, RowChange::Deleted | RowChange::Kept) {
            return false;
        }
        let mut foreign = false;
        for (name, value, span) in entry.columns() {
            if name.is_empty() || head.saturating_add(name.len()) > STORAGE_KEY_MAX {
                foreign = true;
                continue;
            }
            let entry = match change {
                RowChange::Filled => located(position, span, value, Expiry::NEVER),
                _ => Entry::Tombstone,
            };
            let key = StorageKey::from_storage(name.as_bytes());
            self.versions.push(Version { key, is_cell: true, lsn, entry });
        }
        if self.versions.len() == before + 1 {
            // No column, no change.
            self.versions.truncate(before);
        }
        foreign
    }

    /// What the versions taken will take in the index, bytes.
    pub(crate) fn index_bytes(&self) -> usize {
        self.index_bytes
    }

    /// Puts what was taken into the memtable.
    pub(crate) fn apply(&mut self, memtable: &Memtable, clock: &mut HlcClock, due: &mut Due) {
        clock.observe(self.newest);
        memtable.add_log_bytes(self.frame_bytes);
        memtable.add_skipped(self.skipped);
        let (mut key, mut head) = (Vec::new(), 0);
        for version in self.versions.drain(..) {
            key.truncate(if version.is_cell { head } else { 0 });
            key.extend_from_slice(version.key.as_bytes());
            if !version.is_cell {
                head = key.len();
            }
            if version.entry.expiry().is_set() {
                due.add(version.entry.expiry().0);
            }
            memtable.insert(&key, version.lsn, version.entry);
        }
        self.versions.shrink_to(KEPT_VERSIONS);
        due.pass(memtable.watermark());
        self.defined.append(&mut self.patterns);
        self.clear();
    }
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
