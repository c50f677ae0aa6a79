//! The bytes that the hub has ever known to be durable: what every other log is compared with.

use super::Store;
use std::collections::BTreeMap;
use unison_base::frame::Frames;
use unison_base::{Lsn, SegmentId};
use unison_walfs::{Bound, LogReader, ReadError, Step};

/// Bytes that one look takes from a log.
const RUN_BYTES: usize = 1 << 20;
/// Where the first frame of a segment lies.
const FIRST_FRAME: usize = 64;

/// How a log differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Difference {
    /// Another byte.
    Bytes(SegmentId, u32, Lsn),
    /// The very records, at another place: what a misdirected block may look like.
    Misplaced(SegmentId, u32, Lsn),
    /// It cannot be read there.
    Unreadable(Lsn, ReadError),
    /// It ends before it should.
    Short(Lsn),
}

/// Frames of the hub's durable log by segment, from byte 64 on.
#[derive(Debug, Default)]
pub(super) struct Truth {
    segments: BTreeMap<SegmentId, Vec<u8>>,
    /// Where each record's frame lies, from the first on, and its length.
    places: Vec<(SegmentId, u32, usize)>,
    durable: Lsn,
    bytes: u64,
}

impl Truth {
    /// The newest durable record.
    pub(super) const fn durable(&self) -> Lsn {
        self.durable
    }

    /// Bytes of all frames.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes what has become durable at the hub.
    pub(super) fn extend(&mut self, log: &LogReader<Store>) -> Result<(), Difference> {
        let unreadable = |lsn| move |error| Difference::Unreadable(lsn, error);
        let from = self.durable.next();
        if log.durable() < from {
            return Ok(());
        }
        let mut cursor = log.cursor(from, Bound::Durable).map_err(unreadable(from))?;
        while let Some(step) = cursor.next_run(RUN_BYTES).map_err(unreadable(self.durable))? {
            let Step::Run { segment, offset, first, count, frames, .. } = step else { continue };
            let image = self.segments.entry(segment).or_default();
            if FIRST_FRAME + image.len() != offset as usize || first != self.durable.next() {
                return Err(Difference::Bytes(segment, offset, first));
            }
            image.extend_from_slice(&frames);
            self.places.extend(places(segment, offset, &frames));
            self.bytes += frames.len() as u64;
            self.durable = first.plus(u64::from(count)).prev();
        }
        Ok(())
    }

    /// Whether everything here is there too, at the same place.
    pub(super) fn is_prefix_of(&self, other: &Self) -> Result<(), Difference> {
        for (&segment, image) in &self.segments {
            let there = other.segments.get(&segment).map(Vec::as_slice).unwrap_or_default();
            if !there.starts_with(image) {
                let same = image.iter().zip(there).take_while(|(one, other)| one == other).count();
                let offset = u32::try_from(FIRST_FRAME + same).unwrap_or(u32::MAX);
                return Err(Difference::Bytes(segment, offset, self.durable));
            }
        }
        Ok(())
    }

    /// Compares the records of a log from `from` up to `to`, byte for byte and place by place, and
    /// hands each piece to `see`.
    pub(super) fn compare(
        &self,
        log: &LogReader<Store>,
        from: Lsn,
        to: Lsn,
        see: &mut dyn FnMut(SegmentId, &[u8]),
    ) -> Result<(), Difference> {
        if from > to {
            return Ok(());
        }
        let mut reached = from.prev();
        let unreadable = |lsn: Lsn| move |error| Difference::Unreadable(lsn, error);
        let mut cursor = log.cursor(from, Bound::Appended).map_err(unreadable(from))?;
        while let Some(step) = cursor.next_run(RUN_BYTES).map_err(unreadable(reached.next()))? {
            let Step::Run { segment, offset, first, count, frames, .. } = step else { continue };
            if first != reached.next() || self.range(segment, offset, frames.len()) != Some(&frames)
            {
                let known = self.are_known(first, &frames);
                let differs = if known { Difference::Misplaced } else { Difference::Bytes };
                return Err(differs(segment, offset, first));
            }
            see(segment, &frames);
            reached = first.plus(u64::from(count)).prev();
        }
        if reached < to { Err(Difference::Short(reached)) } else { Ok(()) }
    }

    /// Whether these are the frames of the records from `first` on, wherever they lie.
    fn are_known(&self, first: Lsn, frames: &[u8]) -> bool {
        let skipped = usize::try_from(first.prev().0).unwrap_or(usize::MAX);
        let mut rest = frames;
        for &(segment, offset, length) in self.places.iter().skip(skipped) {
            let Some(frame) = rest.get(..length) else { break };
            if self.range(segment, offset, length) != Some(frame) {
                return false;
            }
            rest = &rest[length..];
        }
        rest.is_empty()
    }

    /// The first record up to `last` that some segments do not hold at its place, and where that is.
    pub(super) fn first_missing(
        &self,
        there: &BTreeMap<SegmentId, Vec<u8>>,
        last: Lsn,
    ) -> Option<(Lsn, SegmentId, usize)> {
        let known = (1..=last.0).zip(&self.places);
        let mut missing = known.filter(|&(_, &(segment, offset, length))| {
            let start = offset as usize;
            let held = there.get(&segment).and_then(|bytes| bytes.get(start..start + length));
            held != self.range(segment, offset, length)
        });
        missing.next().map(|(lsn, &(segment, offset, _))| (Lsn(lsn), segment, offset as usize))
    }

    fn range(&self, segment: SegmentId, offset: u32, length: usize) -> Option<&[u8]> {
        let start = (offset as usize).checked_sub(FIRST_FRAME)?;
        self.segments.get(&segment)?.get(start..start.checked_add(length)?)
    }
}

/// Where each of a run's frames lies.
fn places(segment: SegmentId, offset: u32, frames: &[u8]) -> Vec<(SegmentId, u32, usize)> {
    let mut at = offset;
    let mut places = Vec::new();
    for (_, frame) in Frames::new(frames).map_while(Result::ok) {
        places.push((segment, at, frame.frame_bytes));
        at += u32::try_from(frame.frame_bytes).unwrap_or(0);
    }
    places
}
