//! A disk whose small reads in a row become few large ones.
//!
//! A log is read frame by frame, often two reads for a frame; each would be a round trip to the
//! device. Reads that go on where one ended before are served from a window that is read at once,
//! and grows while they go on. Other reads reach the device as they are.

use crate::block::{BlockDevice, SECTOR_BYTES};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;
use spin::Mutex;
use unison_ports::IoError;

/// How many places are read from in turn without losing the thread.
const STREAMS_MAX: usize = 4;
/// First window of a stream, sectors: what a header and its body, read alone, may cost in vain.
const WINDOW_SECTORS_MIN: u64 = 8;
/// Largest window, sectors.
const WINDOW_SECTORS_MAX: u64 = 64;

/// Bytes of memory that the windows take.
pub const READ_AHEAD_BYTES: usize = STREAMS_MAX * bytes(WINDOW_SECTORS_MAX);

/// A disk that reads ahead.
#[derive(Debug)]
pub struct ReadAhead<D> {
    disk: D,
    /// The most recently used one comes last.
    streams: Mutex<Vec<Stream>>,
}

/// A place that is read from.
#[derive(Debug)]
struct Stream {
    /// Sectors of the newest read.
    last: Range<u64>,
    /// Sectors that `bytes` begins with.
    window: Range<u64>,
    /// How much to read when the window is used up, sectors.
    next: u64,
    bytes: Vec<u8>,
}

impl<D: BlockDevice> ReadAhead<D> {
    /// Takes [`READ_AHEAD_BYTES`] of memory.
    pub fn new(disk: D) -> Self {
        let stream = |_| Stream {
            last: 0..0,
            window: 0..0,
            next: WINDOW_SECTORS_MIN,
            bytes: vec![0; bytes(WINDOW_SECTORS_MAX)],
        };
        Self { disk, streams: Mutex::new((0..STREAMS_MAX).map(stream).collect()) }
    }

    /// The disk below.
    pub const fn disk(&self) -> &D {
        &self.disk
    }

    /// Forgets what was read of these sectors.
    fn forget(&self, sectors: &Range<u64>) {
        for stream in self.streams.lock().iter_mut() {
            if stream.window.start < sectors.end && sectors.start < stream.window.end {
                stream.window = 0..0;
            }
        }
    }
}

impl<D: BlockDevice> BlockDevice for ReadAhead<D> {
    fn sectors(&self) -> u64 {
        self.disk.sectors()
    }

    fn read(&self, sector: u64, buffer: &mut [u8]) -> Result<(), IoError> {
        let wanted = sector..sector.saturating_add(sectors(buffer));
        if sectors(buffer) > WINDOW_SECTORS_MAX / 2 {
            return self.disk.read(sector, buffer);
        }
        // Locked during the read below: a window never holds what a write has replaced since.
        let mut streams = self.streams.lock();
        let known = streams.iter().position(|stream| stream.leads_to(&wanted));
        let index = known.unwrap_or(0);
        let mut stream = streams.remove(index);
        let read = match known {
            Some(_) => stream.serve(&self.disk, &wanted, buffer),
            None => stream.begin(&self.disk, &wanted, buffer),
        };
        streams.push(stream);
        read
    }

    fn write(&self, sector: u64, bytes: &[u8]) -> Result<(), IoError> {
        let written = self.disk.write(sector, bytes);
        self.forget(&(sector..sector.saturating_add(sectors(bytes))));
        written
    }

    fn flush(&self) -> Result<(), IoError> {
        self.disk.flush()
    }
}

impl Stream {
    /// Whether the read is in the window, or goes on where the newest one was.
    const fn leads_to(&self, wanted: &Range<u64>) -> bool {
        self.holds(wanted) || (self.last.start <= wanted.start && wanted.start <= self.last.end)
    }

    const fn holds(&self, wanted: &Range<u64>) -> bool {
        self.window.start <= wanted.start && wanted.end <= self.window.end
    }

    /// A read somewhere else: nothing says that more will follow.
    fn begin<D: BlockDevice>(
        &mut self,
        disk: &D,
        wanted: &Range<u64>,
        buffer: &mut [u8],
    ) -> Result<(), IoError> {
        self.window = 0..0;
        self.next = WINDOW_SECTORS_MIN;
        self.last = wanted.clone();
        disk.read(wanted.start, buffer)
    }

    /// A read that goes on.
    fn serve<D: BlockDevice>(
        &mut self,
        disk: &D,
        wanted: &Range<u64>,
        buffer: &mut [u8],
    ) -> Result<(), IoError> {
        self.last = wanted.clone();
        if !self.holds(wanted) && self.fill(disk, wanted).is_err() {
            // A sector further on may be why.
            self.next = WINDOW_SECTORS_MIN;
            return disk.read(wanted.start, buffer);
        }
        let skipped = bytes(wanted.start.saturating_sub(self.window.start));
        let found = self.bytes.get(skipped..).and_then(|rest| rest.get(..buffer.len()));
        buffer.copy_from_slice(found.ok_or(IoError::OutOfBounds)?);
        Ok(())
    }

    /// Reads the window that begins with the wanted sectors, as far as the disk goes.
    fn fill<D: BlockDevice>(&mut self, disk: &D, wanted: &Range<u64>) -> Result<(), IoError> {
        let length = self.next.max(wanted.end.saturating_sub(wanted.start));
        let end = wanted.start.saturating_add(length).min(disk.sectors()).max(wanted.end);
        let length = bytes(end.saturating_sub(wanted.start));
        // Gone before the bytes are touched: a read that fails leaves anything there.
        self.window = 0..0;
        let window = self.bytes.get_mut(..length).ok_or(IoError::OutOfBounds)?;
        disk.read(wanted.start, window)?;
        self.window = wanted.start..end;
        self.next = self.next.saturating_mul(2).min(WINDOW_SECTORS_MAX);
        Ok(())
    }
}

const fn sectors(buffer: &[u8]) -> u64 {
    (buffer.len() / SECTOR_BYTES) as u64
}

/// Windows are small: this never overflows for one.
#[expect(clippy::cast_possible_truncation, reason = "at most a window")]
const fn bytes(sectors: u64) -> usize {
    (sectors as usize).saturating_mul(SECTOR_BYTES)
}

#[cfg(test)]
mod tests;
