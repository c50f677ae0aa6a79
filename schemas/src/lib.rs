//! Record schemas and the code generated from them. What the fields mean is in `records.md`.

#![no_std]

mod generated;

pub use generated::{
    ColumnData, ColumnDataArgs, EncodedEntry, EncodedEntryArgs, EntryType, EventEntry,
    EventEntryArgs, Header, HeaderArgs, KeyValueEntry, KeyValueEntryArgs, LogRecord, LogRecordArgs,
    MessageDeleteEntry, MessageDeleteEntryArgs, MessageEntry, MessageEntryArgs, OperationType,
    RowUpdateEntry, RowUpdateEntryArgs, StreamDefineEntry, StreamDefineEntryArgs, TrimEntry,
    TrimEntryArgs, TxnState,
};

/// Raises the watermark of expiry: one key-value entry without a key, its value the time, u64
/// little-endian, milliseconds since 1970.
pub const EXPIRE_TO: OperationType = OperationType(22);
/// Says when a key or a row expires, whose value stays: an entry without a value, or without columns.
pub const EXPIRE: OperationType = OperationType(23);
