//! What an engine says about itself.

use core::fmt;
use unison_base::{Hlc, Lsn};

/// How full memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pressure {
    /// Nothing to do.
    None,
    /// A flush is due; writes go on.
    FlushDue,
    /// Writes are refused until a flush has finished.
    Full {
        /// Memtables that wait for a flush.
        memtables: usize,
        /// Most that may wait.
        limit: usize,
    },
    /// Writes are refused until the log's next segment, which is being made, is installed.
    NextSegment,
}

impl Pressure {
    /// True while writes are refused.
    #[must_use]
    pub const fn refuses_writes(self) -> bool {
        matches!(self, Self::Full { .. } | Self::NextSegment)
    }
}

impl fmt::Display for Pressure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("no pressure"),
            Self::FlushDue => f.write_str("a flush is due"),
            Self::NextSegment => f.write_str("the log's next segment is still being made"),
            Self::Full { memtables, limit } => {
                write!(f, "{memtables} of at most {limit} memtables wait for a flush")
            }
        }
    }
}

/// State and counters of one engine. Counters count since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// Newest record written.
    pub appended: Lsn,
    /// Newest record synced.
    pub durable: Lsn,
    /// Newest record visible to readers.
    pub applied: Lsn,
    /// Newest record in the tree.
    pub checkpoint: Lsn,
    /// Newest timestamp given out or seen.
    pub hlc: Hlc,
    /// Keys of the key-value model in the tree; those that only memory knows are not among them.
    pub tree_keys: u64,
    /// Rows in the tree, in the same way.
    pub tree_rows: u64,
    /// Memory of all memtables, bytes, within a few percent.
    pub memtable_bytes: usize,
    /// Memtables that wait for a flush.
    pub frozen_memtables: usize,
    /// Frames of the log that a restart would replay, bytes.
    pub replay_bytes: u64,
    /// Bytes of values in segments that the tree points to.
    pub live_bytes: u64,
    /// Segments with such values.
    pub live_segments: usize,
    /// Records stored without being understood by this version, since the log began.
    pub skipped_records: u64,
    /// Flushes committed.
    pub flushes: u64,
    /// Keys that flushes wrote or removed.
    pub flushed_keys: u64,
    /// Values copied into the tree by settling.
    pub settled_values: u64,
    /// Segment files removed because nothing in them was live.
    pub removed_segments: u64,
    /// Appends that failed and were rolled back.
    pub rolled_back: u64,
}
