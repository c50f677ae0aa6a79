//! The database: records, memtable, tree, checkpoint, reads.
//!
//! ```text
//!  stage -> append -> sync -> publish                     get, scan, snapshot
//!    |         |                 |                                 |
//!    |      the log (WALFS)   watermark "applied"                  |
//!    v                           v                                 v
//!  memtable: key, LSN -> place in the log  --flush-->  tree (redb): key -> LSN, place or bytes
//! ```
//!
//! One [`Engine`] is one namespace: the exclusive writer of one log and one tree. Any number of
//! [`Reader`]s look at what it publishes and never wait for it. Values stay in the log; memtable
//! and tree only say where. Nothing here knows a clock, a thread or a file: time comes in as an
//! argument, slow work leaves as a job (flush, settle, sync) that any thread may run.

#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]
#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

extern crate alloc;

mod apply;
mod changes;
mod engine;
mod errors;
mod expiry;
mod flush;
mod memtable;
mod models;
mod options;
mod read;
mod records;
mod seal;
mod settle;
mod stats;
mod tree;
mod write;

pub use changes::{
    Change, ChangeFilter, ChangeId, ChangeKind, ChangeModel, Changes, Models, Place, Reached,
};
pub use engine::{Engine, OpenReport};
pub use errors::{
    ApplyError, ChangesError, CutError, EngineOpenError, FlushError, ReadError, RecordError,
    SealError, SettingsError, SettleError, SnapshotError, TransactionError, TreeCopyError,
    TreeError, TreeTable, WriteError,
};
pub use flush::{FlushJob, FlushResult, Released};
pub use models::topic::key::{MessageId, MessagePosition};
pub use models::topic::name::{TopicError, TopicFilter, topic_from_dotted};
pub use models::topic::settings::{
    Compression, Encryption, FOREVER, KEEP_ALL, TopicRule, TopicSettings,
};
pub use models::topic::trie::{TopicMemo, TopicTrie};
pub use options::EngineOptions;
pub use read::{
    Cell, Chunk, Chunks, Column, ColumnRange, Columns, Expiring, Item, ListedObject, Message,
    MessageLimits, MessageRequest, Messages, NewestSeal, Object, ObjectScan, ObjectScanRequest,
    Reader, RetainedMessages, Row, RowScan, RowScanRequest, Scan, ScanRequest, ScannedRow,
    Snapshot, TopicName, Topics, ValueRef,
};
pub use seal::{KeyId, Keyring, MasterKey};
pub use settle::{SettleJob, SettleResult};
pub use stats::{EngineStats, Pressure};
pub use tree::TreeCopy;
pub use write::{
    Check, ColumnNames, ColumnValues, Condition, Model, NewMessage, Operation, TrimBefore, Write,
    Written,
};
