//! Writes: what a caller asks, and how it becomes staged records.

mod check;
mod condition;
mod expire;
mod keep;
mod objects;
mod rows;
mod seal;
mod stage;
mod streams;
mod topics;
mod transaction;
mod within;

pub use rows::{ColumnNames, ColumnValues};
pub use topics::{NewMessage, TrimBefore};

pub(crate) use topics::TopicWriter;

use crate::expiry::Expiry;
use crate::models::topic::key::MessageId;
use crate::models::topic::settings::TopicSettings;
use crate::read::ValueRef;
use core::fmt;
use unison_base::{Lsn, TxnId};
use unison_ports::SegmentStore;
use unison_schemas::{EntryType, OperationType};

/// What to change. Keys and names are the user's own.
#[derive(Clone, Copy, Debug)]
pub enum Operation<'a> {
    /// Sets a key.
    Put {
        /// The key.
        key: &'a [u8],
        /// Its value.
        value: &'a [u8],
    },
    /// Removes a key; it need not be there.
    Delete {
        /// The key.
        key: &'a [u8],
    },
    /// Sets several keys at once; of a key named twice the last value stays.
    PutBatch(&'a [(&'a [u8], &'a [u8])]),
    /// Removes several keys at once.
    DeleteBatch(&'a [&'a [u8]]),
    /// Sets columns of rows; other columns stay as they are. Of a column named twice the last value
    /// stays.
    PutColumns(&'a [ColumnValues<'a>]),
    /// Deletes columns of rows; they need not be there.
    DeleteColumns(&'a [ColumnNames<'a>]),
    /// Deletes rows with all their columns; they need not be there.
    DeleteRows(&'a [&'a [u8]]),
    /// Makes a key expire at [`Write::expires_at`], or never. Its value stays and is not written again;
    /// its version changes. A key that is not there is a [`WriteError::Conflict`](crate::WriteError).
    Expire {
        /// The key.
        key: &'a [u8],
    },
    /// The same for a row with all its columns.
    ExpireRow {
        /// The row.
        row: &'a [u8],
    },
    /// Publishes messages to topics, all or none; a topic is there from its first message on.
    Publish(&'a [NewMessage<'a>]),
    /// Publishes messages to patterns: every topic that a pattern finds shows them, also one that is
    /// first used later.
    PublishPattern(&'a [NewMessage<'a>]),
    /// Deletes a message; it must be there.
    DeleteMessage(MessageId),
    /// Deletes old messages of topics, of which one must be there.
    Trim(TrimBefore<'a>),
    /// Deletes old messages of patterns, of which one must be there.
    TrimPatterns(TrimBefore<'a>),
    /// Says what holds for topics from now on, in the place of what held before.
    SetTopics(&'a TopicSettings),
    /// Adds a chunk to a large object; in a transaction only. The transaction's first chunk begins a
    /// new object, which takes the place of the one that was there.
    PutChunk {
        /// The object's key.
        object: &'a [u8],
        /// Its next bytes; none at all make an empty object.
        chunk: &'a [u8],
    },
    /// Deletes large objects; they need not be there.
    DeleteObjects(&'a [&'a [u8]]),
    /// Opens the transaction that the write names.
    Begin,
    /// Makes everything that the transaction did visible, and durable, if each of these keys still has
    /// the version that is named, and each row that it changed still expires when it did then, unless
    /// it was asked to say otherwise; else nothing, and the transaction is aborted.
    Commit(&'a [Check<'a>]),
    /// Ends the transaction; nothing of it happens.
    Abort,
}

/// A model that has keys with versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Model {
    /// Keys and values.
    KeyValue,
    /// Rows.
    Row,
    /// Large objects.
    Object,
}

/// A key that must not have changed.
#[derive(Clone, Copy, Debug)]
pub struct Check<'a> {
    /// The key's model.
    pub model: Model,
    /// The key.
    pub key: &'a [u8],
    /// The version that it must have; 0 when it must be absent.
    pub version: Lsn,
}

/// What must hold for every key or row of the operation, or nothing is written. Compared with
/// everything staged before. A row is there while it has a column, and its version is the newest
/// record that changed it. For messages there are no conditions: it is passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// No condition.
    #[default]
    Always,
    /// The key must be absent.
    Absent,
    /// The key must be there.
    Present,
    /// The key's value must be the one written at this LSN; 0 means that the key must be absent.
    UnchangedSince(Lsn),
}

/// One write: becomes one record.
///
/// One that names a transaction changes nothing before that is committed. Its condition is compared
/// with what the transaction has done to the key itself, whose version is then the record that did it, or
/// with what is there; in the second case it is compared once more at the commit. The same goes for what
/// it answers about the state before.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// What to change.
    pub operation: Operation<'a>,
    /// On which condition.
    pub condition: Condition,
    /// Whether the answer should say what was there before. Costs a look at each key or column.
    pub want_previous: bool,
    /// When what is put expires, milliseconds since 1970. 0 for a key: never, whatever was there
    /// before. 0 for columns: the row expires when it did before, or never when it was not there.
    pub expires_at: u64,
    /// The transaction that it belongs to.
    pub transaction: Option<TxnId>,
}

impl<'a> Write<'a> {
    /// An unconditional write.
    #[must_use]
    pub const fn new(operation: Operation<'a>) -> Self {
        let condition = Condition::Always;
        Self { operation, condition, want_previous: false, expires_at: 0, transaction: None }
    }

    /// True when it depends on what is there. What shall expire at another time has to be.
    pub(crate) fn has_condition(&self) -> bool {
        self.condition != Condition::Always || self.operation.expires_only()
    }

    /// True for what promises nothing before its transaction is committed.
    #[must_use]
    pub const fn is_tentative(&self) -> bool {
        self.transaction.is_some() && !matches!(self.operation, Operation::Commit(_))
    }

    /// The same in a transaction.
    #[must_use]
    pub const fn within(self, transaction: TxnId) -> Self {
        Self { transaction: Some(transaction), ..self }
    }

    /// Sets a key.
    #[must_use]
    pub const fn put(key: &'a [u8], value: &'a [u8]) -> Self {
        Self::new(Operation::Put { key, value })
    }

    /// When it says that what it puts or names expires.
    pub(crate) const fn expiry(&self) -> Expiry {
        if self.operation.may_expire() { Expiry(self.expires_at) } else { Expiry::NEVER }
    }

    /// The same, expiring then: milliseconds since 1970, 0 = never.
    #[must_use]
    pub const fn expiring_at(self, ms: u64) -> Self {
        Self { expires_at: ms, ..self }
    }

    /// Removes a key.
    #[must_use]
    pub const fn delete(key: &'a [u8]) -> Self {
        Self::new(Operation::Delete { key })
    }
}

/// What became of a write.
pub struct Written<S: SegmentStore> {
    /// LSN of its record.
    pub lsn: Lsn,
    /// The value that was there, for a single key when asked for.
    pub previous: Option<ValueRef<S>>,
    /// Whether any key was there; `None` when no key was looked at. For columns as for keys, and for
    /// rows.
    pub existed: Option<bool>,
    /// How many of the keys were there; 0 when no key was looked at. For an operation on columns, how
    /// many of them were there, counted only with [`Write::want_previous`], in a transaction too.
    pub existing_keys: u32,
    /// Of a commit: CRC-32 (IEEE) of all values that were put, one behind the other.
    pub checksum: Option<u32>,
}

impl<S: SegmentStore> fmt::Debug for Written<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Written")
            .field("lsn", &self.lsn)
            .field("previous", &self.previous)
            .field("existed", &self.existed)
            .finish_non_exhaustive()
    }
}

impl<'a> Operation<'a> {
    /// How many keys, rows, messages or topics it names.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Put { .. }
            | Self::Delete { .. }
            | Self::Expire { .. }
            | Self::ExpireRow { .. }
            | Self::PutChunk { .. }
            | Self::Begin
            | Self::Commit(_)
            | Self::Abort => 1,
            Self::PutBatch(pairs) => pairs.len(),
            Self::DeleteBatch(keys) | Self::DeleteRows(keys) | Self::DeleteObjects(keys) => {
                keys.len()
            }
            Self::PutColumns(rows) => rows.len(),
            Self::DeleteColumns(rows) => rows.len(),
            Self::Publish(messages) | Self::PublishPattern(messages) => messages.len(),
            Self::DeleteMessage(_) | Self::SetTopics(_) => 1,
            Self::Trim(trim) | Self::TrimPatterns(trim) => trim.topics.len(),
        }
    }

    /// True for a batch of nothing, which is refused.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `visit` with every key, and its value unless it is removed, until it fails. Rows and
    /// objects and messages have none.
    pub(crate) fn try_each<E>(
        &self,
        mut visit: impl FnMut(&'a [u8], Option<&'a [u8]>) -> Result<(), E>,
    ) -> Result<(), E> {
        match *self {
            Self::Put { key, value } => visit(key, Some(value)),
            Self::Delete { key } | Self::Expire { key } => visit(key, None),
            Self::PutBatch(pairs) => {
                pairs.iter().try_for_each(|&(key, value)| visit(key, Some(value)))
            }
            Self::DeleteBatch(keys) => keys.iter().try_for_each(|&key| visit(key, None)),
            _ => Ok(()),
        }
    }

    /// Calls `visit` with every key, and its value unless it is removed.
    pub(crate) fn each(&self, mut visit: impl FnMut(&'a [u8], Option<&'a [u8]>)) {
        let visited: Result<(), core::convert::Infallible> = self.try_each(|key, value| {
            visit(key, value);
            Ok(())
        });
        let Ok(()) = visited;
    }

    /// What its record is: operation type and entry type.
    pub(crate) const fn kind(&self) -> (OperationType, EntryType) {
        match self {
            Self::Put { .. } | Self::PutBatch(_) => (OperationType::Insert, EntryType::KV),
            Self::Delete { .. } | Self::DeleteBatch(_) => (OperationType::Delete, EntryType::KV),
            Self::PutColumns(_) => (OperationType::Insert, EntryType::Row),
            Self::DeleteColumns(_) => (OperationType::Delete, EntryType::Row),
            Self::DeleteRows(_) => (OperationType::DeleteRowByKey, EntryType::Row),
            Self::Expire { .. } => (OperationType::Expire, EntryType::KV),
            Self::ExpireRow { .. } => (OperationType::Expire, EntryType::Row),
            Self::Publish(_) => (OperationType::Publish, EntryType::Event),
            Self::PublishPattern(_) => (OperationType::PatternPublish, EntryType::Event),
            Self::DeleteMessage(_) => (OperationType::MessageDelete, EntryType::Event),
            Self::Trim(_) | Self::TrimPatterns(_) => (OperationType::Trim, EntryType::Event),
            Self::SetTopics(_) => (OperationType::TopicSettings, EntryType::Event),
            Self::PutChunk { .. } => (OperationType::Insert, EntryType::Chunked),
            Self::DeleteObjects(_) => (OperationType::Delete, EntryType::Chunked),
            Self::Begin | Self::Commit(_) | Self::Abort => {
                (OperationType::TxnMarker, EntryType::KV)
            }
        }
    }

    /// True when it says when something expires, and changes nothing else.
    pub(crate) const fn expires_only(&self) -> bool {
        matches!(self, Self::Expire { .. } | Self::ExpireRow { .. })
    }

    /// True when the rows that it changes expire when they did before, unless it says otherwise.
    pub(crate) const fn keeps_expiry(&self) -> bool {
        matches!(self, Self::PutColumns(_) | Self::DeleteColumns(_))
    }

    /// True when what it puts, or names, may expire.
    pub(crate) const fn may_expire(&self) -> bool {
        matches!(self, Self::Put { .. } | Self::PutBatch(_) | Self::PutColumns(_))
            || self.expires_only()
    }

    /// True for what needs a transaction.
    pub(crate) const fn is_for_transactions(&self) -> bool {
        matches!(self, Self::PutChunk { .. } | Self::Begin | Self::Commit(_) | Self::Abort)
    }

    /// True for a batch.
    pub(crate) const fn is_batch(&self) -> bool {
        matches!(self, Self::PutBatch(_) | Self::DeleteBatch(_))
    }
}
