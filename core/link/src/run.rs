//! Checks of a Run before anything of it is handed out.

use crate::cursor::{Cursor, LogEnd};
use crate::messages::{Run, Seal};
use unison_base::frame::{Frame, FrameError, Frames};
use unison_base::limits::SEGMENT_BYTES_MAX;
use unison_base::{LogId, Lsn, Position, SegmentId};

/// Where the first frame of every segment lies, bytes.
const FIRST_FRAME_OFFSET: u32 = 64;

/// Whole frames, one behind the other within one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunRange {
    /// The segment.
    pub segment: SegmentId,
    /// Where in it the first frame begins.
    pub offset: u32,
    /// LSN of the first frame.
    pub first: Lsn,
    /// How many frames; at least one.
    pub count: u32,
    /// Size of the segment, bytes.
    pub segment_bytes: u64,
    /// Bytes of all frames.
    pub bytes: u32,
}

impl RunRange {
    /// LSN of the last frame.
    #[must_use]
    pub const fn last(&self) -> Lsn {
        self.first.plus(self.count.saturating_sub(1) as u64)
    }
}

/// The end of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealRange {
    /// The segment that ends.
    pub segment: SegmentId,
    /// Where its last frame ends.
    pub offset: u32,
    /// Size of the next segment, bytes.
    pub next_segment_bytes: u64,
}

impl SealRange {
    pub(crate) const fn of(seal: &Seal) -> Self {
        Self {
            segment: seal.segment,
            offset: seal.offset,
            next_segment_bytes: seal.next_segment_bytes,
        }
    }
}

/// Why a run is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunFault {
    /// A frame is damaged.
    #[error("frame at {at}: {error}")]
    Frame {
        /// Where it would lie.
        at: Position,
        /// Which check failed.
        error: FrameError,
    },
    /// A record is missing or out of order.
    #[error("record {found} where {expected} was due")]
    NotDense {
        /// LSN that was due.
        expected: Lsn,
        /// LSN that came.
        found: Lsn,
    },
    /// The frames do not belong where this log ends.
    #[error("frames for {found}, but the log ends at {expected}")]
    Place {
        /// Where this log ends.
        expected: Position,
        /// Where they lie at the leader.
        found: Position,
    },
    /// The frames are more or fewer than announced.
    #[error("{found} frames instead of {announced}")]
    Count {
        /// Count in the head.
        announced: u32,
        /// Frames that came.
        found: u32,
    },
    /// No log has such a segment, or such a one behind it.
    #[error("no log goes on from segment {segment} like that")]
    Bounds {
        /// The segment.
        segment: SegmentId,
    },
    /// A record this log has came with other bytes.
    #[error("record {lsn} is another one here")]
    Conflict {
        /// The record.
        lsn: Lsn,
    },
    /// The leader's newest durable record is below the records it sent.
    #[error("records above {durable}, the leader's newest durable one")]
    NotDurable {
        /// Newest durable record as sent.
        durable: Lsn,
    },
}

/// A checked run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checked {
    /// Records this log has already.
    pub(crate) skipped: u32,
    /// The others, if any, and where the log ends with them.
    pub(crate) fresh: Option<(RunRange, LogEnd)>,
}

/// Checks every frame of `run` against the end of this node's log: all of them or nothing.
pub(crate) fn check(
    run: &Run,
    frames: &[u8],
    end: &LogEnd,
    log: LogId,
) -> Result<Checked, RunFault> {
    check_bounds(run)?;
    let mut walk = Walk { run, end, log, expected: run.first, found: 0, skipped: 0, fresh: None };
    let mut frames_left = Frames::new(frames);
    while let Some(next) = frames_left.next() {
        let consumed = frames_left.consumed();
        let (at, frame) =
            next.map_err(|error| RunFault::Frame { at: place(run, consumed), error })?;
        walk.frame(at, &frame)?;
    }
    if frames_left.consumed() != frames.len() || walk.found != run.count {
        return Err(RunFault::Count { announced: run.count, found: walk.found });
    }
    Ok(walk.finish(frames.len()))
}

fn check_bounds(run: &Run) -> Result<(), RunFault> {
    if run.segment == SegmentId(0) {
        return Err(RunFault::Bounds { segment: run.segment });
    }
    if run.first.plus(u64::from(run.count.saturating_sub(1))) > run.durable {
        return Err(RunFault::NotDurable { durable: run.durable });
    }
    if run.count == 0 || run.first == Lsn::ZERO {
        return Err(RunFault::Count { announced: run.count, found: 0 });
    }
    Ok(())
}

/// The place of the frame that is `at` bytes into the run; bounds were checked.
fn place(run: &Run, at: usize) -> Position {
    let at = u32::try_from(at).unwrap_or(u32::MAX);
    Position { segment: run.segment, offset: run.offset.saturating_add(at) }
}

struct Walk<'a> {
    run: &'a Run,
    end: &'a LogEnd,
    log: LogId,
    expected: Lsn,
    found: u32,
    skipped: u32,
    fresh: Option<(usize, LogEnd)>,
}

impl Walk<'_> {
    fn frame(&mut self, at: usize, frame: &Frame<'_>) -> Result<(), RunFault> {
        if frame.lsn != self.expected {
            return Err(RunFault::NotDense { expected: self.expected, found: frame.lsn });
        }
        self.expected = frame.lsn.next();
        self.found = self.found.saturating_add(1);
        if frame.lsn <= self.end.cursor.lsn { self.known(frame) } else { self.unknown(at, frame) }
    }

    fn known(&mut self, frame: &Frame<'_>) -> Result<(), RunFault> {
        self.skipped = self.skipped.saturating_add(1);
        if frame.lsn == self.end.cursor.lsn && frame.crc != self.end.cursor.crc {
            return Err(RunFault::Conflict { lsn: frame.lsn });
        }
        Ok(())
    }

    fn unknown(&mut self, at: usize, frame: &Frame<'_>) -> Result<(), RunFault> {
        let position = place(self.run, at);
        let from = match self.fresh {
            Some((from, _)) => from,
            None => {
                self.check_first(position, frame.lsn)?;
                at
            }
        };
        let cursor = Cursor { log: self.log, lsn: frame.lsn, position, crc: frame.crc };
        let next = place(self.run, at.saturating_add(frame.frame_bytes));
        self.fresh = Some((from, LogEnd { cursor, next }));
        Ok(())
    }

    fn check_first(&self, found: Position, lsn: Lsn) -> Result<(), RunFault> {
        let due = self.end.cursor.lsn.next();
        if lsn != due {
            return Err(RunFault::NotDense { expected: due, found: lsn });
        }
        let expected = self.end.next;
        let begins = found.segment > expected.segment && found.offset == FIRST_FRAME_OFFSET;
        if found == expected || begins {
            return Ok(());
        }
        Err(RunFault::Place { expected, found })
    }

    fn finish(self, bytes: usize) -> Checked {
        let fresh = self.fresh.map(|(from, end)| {
            let first = self.run.first.plus(u64::from(self.skipped));
            let at = place(self.run, from);
            let range = RunRange {
                segment: at.segment,
                offset: at.offset,
                first,
                count: self.found - self.skipped,
                segment_bytes: self.run.segment_bytes,
                bytes: u32::try_from(bytes.saturating_sub(from)).unwrap_or(u32::MAX),
            };
            (range, end)
        });
        Checked { skipped: self.skipped, fresh }
    }
}

/// What a Seal means for a log that ends at `end`: `Some` is the new end, `None` a repeated Seal.
pub(crate) fn check_seal(seal: &SealRange, end: &LogEnd) -> Result<Option<LogEnd>, RunFault> {
    let found = Position { segment: seal.segment, offset: seal.offset };
    if seal.segment == SegmentId(0) || seal.next_segment_bytes > SEGMENT_BYTES_MAX {
        return Err(RunFault::Bounds { segment: seal.segment });
    }
    if found.segment < end.next.segment {
        return Ok(None);
    }
    if found != end.next {
        return Err(RunFault::Place { expected: end.next, found });
    }
    let next = Position { segment: seal.segment.next(), offset: FIRST_FRAME_OFFSET };
    Ok(Some(LogEnd { cursor: end.cursor, next }))
}

#[cfg(test)]
mod tests;
