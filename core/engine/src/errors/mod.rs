//! One error type per kind of operation.

mod changes;
mod read;
mod seal;
mod settings;
mod transaction;
mod tree;

pub use changes::ChangesError;
pub use read::{ReadError, SnapshotError};
pub use seal::SealError;
pub use settings::SettingsError;
pub use transaction::TransactionError;
pub use tree::{TreeCopyError, TreeError, TreeTable};

use crate::models::topic::name::TopicError;
use crate::stats::Pressure;
use unison_base::limits::INDEX_ENTRY_BYTES;
use unison_base::{Lsn, SegmentId};
use unison_ports::IoError;
use unison_walfs::{AppendError, OpenError, RunError, SyncError};

/// Why bytes that should be a record are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The record is no valid FlatBuffer.
    #[error("the record is no valid FlatBuffer")]
    Malformed,
    /// An entry of it is no valid FlatBuffer of the type that the record says.
    #[error("entry {index} of the record is no valid FlatBuffer")]
    Entry {
        /// Which, from 0.
        index: u32,
    },
    /// The entries do not sum to the stored checksum.
    #[error("the entries' checksum is {computed:#010x}, stored is {stored:#010x}")]
    Checksum {
        /// What the record says.
        stored: u32,
        /// What its entries say.
        computed: u32,
    },
}

/// Why a write was refused or failed.
///
/// After [`Append`](Self::Append), [`NoSpace`](Self::NoSpace), [`Quota`](Self::Quota) or
/// [`Poisoned`](Self::Poisoned) everything that was staged above [`Engine::appended`](crate::Engine::appended) is gone too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// A key is empty or longer than the limit.
    #[error("a key has 1 to {limit} bytes, this one has {bytes}")]
    KeyLength {
        /// Bytes of the key.
        bytes: usize,
        /// Most bytes of a key.
        limit: usize,
    },
    /// A value is longer than the limit.
    #[error("a value has at most {limit} bytes, this one has {bytes}")]
    ValueLength {
        /// Bytes of the value.
        bytes: usize,
        /// Most bytes of a value.
        limit: usize,
    },
    /// A name of a column is empty or longer than the limit.
    #[error("a column's name has 1 to {limit} bytes, this one has {bytes}")]
    ColumnLength {
        /// Bytes of the name.
        bytes: usize,
        /// Most bytes of a name.
        limit: usize,
    },
    /// Too many columns in one update of a row, or none.
    #[error("an update of a row names 1 to {limit} columns, this one names {columns}")]
    Columns {
        /// Columns of the update.
        columns: usize,
        /// Most columns of an update.
        limit: usize,
    },
    /// Too many operations in one batch.
    #[error("a batch has at most {limit} operations, this one has {operations}")]
    BatchOperations {
        /// Operations in the batch.
        operations: usize,
        /// Most operations of a batch.
        limit: usize,
    },
    /// Too many bytes in one batch.
    #[error("a batch has at most {limit} bytes of keys and values, this one has {bytes}")]
    BatchBytes {
        /// Bytes of keys and values.
        bytes: usize,
        /// Most bytes of a batch.
        limit: usize,
    },
    /// Too many bytes in the index.
    #[error(
        "a write takes at most {limit} bytes in the index (each column its name, its row's key and \
         {INDEX_ENTRY_BYTES} bytes), this one takes {bytes} or more"
    )]
    IndexBytes {
        /// Bytes in the index, as far as they were counted.
        bytes: usize,
        /// Most bytes in the index.
        limit: usize,
    },
    /// The name of a topic or a pattern is none.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The settings of topics ask for encryption, and there is no key.
    #[error(
        "the messages of this namespace are to be encrypted and this node has no master key for it: \
         put one into its keys file, or set `encryption` to `none`"
    )]
    NoKey,
    /// Settings of topics that break a limit.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A message has too many headers, or too long ones.
    #[error(
        "a message has at most {headers} headers with names of 1 to {name} bytes and {bytes} bytes \
         altogether"
    )]
    Headers {
        /// Most headers of a message.
        headers: usize,
        /// Most bytes of a header's name.
        name: usize,
        /// Most bytes of names and values.
        bytes: usize,
    },
    /// The namespace keeps messages of so many patterns that no other one can be added.
    #[error("a namespace keeps messages of at most {limit} patterns")]
    Patterns {
        /// Most patterns of a namespace.
        limit: usize,
    },
    /// There is no such message, or no more.
    #[error("there is no message {lsn}-{index}")]
    NoMessage {
        /// LSN of the record that would have written it.
        lsn: Lsn,
        /// Which message of that record.
        index: u32,
    },
    /// None of the topics or patterns named is there.
    #[error("none of the topics or patterns named is there")]
    NoTopic,
    /// The log has given away the highest ids there are, so no topic or pattern can be new.
    #[error("there are no more ids for new topics and patterns")]
    StreamIds,
    /// A chunk of a large object is longer than the limit.
    #[error("a chunk of a large object has at most {limit} bytes, this one has {bytes}")]
    ChunkLength {
        /// Bytes of the chunk.
        bytes: usize,
        /// Most bytes of a chunk.
        limit: usize,
    },
    /// The transaction cannot go on.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// A batch without operations.
    #[error("a batch has at least one operation")]
    EmptyBatch,
    /// The record fits no segment of this log.
    #[error("the record has {bytes} bytes and a segment of this log holds {limit}")]
    RecordTooLarge {
        /// Bytes of the record.
        bytes: usize,
        /// Most bytes of a record in a segment of this log.
        limit: usize,
    },
    /// The write's condition does not hold.
    #[error("the condition does not hold, the key's version is {current:?}")]
    Conflict {
        /// The key's newest version, `None` when it is absent.
        current: Option<Lsn>,
    },
    /// Memory is full of what the tree has not taken yet; nothing was staged, try later.
    #[error("busy: {0}")]
    Busy(Pressure),
    /// A sync or a write failed before; the engine must be opened again.
    #[error("the log is not usable after an earlier failure; open it again")]
    Poisoned,
    /// A follower's engine takes no writes of its own.
    #[error("a follower takes no writes")]
    ReadOnly,
    /// The record was written and its sync failed: whether it survives is not known, and nothing
    /// after it is acknowledged.
    #[error("the write could not be made durable: {0}")]
    Sync(#[from] SyncError),
    /// The namespace was closed or dropped by whoever owns its engine.
    #[error("the namespace is closed")]
    Closed,
    /// The medium has no room for the log's next segment.
    #[error("no space left for the log")]
    NoSpace,
    /// Whoever owns the engine gives the namespace no more of the medium; said in the place of
    /// [`NoSpace`](Self::NoSpace).
    #[error("the namespace has its quota of {limit} bytes of disk (quota)")]
    Quota {
        /// Most bytes of disk of the namespace.
        limit: u64,
    },
    /// The log could not be written.
    #[error("the log could not be written: {0}")]
    Append(AppendError),
    /// The version a condition asks for could not be read.
    #[error("the key's version could not be read: {0}")]
    Read(#[from] ReadError),
}

impl From<AppendError> for WriteError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Poisoned => Self::Poisoned,
            AppendError::Io(IoError::NoSpace) => Self::NoSpace,
            AppendError::NextSegmentPending => Self::Busy(Pressure::NextSegment),
            other => Self::Append(other),
        }
    }
}

/// Why a run of the leader's records was not taken. Nothing of it was, or a first part: see
/// [`Engine::apply_run`](crate::Engine::apply_run).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// A record of the run is none.
    #[error("record {lsn}: {cause}")]
    Record {
        /// The record.
        lsn: Lsn,
        /// What is wrong with it.
        cause: RecordError,
    },
    /// The run's frames, order or place are wrong, or the log could not be written.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The record at the checkpoint is another one than the tree was built from: the two logs have
    /// different histories.
    #[error("the record at the checkpoint {lsn} is another one than the tree was built from")]
    Diverged {
        /// The checkpoint.
        lsn: Lsn,
    },
    /// Memory is full of what the tree has not taken yet; try the same run again later.
    #[error("busy: {0}")]
    Busy(Pressure),
    /// The record's versions take more of the index than the owner has memory for; a flush may make
    /// room.
    #[error("record {lsn} takes {bytes} bytes of memory, and there is room for {room}")]
    Memory {
        /// The record.
        lsn: Lsn,
        /// What it takes, bytes.
        bytes: usize,
        /// What is left of the room, bytes.
        room: usize,
    },
    /// The leader's open transactions take more memory than any leader of this version lets them.
    #[error("open transactions take at most {limit} bytes in the index, the leader's take {bytes}")]
    Transactions {
        /// What they take.
        bytes: usize,
        /// Most that they may take.
        limit: usize,
    },
}

/// Why a log was not cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CutError {
    /// The tree holds what should be cut away; it has to be made anew from the leader.
    #[error("the tree's checkpoint {checkpoint} is above the cut; start from an empty namespace")]
    BelowCheckpoint {
        /// Newest record in the tree.
        checkpoint: Lsn,
    },
    /// A flush is under way; finish it first.
    #[error("a flush is under way")]
    Flushing,
    /// The log was cut; what open transactions have written is not whole in what is left of it. Their
    /// commits could change nothing: it has to be made anew from the leader.
    #[error("records of open transactions are missing; start from an empty namespace")]
    Transactions,
    /// The log could not be cut.
    #[error(transparent)]
    Log(#[from] unison_walfs::CutError),
    /// The log was cut; what is left in the tree could not be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// Why an engine did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineOpenError {
    /// The log did not open.
    #[error("the log: {0}")]
    Log(#[from] OpenError),
    /// The tree could not be read.
    #[error("the tree: {0}")]
    Tree(#[from] TreeError),
    /// A record of the log could not be read for another reason than damage.
    #[error("replay: {0}")]
    Replay(#[from] unison_walfs::ReadError),
    /// Replay filled the memory and the flush that should empty it failed.
    #[error("replay: {0}")]
    Flush(#[from] FlushError),
    /// The tree was made by a version that passed over records which this one understands, and the
    /// log no longer has all of them.
    #[error(
        "the tree, at checkpoint {checkpoint}, was made by a version that passed over records which \
         this one understands, and the log no longer has record {missing}; restore the namespace, or on an edge remove its directory \
         and let it follow anew"
    )]
    TreeOutdated {
        /// Newest record in the tree.
        checkpoint: Lsn,
        /// The first record that is missing.
        missing: Lsn,
    },
    /// The tree was built from another log: the record at its checkpoint is another one.
    #[error("the tree, at checkpoint {checkpoint}, was built from another log")]
    TreeOfAnotherLog {
        /// Newest record in the tree.
        checkpoint: Lsn,
    },
}

/// Why a flush failed. The tree is as before, and the memtable is kept for the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlushError {
    /// The log could not be synced, so the tree must not get ahead of it.
    #[error("the log could not be synced: {0}")]
    Sync(#[from] SyncError),
    /// The log was not synced; the engine says why when it is told.
    #[error("the log was not synced")]
    NotSynced,
    /// The record at the checkpoint could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The tree could not be written.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// Why values of a segment were not settled. The tree and the segment are as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettleError {
    /// A value could not be read; its segment is kept.
    #[error("segment {segment}: {cause}")]
    Read {
        /// The segment.
        segment: SegmentId,
        /// What failed.
        cause: ReadError,
    },
    /// The tree could not be written.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A file could not be removed.
    #[error("a segment's file could not be removed: {0}")]
    Io(#[from] IoError),
}
