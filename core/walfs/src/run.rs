//! Where records lie: a single one, and a run of a leader's frames.

use crate::error::RunError;
use crate::layout::{FIRST_FRAME, FRAME_BYTES_MIN};
use unison_base::frame::{self, Frames};
use unison_base::limits::SEGMENT_BYTES_MAX;
use unison_base::{Lsn, Position, SegmentId};

/// Where a record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// Start of its frame.
    pub position: Position,
    /// CRC-32C of its frame.
    pub crc: u32,
}

/// Where a run of frames belongs, as its leader says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunHeader {
    /// The segment.
    pub segment: SegmentId,
    /// Where the first frame starts.
    pub offset: u32,
    /// LSN of the first record.
    pub first: Lsn,
    /// How many records.
    pub count: u32,
    /// Size of the segment, bytes.
    pub segment_bytes: u64,
}

/// The part of a run that a log does not have yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fresh<'a> {
    pub(crate) first: Lsn,
    pub(crate) count: u64,
    /// Where in the segment the first of its frames belongs.
    pub(crate) place: u64,
    pub(crate) frames: &'a [u8],
}

impl RunHeader {
    /// Checks the run, and leaves out what a log that ends with `appended` has; `None` for one that
    /// holds nothing, and takes any first LSN. `Ok(None)` when it has all of the run.
    pub(crate) fn fresh<'a>(
        &self,
        frames: &'a [u8],
        appended: Option<Lsn>,
    ) -> Result<Option<Fresh<'a>>, RunError> {
        self.check(frames)?;
        let known = appended.map_or(0, |appended| appended.next().since(self.first));
        if known >= u64::from(self.count) {
            return Ok(None);
        }
        let first = self.first.plus(known);
        if let Some(expected) = appended.map(Lsn::next).filter(|&expected| expected != first) {
            return Err(RunError::NotDense { expected, found: first });
        }
        let skipped = (0..known)
            .try_fold(0_usize, |at, _| at.checked_add(frame_bytes_at(frames.get(at..)?)?));
        let rest = skipped.and_then(|skipped| frames.get(skipped..)).ok_or(RunError::Header)?;
        let place = u64::from(self.offset) + (frames.len() - rest.len()) as u64;
        Ok(Some(Fresh { first, count: u64::from(self.count) - known, place, frames: rest }))
    }

    /// Checks the frames by themselves and against this header.
    fn check(&self, frames: &[u8]) -> Result<(), RunError> {
        let end = u64::from(self.offset).saturating_add(frames.len() as u64);
        let fits = u64::from(self.offset) >= FIRST_FRAME
            && self.offset.is_multiple_of(8)
            && end <= self.segment_bytes
            && (FIRST_FRAME + FRAME_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&self.segment_bytes)
            && self.count > 0
            && self.first != Lsn::ZERO
            && self.segment != SegmentId::default();
        if !fits {
            return Err(RunError::Header);
        }
        let mut expected = self.first;
        let mut walked = Frames::new(frames);
        let mut at = self.offset;
        for frame in walked.by_ref() {
            let (_, frame) = frame.map_err(|error| RunError::Frame {
                at: Position { segment: self.segment, offset: at },
                error,
            })?;
            at = at.saturating_add(u32::try_from(frame.frame_bytes).unwrap_or(u32::MAX));
            if frame.lsn != expected {
                return Err(RunError::NotDense { expected, found: frame.lsn });
            }
            expected = expected.next();
        }
        let whole = walked.consumed() == frames.len()
            && expected.since(self.first) == u64::from(self.count);
        if whole { Ok(()) } else { Err(RunError::Header) }
    }
}

/// Length of the frame that starts `frames`, as its head says.
pub(crate) fn frame_bytes_at(frames: &[u8]) -> Option<usize> {
    let payload_bytes = usize::try_from(frame::peek_payload_bytes(frames)?).ok()?;
    frame::frame_bytes(payload_bytes)
}
