//! What can go wrong, one enum per kind of operation.

use crate::layout::HeaderError;
use unison_base::frame::FrameError;
use unison_base::{Lsn, Position, SegmentId};
use unison_ports::IoError;

/// Why a log did not open. Damage is no reason: it is set aside and reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The medium failed.
    #[error("the medium failed at segment {segment}: {cause}")]
    Io {
        /// The segment at hand; 0 for none.
        segment: SegmentId,
        /// What the medium said.
        cause: IoError,
    },
    /// A segment of a newer format: opening it with this build could only harm it.
    #[error("segment {segment} has format version {version}, this build knows 1")]
    Version {
        /// The segment.
        segment: SegmentId,
        /// Its version.
        version: u32,
    },
    /// The configured segment size is outside the limits.
    #[error("a segment of {bytes} bytes is outside the limits")]
    SegmentBytes {
        /// The configured size.
        bytes: u64,
    },
}

impl OpenError {
    pub(crate) const fn io(segment: SegmentId, cause: IoError) -> Self {
        Self::Io { segment, cause }
    }

    pub(crate) const fn header(segment: SegmentId, error: HeaderError) -> Option<Self> {
        match error {
            HeaderError::Version(version) => Some(Self::Version { segment, version }),
            _ => None,
        }
    }
}

/// Why a record was not staged. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StageError {
    /// The segment has no room: append what is staged, rotate, stage again.
    #[error("the segment is full")]
    SegmentFull,
    /// No segment could hold the record.
    #[error("a record of more than {limit} bytes fits no segment")]
    TooLarge {
        /// Most bytes of a record.
        limit: u64,
    },
    /// The record does not carry the next LSN.
    #[error("the record does not carry LSN {expected}")]
    NotDense {
        /// The LSN it must carry.
        expected: Lsn,
    },
    /// The caller's buffer has no room: append what is staged, stage again.
    #[error("no room in the buffer beside the staged records")]
    BufferFull,
    /// An earlier sync failed; the log must be opened anew.
    #[error("an earlier sync failed, the log takes no more writes")]
    Poisoned,
}

/// Why staged records were not appended, or a segment not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The medium failed. No LSN was taken; the log may be tried again.
    #[error("the medium failed: {0}")]
    Io(#[from] IoError),
    /// Staged records must be appended or discarded first.
    #[error("staged records must be appended first")]
    Staged,
    /// The next segment is being made on another thread: install it, then try again.
    #[error("the next segment is still being made")]
    NextSegmentPending,
    /// There is no further segment number.
    #[error("no segment number is left")]
    SegmentIds,
    /// An earlier sync failed; the log must be opened anew.
    #[error("an earlier sync failed, the log takes no more writes")]
    Poisoned,
}

/// Why records are not known to be durable. The log takes no more writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyncError {
    /// The sync failed: nothing is known of what it was to make durable.
    #[error("the sync failed: {0}")]
    Io(#[from] IoError),
    /// An earlier one failed.
    #[error("an earlier sync failed, the log takes no more writes")]
    Poisoned,
}

/// Why a run of a leader's frames was refused. Nothing changed, unless the medium failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The medium failed. Nothing was taken; the run may be tried again.
    #[error("the medium failed: {0}")]
    Io(#[from] IoError),
    /// A frame is damaged.
    #[error("bad frame at {at}: {error}")]
    Frame {
        /// Its place on the leader.
        at: Position,
        /// What is wrong with it.
        error: FrameError,
    },
    /// A record has another LSN than the next one.
    #[error("LSN {found} where {expected} must follow")]
    NotDense {
        /// The LSN that must follow.
        expected: Lsn,
        /// The LSN that was found.
        found: Lsn,
    },
    /// The header of the run does not fit its frames, or no segment or buffer could hold them.
    #[error("the run's header and its frames disagree")]
    Header,
    /// The frames belong to another place than the log's end.
    #[error("the run belongs elsewhere, this log ends at {tail}")]
    Place {
        /// Where this log's next frame goes.
        tail: Position,
    },
    /// Staged records must be appended or discarded first.
    #[error("staged records must be appended first")]
    Staged,
    /// An earlier sync failed; the log must be opened anew.
    #[error("an earlier sync failed, the log takes no more writes")]
    Poisoned,
}

impl From<AppendError> for RunError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Io(error) => Self::Io(error),
            AppendError::Staged => Self::Staged,
            // Only a leader numbers segments, and makes them ahead.
            AppendError::SegmentIds | AppendError::NextSegmentPending => Self::Header,
            AppendError::Poisoned => Self::Poisoned,
        }
    }
}

/// Why a log's suffix was not, or not wholly, set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CutError {
    /// The medium failed. What had been set aside stays so, and the log may end earlier than asked.
    #[error("the medium failed: {0}")]
    Io(#[from] IoError),
    /// The frames that should stay could not be read.
    #[error("the part to keep cannot be read: {0}")]
    Read(#[from] ReadError),
    /// Staged records must be appended or discarded first.
    #[error("staged records must be appended first")]
    Staged,
    /// An earlier sync failed; the log must be opened anew.
    #[error("an earlier sync failed, the log takes no more writes")]
    Poisoned,
}

/// Why a record was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Retention took the record.
    #[error("the log begins at LSN {first}")]
    BehindRetention {
        /// The oldest record there is.
        first: Lsn,
    },
    /// Damage took the records; reading may go on behind them.
    #[error("LSNs {from} to {to} are damaged")]
    Gap {
        /// First record that is missing.
        from: Lsn,
        /// Last record that is missing.
        to: Lsn,
    },
    /// The log does not reach that far.
    #[error("the log ends at LSN {last}")]
    Ahead {
        /// The newest record there is.
        last: Lsn,
    },
    /// The bytes are not what was written.
    #[error("damaged frame at {at}")]
    Corrupt {
        /// Where.
        at: Position,
    },
    /// No segment of the log, of values or set aside has these bytes.
    #[error("nothing is at {at}")]
    Absent {
        /// Where.
        at: Position,
    },
    /// The medium failed.
    #[error("the medium failed: {0}")]
    Io(#[from] IoError),
}
