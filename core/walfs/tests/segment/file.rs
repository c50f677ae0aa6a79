//! A segment that lies in a vector, and records to fill it with.

use std::cell::Cell;
use unison_base::Lsn;
use unison_base::frame::{frame_bytes, write_frame};
use unison_ports::{IoError, SegmentFile};
use unison_walfs::layout::SegmentHeader;
use unison_walfs::scan::SegmentScan;
use unison_walfs::survey::{Island, Survey, Witness, survey};

pub(crate) struct MemoryFile {
    pub(crate) bytes: Vec<u8>,
    pub(crate) mapped: bool,
}

impl SegmentFile for MemoryFile {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), IoError> {
        let bytes = self.bytes.get(offset as usize..).ok_or(IoError::OutOfBounds)?;
        let bytes = bytes.get(..buffer.len()).ok_or(IoError::OutOfBounds)?;
        READS.with(|reads| reads.set(reads.get() + bytes.len() as u64));
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn write_at(&self, _offset: u64, _bytes: &[u8]) -> Result<(), IoError> {
        Err(IoError::ReadOnly)
    }

    fn sync(&self) -> Result<(), IoError> {
        Ok(())
    }

    fn view(&self, offset: u64, length: usize) -> Option<&[u8]> {
        self.bytes.get(offset as usize..)?.get(..length).filter(|_| self.mapped)
    }
}

thread_local! {
    pub(crate) static READS: Cell<u64> = const { Cell::new(0) };
}

/// A FlatBuffer with the LSN in field 0 and a durable LSN plus one in field 9.
pub(crate) fn record(lsn: u64, durable: u64, body_bytes: usize) -> Vec<u8> {
    let mut bytes = vec![0; 56];
    bytes[0..4].copy_from_slice(&32_u32.to_le_bytes());
    bytes[4..6].copy_from_slice(&24_u16.to_le_bytes());
    bytes[6..8].copy_from_slice(&24_u16.to_le_bytes());
    bytes[8..10].copy_from_slice(&8_u16.to_le_bytes());
    bytes[26..28].copy_from_slice(&16_u16.to_le_bytes());
    bytes[32..36].copy_from_slice(&28_i32.to_le_bytes());
    bytes[40..48].copy_from_slice(&lsn.to_le_bytes());
    bytes[48..56].copy_from_slice(&(durable + 1).to_le_bytes());
    bytes.extend((0..body_bytes).map(|at| (at as u64 * 7 + lsn * 13) as u8));
    bytes
}

/// A segment with a frame for each length of a body, and where each frame ends.
pub(crate) struct Segment {
    pub(crate) bytes: Vec<u8>,
    pub(crate) ends: Vec<u64>,
}

pub(crate) const FIRST: u64 = 1_000;

pub(crate) fn segment(size: usize, mut body_bytes: impl FnMut(u64) -> usize) -> Segment {
    let mut bytes = vec![0; size];
    bytes[..64].copy_from_slice(&SegmentHeader::empty(7).encode());
    let (mut ends, mut at) = (Vec::new(), 64);
    loop {
        let lsn = FIRST + ends.len() as u64;
        let payload = record(lsn, FIRST - 1, body_bytes(lsn));
        if at + frame_bytes(payload.len()).unwrap() > size {
            return Segment { bytes, ends };
        }
        at += write_frame(&payload, &mut bytes[at..]).unwrap();
        ends.push(at as u64);
    }
}

impl Segment {
    /// Frames that end at or before `offset`.
    pub(crate) fn whole_before(&self, offset: u64) -> u64 {
        self.ends.partition_point(|&end| end <= offset) as u64
    }

    pub(crate) fn start(&self, index: usize) -> u64 {
        index.checked_sub(1).map_or(64, |before| self.ends[before])
    }
}

/// What a survey told.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) frames: Vec<(u64, u64)>,
    pub(crate) islands: Vec<Island>,
}

impl Witness for Seen {
    fn frame(&mut self, offset: u64, lsn: Lsn) {
        self.frames.push((offset, lsn.0));
    }

    fn island(&mut self, island: Island) {
        self.islands.push(island);
    }
}

pub(crate) fn look(file: &MemoryFile) -> (Survey, Seen) {
    let mut buffer = vec![0; file.bytes.len().clamp(64, 16 << 10)];
    let mut seen = Seen::default();
    let survey = survey(SegmentScan::new(file, &mut buffer), Some(Lsn(FIRST)), &mut seen).unwrap();
    (survey, seen)
}
