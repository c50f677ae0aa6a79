//! How a log is opened.

use crate::error::OpenError;
use unison_base::Lsn;
use unison_base::frame;
use unison_base::limits::{SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};

/// Who gives the records of this log their LSNs and places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogRole {
    /// This log itself.
    Leader,
    /// Another node, whose bytes are taken as they are and can be fetched again.
    Follower,
}

/// How a log is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// Size of segments made from now on, bytes.
    pub segment_bytes: u64,
    /// Sealed segments wholly below are trusted by their header; `Lsn::ZERO` verifies everything. For
    /// a leader it is also known to have been durable up to the LSN before, so that none is given
    /// out a second time.
    pub verify_from: Lsn,
    /// Leader or follower.
    pub role: LogRole,
}

impl LogOptions {
    pub(crate) fn check(&self) -> Result<(), OpenError> {
        let allowed = (SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&self.segment_bytes);
        if allowed && self.segment_bytes.is_multiple_of(frame::ALIGNMENT as u64) {
            return Ok(());
        }
        Err(OpenError::SegmentBytes { bytes: self.segment_bytes })
    }
}
