//! Building state from records that exist already: a leader's, and our own at a restart.

mod follow;
mod replay;

use crate::errors::RecordError;
use crate::memtable::{Entry, Location, Memtable, RowChange, STORAGE_KEY_MAX, StorageKey};
use crate::models::kv;
use crate::models::row::{self, RowKeys};
use crate::records::{Kind, Record, Span, decode, key_values, rows};
use alloc::vec::Vec;
use unison_base::checksum::crc32c;
use unison_base::frame::HEADER_BYTES;
use unison_base::hlc::{Hlc, HlcClock};
use unison_base::{Lsn, Position};

/// Versions that the buffer keeps room for between runs.
const KEPT_VERSIONS: usize = 4 << 10;

/// Versions of verified records on their way into the memtable, in a buffer that is kept.
#[derive(Default)]
pub(crate) struct Incoming {
    versions: Vec<(StorageKey, Lsn, Entry)>,
    newest: Hlc,
    skipped: u64,
    frame_bytes: u64,
}

impl Incoming {
    pub(crate) fn clear(&mut self) {
        self.versions.clear();
        self.newest = Hlc::default();
        self.skipped = 0;
        self.frame_bytes = 0;
    }

    /// Verifies the record of a frame at `position` and takes its versions when it is above
    /// `checkpoint`, the newest record that the tree knows already.
    pub(crate) fn take(
        &mut self,
        payload: &[u8],
        position: Position,
        checkpoint: Lsn,
    ) -> Result<(), RecordError> {
        let record = decode(payload)?;
        self.newest = self.newest.max(record.hlc());
        if record.lsn() <= checkpoint {
            return Ok(());
        }
        let frame = unison_base::frame::frame_bytes(payload.len()).unwrap_or(payload.len());
        self.frame_bytes = self.frame_bytes.saturating_add(u64::try_from(frame).unwrap_or(0));
        match record.kind {
            Kind::Put | Kind::Delete => self.take_key_values(&record, position),
            Kind::PutColumns | Kind::DeleteColumns | Kind::DeleteRows => {
                self.take_rows(&record, position);
            }
            Kind::Foreign => self.skipped = self.skipped.saturating_add(1),
            Kind::Nothing => {}
        }
        Ok(())
    }

    /// Keys of a KV record that are not in a KV key's form mean something to others only.
    fn take_key_values(&mut self, record: &Record<'_>, position: Position) {
        let mut foreign = false;
        for (key, value, span) in key_values(record) {
            if kv::user_key(key).is_none() || key.len() > STORAGE_KEY_MAX {
                foreign = true;
                continue;
            }
            let entry = match record.kind {
                Kind::Delete => Entry::Tombstone,
                _ => located(position, span, value),
            };
            self.versions.push((StorageKey::from_storage(key), record.lsn(), entry));
        }
        self.skipped = self.skipped.saturating_add(u64::from(foreign));
    }

    /// As above; a column without a name has no place beside its row's head.
    fn take_rows(&mut self, record: &Record<'_>, position: Position) {
        let (lsn, mut foreign) = (record.lsn(), false);
        for entry in rows(record) {
            let keys = row::from_log(entry.key).map(RowKeys::new);
            let Some(mut keys) = keys.filter(|keys| keys.head().len() <= STORAGE_KEY_MAX) else {
                foreign = true;
                continue;
            };
            let head = StorageKey::from_storage(keys.head());
            if record.kind == Kind::DeleteRows {
                self.versions.push((head, lsn, row_change(RowChange::Deleted, lsn)));
                continue;
            }
            let (change, before) = (changed_by(record.kind), self.versions.len());
            self.versions.push((head, lsn, row_change(change, lsn)));
            for (name, value, span) in entry.columns() {
                let key = keys.cell(name.as_bytes());
                if name.is_empty() || key.len() > STORAGE_KEY_MAX {
                    foreign = true;
                    continue;
                }
                let cell = match change {
                    RowChange::Filled => located(position, span, value),
                    _ => Entry::Tombstone,
                };
                self.versions.push((StorageKey::from_storage(key), lsn, cell));
            }
            if self.versions.len() == before + 1 {
                // No column, no change.
                self.versions.truncate(before);
            }
        }
        self.skipped = self.skipped.saturating_add(u64::from(foreign));
    }

    /// Puts what was taken into the memtable.
    pub(crate) fn apply(&mut self, memtable: &Memtable, clock: &mut HlcClock) {
        clock.observe(self.newest);
        memtable.add_log_bytes(self.frame_bytes);
        memtable.add_skipped(self.skipped);
        for (key, lsn, entry) in self.versions.drain(..) {
            memtable.insert(key.as_bytes(), lsn, entry);
        }
        self.versions.shrink_to(KEPT_VERSIONS);
        self.clear();
    }
}

fn changed_by(kind: Kind) -> RowChange {
    match kind {
        Kind::PutColumns => RowChange::Filled,
        Kind::DeleteColumns => RowChange::Thinned,
        _ => RowChange::Deleted,
    }
}

/// The head of a row that the record at `lsn` changed.
pub(crate) fn row_change(change: RowChange, lsn: Lsn) -> Entry {
    let cleared = if change == RowChange::Deleted { lsn } else { Lsn::ZERO };
    Entry::Row { change, cleared }
}

/// A value at its place in the record of the frame at `position`.
pub(crate) fn located(position: Position, span: Span, value: &[u8]) -> Entry {
    let header = u32::try_from(HEADER_BYTES).unwrap_or_default();
    Entry::Value(Location {
        segment: position.segment,
        offset: position.offset.saturating_add(header).saturating_add(span.offset),
        length: span.length,
        crc: crc32c(value),
    })
}
