//! Reads that fail, and states that are not there.

use super::{SealError, TreeError};
use crate::models::topic::name::TopicError;
use unison_base::{Lsn, Position};

/// Why something could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A key is empty or longer than the limit.
    #[error("a key has 1 to {limit} bytes, this one has {bytes}")]
    KeyLength {
        /// Bytes of the key.
        bytes: usize,
        /// Most bytes of a key.
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
    /// A filter or a topic's name is none.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// A filter finds more topics and patterns than one read merges.
    #[error("a read merges the messages of at most {limit} topics and patterns; narrow the filter")]
    Streams {
        /// Most topics and patterns of a read.
        limit: usize,
    },
    /// A filter with wildcards passes more names of topics than the reader lets it.
    #[error("a read looks at no more than {limit} names of topics; narrow the filter")]
    Names {
        /// Most names.
        limit: usize,
    },
    /// Messages that rules do not keep, or that are gone, are more than the reader passes.
    #[error("a read of messages looks at no more than {limit} of them; narrow the filter")]
    Keys {
        /// Most keys of messages.
        limit: usize,
    },
    /// A message is larger than the reader takes.
    #[error("a message of {bytes} bytes is above the {limit} that can be answered now")]
    MessageSize {
        /// Its bytes, headers included.
        bytes: usize,
        /// Most bytes.
        limit: usize,
    },
    /// A message of a topic cannot be opened.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The bytes of a value are not what was written.
    #[error("the value at {at} is corrupt")]
    Corrupt {
        /// The value's first byte.
        at: Position,
    },
    /// The log could not give the bytes.
    #[error(transparent)]
    Log(#[from] unison_walfs::ReadError),
    /// The tree could not be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// Why there is no snapshot at an LSN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Versions that old are gone.
    #[error("the oldest snapshot possible is {oldest}")]
    Gone {
        /// The oldest LSN with a snapshot.
        oldest: Lsn,
    },
    /// Nothing that new is visible yet.
    #[error("the newest snapshot possible is {newest}")]
    Ahead {
        /// The newest LSN with a snapshot.
        newest: Lsn,
    },
}
