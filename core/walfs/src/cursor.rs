//! A place in the log that moves forward, and waits at the end for more.

use crate::error::ReadError;
use crate::reader::{checked_frame, containing, frame_length, walk};
use crate::slice::Slice;
use crate::table::{Extent, Pin, Shared};
use alloc::sync::{Arc, Weak};
use unison_base::atomic::Ordering;
use unison_base::frame::Frames;
use unison_base::{Lsn, Position, SegmentId};
use unison_ports::SegmentStore;

/// How far a cursor goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Up to what is durable: all that another node may be told.
    Durable,
    /// Up to what is appended.
    Appended,
}

/// One record.
#[derive(Clone, Debug)]
pub struct Record<S: SegmentStore> {
    /// Its LSN.
    pub lsn: Lsn,
    /// Where its frame starts.
    pub position: Position,
    /// CRC-32C of its frame, which was checked.
    pub crc: u32,
    /// The record itself.
    pub payload: Slice<S>,
}

/// What a follower is told next.
#[derive(Clone, Debug)]
pub enum Step<S: SegmentStore> {
    /// Whole frames as they lie in one segment.
    Run {
        /// The segment.
        segment: SegmentId,
        /// Where the first frame starts.
        offset: u32,
        /// LSN of the first record.
        first: Lsn,
        /// How many records.
        count: u32,
        /// Size of the segment, bytes.
        segment_bytes: u64,
        /// The frames, each checked.
        frames: Slice<S>,
    },
    /// The segment ends here, and the next one has a record already.
    Seal {
        /// The segment.
        segment: SegmentId,
        /// Behind its last frame.
        offset: u32,
        /// Size of the next segment, bytes.
        next_bytes: u64,
    },
}

/// A cursor. It pins the segment it is in against retention, and asks nothing of the writer.
pub struct LogCursor<S: SegmentStore> {
    shared: Arc<Shared<S>>,
    bound: Bound,
    next: Lsn,
    place: Option<Place<S>>,
    /// Where it was when it was told to rest.
    rested: Option<Rested<S>>,
    cuts: u64,
}

/// A place without a pin. The extent is there for as long as the log, or any reader, has it.
struct Rested<S: SegmentStore> {
    extent: Weak<Extent<S>>,
    offset: u64,
}

struct Place<S: SegmentStore> {
    pin: Pin<S>,
    offset: u64,
}

impl<S: SegmentStore> LogCursor<S> {
    pub(crate) fn new(shared: Arc<Shared<S>>, from: Lsn, bound: Bound) -> Result<Self, ReadError> {
        let next = if from == Lsn::ZERO { shared.first() } else { from };
        let cuts = shared.cuts.load(Ordering::Acquire);
        let last = shared.appended();
        if next > last.next() {
            return Err(ReadError::Ahead { last });
        }
        if next < shared.first() {
            return Err(ReadError::BehindRetention { first: shared.first() });
        }
        let mut cursor = Self { shared, bound, next, place: None, rested: None, cuts };
        if next <= last {
            cursor.seek()?;
        }
        Ok(cursor)
    }

    /// LSN of the record that comes next.
    #[must_use]
    pub const fn position_lsn(&self) -> Lsn {
        self.next
    }

    /// Gives the pin on the segment up until the next record is asked for, and goes on where it is
    /// then unless retention came first.
    pub fn rest(&mut self) {
        let Some(Place { pin, offset }) = self.place.take() else { return };
        let extent = Arc::clone(&pin.extent);
        drop(pin);
        extent.rest_if_idle();
        self.rested = Some(Rested { extent: Arc::downgrade(&extent), offset });
    }

    /// The next record, or `None` when the cursor has caught up; it may be asked again.
    ///
    /// # Errors
    /// See [`ReadError`]. The cursor stays where it is.
    #[expect(clippy::should_implement_trait, reason = "an iterator would end where this one waits")]
    pub fn next(&mut self) -> Result<Option<Record<S>>, ReadError> {
        if !self.is_behind()? {
            return Ok(None);
        }
        if !self.is_placed() {
            self.leave()?;
        }
        let Some(place) = &mut self.place else { return Ok(None) };
        let frame = checked_frame(&place.pin, place.offset, self.next)?;
        let position = place.pin.extent.position(place.offset);
        let record = Record { lsn: self.next, position, crc: frame.crc, payload: frame.payload };
        place.offset = place.offset.saturating_add(frame.frame_bytes as u64);
        self.next = self.next.next();
        Ok(Some(record))
    }

    /// The next whole frames of one segment, at least one and otherwise at most `max_bytes`; or that
    /// a segment ends; or `None` when the cursor has caught up.
    ///
    /// # Errors
    /// See [`ReadError`]. The cursor stays where it is.
    pub fn next_run(&mut self, max_bytes: usize) -> Result<Option<Step<S>>, ReadError> {
        if !self.is_behind()? {
            return Ok(None);
        }
        if !self.is_placed()
            && let Some(seal) = self.cross()?
        {
            return Ok(Some(seal));
        }
        let limit = self.limit();
        let Some(place) = &mut self.place else { return Ok(None) };
        let at = place.pin.extent.position(place.offset);
        let (frames, count) = frames_from(place, self.next, limit, max_bytes)?;
        let first = self.next;
        place.offset = place.offset.saturating_add(frames.len() as u64);
        self.next = first.plus(u64::from(count));
        let segment_bytes = place.pin.extent.segment.size;
        Ok(Some(Step::Run {
            segment: at.segment,
            offset: at.offset,
            first,
            count,
            segment_bytes,
            frames,
        }))
    }

    fn limit(&self) -> Lsn {
        match self.bound {
            Bound::Durable => self.shared.durable(),
            Bound::Appended => self.shared.appended(),
        }
    }

    /// Whether there is something to read. After a cut the place is looked up anew.
    fn is_behind(&mut self) -> Result<bool, ReadError> {
        let cuts = self.shared.cuts.load(Ordering::Acquire);
        if cuts != self.cuts {
            (self.place, self.rested) = (None, None);
            let last = self.shared.appended();
            if self.next > last.next() {
                return Err(ReadError::Ahead { last });
            }
            self.cuts = cuts;
        }
        Ok(self.next <= self.limit())
    }

    /// Whether the place holds the next record, and is not the end of an extent.
    fn is_placed(&mut self) -> bool {
        self.wake();
        self.place.as_ref().is_some_and(|place| self.next <= place.pin.extent.last())
    }

    /// Takes the place again that it rested at. When that cannot be had it is looked up anew.
    fn wake(&mut self) {
        let Some(Rested { extent, offset }) = self.rested.take() else { return };
        let pin = extent.upgrade().and_then(|extent| Pin::new(extent, &*self.shared.store).ok());
        self.place = pin.map(|pin| Place { pin, offset });
    }

    fn seek(&mut self) -> Result<(), ReadError> {
        let extent = containing(&self.shared, self.next)?;
        let pin = Pin::new(extent, &*self.shared.store)?;
        let offset = walk(&pin, self.next)?;
        self.place = Some(Place { pin, offset });
        Ok(())
    }

    /// Goes to the next extent; tells when that ends a segment.
    fn cross(&mut self) -> Result<Option<Step<S>>, ReadError> {
        let left = self.leave()?;
        let next_bytes = self.place.as_ref().map(|place| place.pin.extent.segment.size);
        let sealed = left.filter(|extent| extent.is_sealed() && !extent.damaged);
        Ok(sealed.zip(next_bytes).map(|(extent, next_bytes)| Step::Seal {
            segment: extent.segment.id,
            offset: extent.position(extent.end()).offset,
            next_bytes,
        }))
    }

    /// Goes to the extent of the next record; returns the one before, if there was one.
    fn leave(&mut self) -> Result<Option<Arc<Extent<S>>>, ReadError> {
        let left = self.place.as_ref().map(|place| Arc::clone(&place.pin.extent));
        self.seek()?;
        if let Some(extent) = &left {
            extent.rest_if_idle();
        }
        Ok(left)
    }
}

/// Checked frames from a place on, with the LSNs from `next` up to `limit`.
fn frames_from<S: SegmentStore>(
    place: &Place<S>,
    next: Lsn,
    limit: Lsn,
    max_bytes: usize,
) -> Result<(Slice<S>, u32), ReadError> {
    let Place { pin, offset } = place;
    let corrupt = ReadError::Corrupt { at: pin.extent.position(*offset) };
    let least = frame_length(pin, *offset)?;
    let left = usize::try_from(pin.extent.end().saturating_sub(*offset)).unwrap_or(usize::MAX);
    let slice = Slice::<S>::read(Arc::clone(&pin.file), *offset, max_bytes.max(least).min(left))?;
    let (mut lsn, mut bytes, mut count) = (next, 0, 0_u32);
    for frame in Frames::new(&slice) {
        let Ok((at, frame)) = frame else { break };
        if frame.lsn != lsn || lsn > limit {
            break;
        }
        (lsn, bytes, count) = (lsn.next(), at + frame.frame_bytes, count + 1);
    }
    if count == 0 { Err(corrupt) } else { Ok((slice.sub(0..bytes), count)) }
}

impl<S: SegmentStore> core::fmt::Debug for LogCursor<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("LogCursor").field("next", &self.next).field("bound", &self.bound).finish()
    }
}
