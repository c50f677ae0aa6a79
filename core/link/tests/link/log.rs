//! A log of frames in memory, written by other code than the machines under test.

use std::rc::Rc;
use unison_base::frame::{Frames, frame_bytes, write_frame};
use unison_base::{LogId, Lsn, Position, SegmentId};
use unison_link::{Cursor, LogEnd, RunRange, SealRange};

const FIRST_OFFSET: usize = 64;

/// A FlatBuffer whose root table holds the LSN, followed by bytes that depend on it.
pub(crate) fn record(lsn: u64, extra: usize) -> Vec<u8> {
    let mut bytes = vec![0; 24];
    bytes[..4].copy_from_slice(&12_u32.to_le_bytes());
    bytes[4..6].copy_from_slice(&6_u16.to_le_bytes());
    bytes[6..8].copy_from_slice(&12_u16.to_le_bytes());
    bytes[8..10].copy_from_slice(&4_u16.to_le_bytes());
    bytes[12..16].copy_from_slice(&8_i32.to_le_bytes());
    bytes[16..].copy_from_slice(&lsn.to_le_bytes());
    bytes.extend((0..extra).map(|at| (lsn as usize * 31 + at * 7) as u8));
    bytes
}

#[derive(Clone, Debug)]
struct Segment {
    id: SegmentId,
    bytes: Vec<u8>,
    size: u64,
    sealed: bool,
    first: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    position: Position,
    length: usize,
    crc: u32,
}

/// What a leader's cursor reads next.
pub(crate) enum Piece {
    Run(RunRange, Vec<u8>),
    Seal(SealRange),
}

/// Segments with their frames; the first record is 1.
#[derive(Clone, Debug)]
pub(crate) struct FakeLog {
    pub(crate) id: LogId,
    segment_bytes: u64,
    segments: Rc<Vec<Segment>>,
    entries: Rc<Vec<Entry>>,
    pub(crate) durable: Lsn,
}

impl FakeLog {
    pub(crate) fn new(id: u8, segment_bytes: u64) -> Self {
        Self {
            id: LogId([id; 16]),
            segment_bytes,
            segments: Rc::default(),
            entries: Rc::default(),
            durable: Lsn::ZERO,
        }
    }

    pub(crate) fn last(&self) -> Lsn {
        Lsn(self.entries.len() as u64)
    }

    pub(crate) fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    pub(crate) fn frames_bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.length as u64).sum()
    }

    /// Appends a durable record.
    pub(crate) fn append(&mut self, extra: usize) {
        let lsn = self.last().next();
        let payload = record(lsn.0, extra);
        let mut frame = vec![0; frame_bytes(payload.len()).unwrap()];
        write_frame(&payload, &mut frame).unwrap();
        self.make_room(frame.len());
        self.push_frame(&frame, u32::from_le_bytes(frame[..4].try_into().unwrap()));
        self.durable = lsn;
    }

    fn make_room(&mut self, bytes: usize) {
        let room =
            |s: &Segment| FIRST_OFFSET + s.bytes.len() + bytes <= s.size as usize && !s.sealed;
        if self.segments.last().is_some_and(room) {
            return;
        }
        let id = self.segments.last().map_or(SegmentId(1), |segment| segment.id.next());
        self.open(id, self.segment_bytes);
    }

    fn open(&mut self, id: SegmentId, size: u64) {
        let first = self.last().next().0;
        let segments = Rc::make_mut(&mut self.segments);
        if let Some(last) = segments.last_mut() {
            last.sealed = true;
        }
        segments.push(Segment { id, bytes: Vec::new(), size, sealed: false, first });
    }

    fn push_frame(&mut self, frame: &[u8], crc: u32) {
        let segment = Rc::make_mut(&mut self.segments).last_mut().unwrap();
        let offset = u32::try_from(FIRST_OFFSET + segment.bytes.len()).unwrap();
        segment.bytes.extend_from_slice(frame);
        let position = Position { segment: segment.id, offset };
        Rc::make_mut(&mut self.entries).push(Entry { position, length: frame.len(), crc });
    }

    pub(crate) fn frame_at(&self, lsn: Lsn) -> Option<(Position, u32)> {
        let entry = self.entries.get(usize::try_from(lsn.0.checked_sub(1)?).ok()?)?;
        Some((entry.position, entry.crc))
    }

    pub(crate) fn end(&self) -> LogEnd {
        let Some((position, crc)) = self.frame_at(self.last()) else {
            return LogEnd::empty(self.id);
        };
        let last = self.segments.last().unwrap();
        let offset = u32::try_from(FIRST_OFFSET + last.bytes.len()).unwrap();
        LogEnd {
            cursor: Cursor { log: self.id, lsn: self.last(), position, crc },
            next: Position { segment: last.id, offset },
        }
    }

    /// The follower's append: panics unless every byte is exactly what is due, where it is due.
    pub(crate) fn append_run(&mut self, range: &RunRange, frames: &[u8]) {
        assert_eq!(range.first, self.last().next(), "not the next record");
        assert_eq!(range.bytes as usize, frames.len());
        if self.segments.last().is_none_or(|last| last.id < range.segment) {
            assert_eq!(range.offset as usize, FIRST_OFFSET);
            self.open(range.segment, range.segment_bytes);
        }
        let end = self.end();
        let last = self.segments.last().unwrap();
        let tail = if last.bytes.is_empty() { FIRST_OFFSET as u32 } else { end.next.offset };
        assert_eq!((last.id, tail, last.sealed), (range.segment, range.offset, false));
        let mut count = 0;
        for frame in Frames::new(frames) {
            let (at, frame) = frame.expect("a bad frame was handed out");
            assert_eq!(frame.lsn, self.last().next(), "not dense");
            self.push_frame(&frames[at..at + frame.frame_bytes], frame.crc);
            count += 1;
        }
        assert_eq!(count, range.count);
        self.durable = self.last();
    }

    pub(crate) fn seal_at(&mut self, seal: &SealRange) {
        let last = self.segments.last().unwrap();
        assert_eq!(last.id, seal.segment);
        assert_eq!(FIRST_OFFSET + last.bytes.len(), seal.offset as usize);
        self.open(seal.segment.next(), seal.next_segment_bytes);
    }

    /// Drops everything above `lsn`.
    pub(crate) fn cut_after(&mut self, lsn: Lsn) {
        let mut shorter = Self::new(self.id.0[0], self.segment_bytes);
        for entry in self.entries.iter().take(lsn.0 as usize) {
            let segment = self.segments.iter().find(|s| s.id == entry.position.segment).unwrap();
            if shorter.segments.last().is_none_or(|last| last.id != segment.id) {
                shorter.open(segment.id, segment.size);
            }
            let at = entry.position.offset as usize - FIRST_OFFSET;
            shorter.push_frame(&segment.bytes[at..at + entry.length], entry.crc);
        }
        shorter.durable = lsn;
        *self = shorter;
    }

    /// True when the frames of both lie byte for byte at the same places.
    pub(crate) fn same_frames(&self, other: &Self) -> bool {
        self.last() == other.last() && other.is_prefix_of(self)
    }

    /// True when every frame lies byte for byte at the same place in `other`.
    pub(crate) fn is_prefix_of(&self, other: &Self) -> bool {
        self.segments.iter().filter(|segment| !segment.bytes.is_empty()).all(|segment| {
            let same = other.segments.iter().find(|candidate| candidate.id == segment.id);
            same.is_some_and(|same| same.bytes.starts_with(&segment.bytes))
        })
    }
}

/// A leader's reading position.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    next: Lsn,
    segment: SegmentId,
}

impl Reading {
    /// From record `from`: in the segment that holds it, as a log's cursor does, not in the one
    /// that ends right before it.
    pub(crate) fn new(log: &FakeLog, from: Lsn) -> Self {
        let here = log.frame_at(from).or_else(|| log.frame_at(from.prev()));
        Self { next: from, segment: here.map_or(SegmentId(1), |(position, _)| position.segment) }
    }

    pub(crate) fn read(&mut self, log: &FakeLog, bytes_max: usize) -> Option<Piece> {
        let segment = log.segments.iter().find(|segment| segment.id == self.segment)?;
        let end = segment.first
            + log.entries.iter().filter(|e| e.position.segment == segment.id).count() as u64;
        if self.next.0 >= end {
            let next = log.segments.iter().find(|other| other.id > segment.id)?;
            let offset = u32::try_from(FIRST_OFFSET + segment.bytes.len()).unwrap();
            self.segment = next.id;
            let next_segment_bytes = next.size;
            return Some(Piece::Seal(SealRange {
                segment: segment.id,
                offset,
                next_segment_bytes,
            }));
        }
        Some(self.run(log, end, segment, bytes_max))
    }

    fn run(&mut self, log: &FakeLog, end: u64, segment: &Segment, bytes_max: usize) -> Piece {
        let first = self.next;
        let (mut bytes, mut count) = (0, 0_u32);
        let start = log.entries[first.0 as usize - 1].position;
        while self.next.0 < end && self.next <= log.durable {
            let length = log.entries[self.next.0 as usize - 1].length;
            if count > 0 && bytes + length > bytes_max {
                break;
            }
            bytes += length;
            count += 1;
            self.next = self.next.next();
        }
        let at = start.offset as usize - FIRST_OFFSET;
        let range = RunRange {
            segment: segment.id,
            offset: start.offset,
            first,
            count,
            segment_bytes: segment.size,
            bytes: u32::try_from(bytes).unwrap(),
        };
        Piece::Run(range, segment.bytes[at..at + bytes].to_vec())
    }
}
