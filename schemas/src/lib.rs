//! Record schemas and the code generated from them. What the fields mean is in `records.md`.

#![no_std]

mod generated;

pub use generated::{
    ColumnData, ColumnDataArgs, EncodedEntry, EncodedEntryArgs, EntryType, EventEntry,
    EventEntryArgs, Header, HeaderArgs, KeyEpochEntry, KeyEpochEntryArgs, KeyValueEntry,
    KeyValueEntryArgs, LogRecord, LogRecordArgs, MessageDeleteEntry, MessageDeleteEntryArgs,
    MessageEntry, MessageEntryArgs, OperationType, RowUpdateEntry, RowUpdateEntryArgs,
    StreamDefineEntry, StreamDefineEntryArgs, TopicRule, TopicRuleArgs, TopicSettingsEntry,
    TopicSettingsEntryArgs, TrimEntry, TrimEntryArgs, TxnState,
};
