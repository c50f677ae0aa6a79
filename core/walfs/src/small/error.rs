//! What only a log on the caller's buffers can fail with.

use crate::error::{OpenError, ReadError};
use unison_base::SegmentId;

/// Why a log on the caller's buffers did not open. Damage is no reason: it is set aside and reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SmallOpenError {
    /// As for any other log.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A sound frame is larger than the buffer.
    #[error("segment {segment} has a frame of {needed} bytes, more than the buffer")]
    Buffer {
        /// The segment.
        segment: SegmentId,
        /// Bytes of the frame.
        needed: usize,
    },
    /// The medium has more segments of the log than the table.
    #[error("the log has more than {most} segments")]
    Segments {
        /// Segments that the table can hold.
        most: usize,
    },
}

/// Why records were not visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SmallReadError {
    /// As for any other log.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A frame is larger than the buffer.
    #[error("a frame of {needed} bytes does not fit the buffer")]
    Buffer {
        /// Bytes of the frame.
        needed: usize,
    },
}
