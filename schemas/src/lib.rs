//! Record schemas and the code generated from them. What the fields mean is in `records.md`.

#![no_std]

mod generated;

pub use generated::{
    ColumnData, ColumnDataArgs, EncodedEntry, EncodedEntryArgs, EntryType, EventEntry,
    EventEntryArgs, KeyValueEntry, KeyValueEntryArgs, LogRecord, LogRecordArgs, OperationType,
    RowUpdateEntry, RowUpdateEntryArgs, TxnState,
};
