//! Reads records that came from a disk or a peer. Nothing of a record is used before the verifier
//! has seen the whole of it.

use super::Span;
use super::decode_topic::{is_of_topics, kind_of_topics, verify_topics};
use crate::errors::RecordError;
use crate::expiry::Expiry;
use crate::memtable::StorageKey;
use flatbuffers::{Follow, Verifiable, VerifierOptions, root_with_opts};
use unison_base::bytes::{u32_at, u64_at};
use unison_base::checksum::Crc32;
use unison_base::limits::TRANSACTION_ID_BYTES;
use unison_base::{Hlc, Lsn, Position, SegmentId};
use unison_schemas::{
    EntryType, EventEntry, KeyValueEntry, LogRecord, OperationType, RowUpdateEntry, TxnState,
};

/// What a record means to this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Sets the keys of its entries.
    Put,
    /// Removes the keys of its entries.
    Delete,
    /// Sets columns of the rows of its entries.
    PutColumns,
    /// Deletes columns of the rows of its entries.
    DeleteColumns,
    /// Deletes the rows of its entries.
    DeleteRows,
    /// Says when the keys of its entries expire.
    Expire,
    /// Says when the rows of its entries expire.
    ExpireRows,
    /// Raises the watermark of expiry.
    ExpireTo,
    /// Names topics, or says which texts are patterns.
    DefineTopics,
    DefinePatterns,
    /// Messages of topics, or of patterns.
    Publish,
    PublishPatterns,
    /// Deletes messages.
    DeleteMessages,
    /// Deletes what is old in streams of messages.
    Trim,
    /// Says what holds for topics.
    SetTopics,
    /// Has the key of an epoch.
    NewEpoch,
    /// Adds the chunks of its entries to large objects; in a transaction only.
    PutChunks,
    /// Deletes the large objects of its entries.
    DeleteObjects,
    /// Says nothing.
    Nothing,
    /// Stored for those that understand it.
    Foreign,
}

/// What a record is to its transaction.
#[derive(Clone)]
pub(crate) enum Part {
    /// It belongs to none.
    Alone,
    /// Opens it.
    Begin(StorageKey),
    /// Says what changes when it is committed.
    Prepare(StorageKey),
    /// Makes all of it happen.
    Commit(StorageKey),
    /// Makes nothing of it happen.
    Abort(StorageKey),
}

/// A verified record.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a> {
    pub(super) payload: &'a [u8],
    pub(super) table: LogRecord<'a>,
    pub(crate) kind: Kind,
}

/// What a record does, and to what: all that the commit of a transaction of one kind repeats.
pub(crate) type TypeOfChange = (OperationType, EntryType);

/// Tables are nested three deep at most, each takes eight bytes at least, and bytes that are shared
/// between tables are only small vtables: so honest records pass, and no record costs more than a
/// few passes over its bytes.
fn bounds(bytes: usize) -> VerifierOptions {
    VerifierOptions {
        max_depth: 8,
        max_tables: bytes / 8 + 8,
        max_apparent_size: bytes.saturating_mul(4).saturating_add(1024),
        ignore_missing_null_terminator: false,
    }
}

/// Verifies a record, its entries included.
pub(crate) fn decode(payload: &[u8]) -> Result<Record<'_>, RecordError> {
    let table = root_with_opts::<LogRecord<'_>>(&bounds(payload.len()), payload)
        .map_err(|_| RecordError::Malformed)?;
    verify_checksum(&table)?;
    match (table.operation_type(), table.entry_type()) {
        (operation, EntryType::Event) if is_of_topics(operation) => verify_topics(&table)?,
        (operation, _) if !is_known(operation) => {}
        (_, EntryType::KV | EntryType::Chunked) => verify_entries::<KeyValueEntry<'_>>(&table)?,
        (_, EntryType::Row) => verify_entries::<RowUpdateEntry<'_>>(&table)?,
        (_, EntryType::Event) => verify_entries::<EventEntry<'_>>(&table)?,
        _ => {}
    }
    Ok(Record { payload, table, kind: kind(&table) })
}

fn is_known(operation: OperationType) -> bool {
    operation <= OperationType::DeleteRowByKey
        || [OperationType::ExpireTo, OperationType::Expire].contains(&operation)
}

fn kind(table: &LogRecord<'_>) -> Kind {
    let changes = matches!(table.txn_state(), TxnState::None | TxnState::Prepare);
    match (table.operation_type(), table.entry_type()) {
        (OperationType::TxnMarker, _) => Kind::Nothing,
        _ if matches!(table.txn_state(), TxnState::Begin | TxnState::Commit) => Kind::Nothing,
        (OperationType::NoOperation, _) => Kind::Nothing,
        (OperationType::Insert, EntryType::KV) if changes => Kind::Put,
        (OperationType::Delete, EntryType::KV) if changes => Kind::Delete,
        (OperationType::Insert, EntryType::Row) if changes => Kind::PutColumns,
        (OperationType::Delete, EntryType::Row) if changes => Kind::DeleteColumns,
        (OperationType::DeleteRowByKey, EntryType::Row) if changes => Kind::DeleteRows,
        (OperationType::Insert, EntryType::Chunked) if table.txn_state() == TxnState::Prepare => {
            Kind::PutChunks
        }
        (OperationType::Delete, EntryType::Chunked) if changes => Kind::DeleteObjects,
        (OperationType::Expire, EntryType::KV) if changes => Kind::Expire,
        (OperationType::Expire, EntryType::Row) if changes => Kind::ExpireRows,
        (OperationType::ExpireTo, EntryType::KV) if table.txn_state() == TxnState::None => {
            Kind::ExpireTo
        }
        (operation, EntryType::Event) => kind_of_topics(operation, table.txn_state()),
        _ => Kind::Foreign,
    }
}

fn part(table: &LogRecord<'_>) -> Option<Part> {
    let id = table.txn_id().map(|id| id.bytes()).unwrap_or_default();
    let id = || TRANSACTION_ID_BYTES.contains(&id.len()).then(|| StorageKey::from_storage(id));
    match table.txn_state() {
        TxnState::None if table.operation_type() == OperationType::TxnMarker => {
            Some(id().map_or(Part::Alone, Part::Abort))
        }
        TxnState::None => Some(Part::Alone),
        TxnState::Begin => id().map(Part::Begin),
        TxnState::Prepare => id().map(Part::Prepare),
        TxnState::Commit => id().map(Part::Commit),
        _ => None,
    }
}

fn verify_checksum(table: &LogRecord<'_>) -> Result<(), RecordError> {
    let stored = table.crc32_checksum();
    if stored == 0 {
        return Ok(());
    }
    let mut checksum = Crc32::default();
    entries(table).for_each(|entry| checksum.update(entry));
    match checksum.finish() {
        computed if computed == stored => Ok(()),
        computed => Err(RecordError::Checksum { stored, computed }),
    }
}

pub(super) fn verify_entries<'a, T>(table: &LogRecord<'a>) -> Result<(), RecordError>
where
    T: Follow<'a> + Verifiable + 'a,
{
    for (index, entry) in (0..).zip(entries(table)) {
        nested::<T>(entry).ok_or(RecordError::Entry { index })?;
    }
    Ok(())
}

pub(super) fn nested<'a, T: Follow<'a> + Verifiable + 'a>(entry: &'a [u8]) -> Option<T::Inner> {
    root_with_opts::<T>(&bounds(entry.len()), entry).ok()
}

pub(super) fn entries<'a>(table: &LogRecord<'a>) -> impl Iterator<Item = &'a [u8]> {
    let list = table.entries().into_iter().flatten();
    list.map(|entry| entry.entry().map(|bytes| bytes.bytes()).unwrap_or_default())
}

impl<'a> Record<'a> {
    pub(crate) fn lsn(&self) -> Lsn {
        Lsn(self.table.lsn())
    }

    pub(crate) fn hlc(&self) -> Hlc {
        Hlc(self.table.hlc())
    }

    /// What it is to its transaction; `None` when it says that it belongs to one and not to which.
    pub(crate) fn part(&self) -> Option<Part> {
        part(&self.table)
    }

    /// Where the record before it in its transaction is.
    pub(crate) fn previous(&self) -> Option<Position> {
        let place = self.table.prev_txn_wal_index()?.bytes();
        let segment = SegmentId(u32_at(place, 0)?);
        let offset = u32::try_from(u64_at(place, 4)?).ok()?;
        Some(Position { segment, offset })
    }

    /// What it does, and to what.
    pub(crate) fn type_of_change(&self) -> TypeOfChange {
        (self.table.operation_type(), self.table.entry_type())
    }
}

/// One entry of a KV record.
pub(crate) struct KeyValue<'a> {
    /// In storage form.
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
    /// Where the value lies in the record.
    pub(crate) span: Span,
    pub(crate) expiry: Expiry,
}

/// Entries of a KV record.
pub(crate) fn key_values<'a>(record: &Record<'a>) -> impl Iterator<Item = KeyValue<'a>> {
    let payload = record.payload;
    entries(&record.table).filter_map(move |entry| {
        let entry = nested::<KeyValueEntry<'_>>(entry)?;
        let key = entry.key()?.bytes();
        let value = entry.value().map(|value| value.bytes()).unwrap_or_default();
        let expiry = Expiry(entry.expires_at());
        Some(KeyValue { key, value, span: span(payload, value), expiry })
    })
}

/// What a record that raises the watermark of expiry raises it to.
pub(crate) fn watermark(record: &Record<'_>) -> Option<u64> {
    let entry = key_values(record).next()?;
    u64_at(entry.value, 0).filter(|_| entry.key.is_empty() && entry.value.len() == 8)
}

/// Where `part`, a slice of `whole`, lies in it.
pub(super) fn span(whole: &[u8], part: &[u8]) -> Span {
    let offset = part.as_ptr().addr().checked_sub(whole.as_ptr().addr());
    let offset = offset.filter(|_| !part.is_empty()).and_then(|offset| u32::try_from(offset).ok());
    Span {
        offset: offset.unwrap_or_default(),
        length: u32::try_from(part.len()).unwrap_or_default(),
    }
}
