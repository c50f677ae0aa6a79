//! Bytes over sectors.
//!
//! # Writes that do not fill a sector
//!
//! A sector of which only a part is written is read, changed and written back, unless it is the one
//! that the last write ended in, which is remembered, or is known to be zeros.
//!
//! This rewrites bytes that may be acknowledged, and it is safe: a group of the log ends in 16 zero
//! bytes, the next one begins where they are, so the two share a sector; the device never tears
//! one, and both its old and its new state hold the same acknowledged bytes. Two writers of one
//! sector cannot lose each other's bytes, because all writes of an extent go through one lock.

use super::disk::Disk;
use super::layout::SECTOR;
use crate::block::{BlockDevice, SECTOR_BYTES};
use alloc::vec;
use core::ops::Range;
use spin::Mutex;
use unison_ports::IoError;

/// Sectors that a short transfer is gathered in, so that it is one transfer.
const GATHERED_SECTORS: usize = 8;
const GATHERED_BYTES: usize = GATHERED_SECTORS * SECTOR_BYTES;
/// Bytes that are looked at, or zeroed, at once.
const CHUNK_BYTES: usize = 64 << 10;

/// A run of sectors, as bytes. Offsets are the caller's to check.
pub(super) struct Extent {
    first: u64,
    end: Mutex<End>,
}

/// What is known about the sectors where writes end.
struct End {
    /// Where the last write ended in the middle of a sector.
    sector: Option<u64>,
    bytes: [u8; SECTOR_BYTES],
    /// From here on all bytes are zeros.
    zeros_from: u64,
}

/// The sector that holds a byte, counted from the extent's first.
const fn sector_of(offset: u64) -> u64 {
    offset / SECTOR
}

/// Where a byte is within its sector.
fn within(offset: u64) -> usize {
    usize::try_from(offset % SECTOR).unwrap_or(0)
}

impl End {
    fn remember(&mut self, sector: u64, bytes: &[u8]) {
        if let Some(bytes) = bytes.last_chunk() {
            (self.sector, self.bytes) = (Some(sector), *bytes);
        }
    }
}

impl Extent {
    /// An extent of which all bytes from `zeros_from` on are known to be zeros.
    pub(super) fn new(first: u64, zeros_from: u64) -> Self {
        let end = End { sector: None, bytes: [0; SECTOR_BYTES], zeros_from };
        Self { first, end: Mutex::new(end) }
    }

    /// Fills `buffer` from `offset`.
    pub(super) fn read<D: BlockDevice>(
        &self,
        disk: &Disk<D>,
        mut offset: u64,
        mut buffer: &mut [u8],
    ) -> Result<(), IoError> {
        while !buffer.is_empty() {
            let (skip, whole) = (within(offset), buffer.len() / SECTOR_BYTES * SECTOR_BYTES);
            let direct = skip == 0 && (whole == buffer.len() || whole > GATHERED_BYTES);
            let take = if direct { whole } else { buffer.len().min(GATHERED_BYTES - skip) };
            let (part, rest) = buffer.split_at_mut(take);
            let sector = self.first + sector_of(offset);
            if direct {
                disk.read(sector, part)?;
            } else {
                let mut gathered = [0; GATHERED_BYTES];
                let sectors = (skip + take).next_multiple_of(SECTOR_BYTES);
                let gathered = gathered.get_mut(..sectors).unwrap_or_default();
                disk.read(sector, gathered)?;
                part.copy_from_slice(gathered.get(skip..skip + take).unwrap_or_default());
            }
            (buffer, offset) = (rest, offset + take as u64);
        }
        Ok(())
    }

    /// Writes `bytes` at `offset`; on an error any part of them may be there.
    pub(super) fn write<D: BlockDevice>(
        &self,
        disk: &Disk<D>,
        mut offset: u64,
        mut bytes: &[u8],
    ) -> Result<(), IoError> {
        let mut end = self.end.lock();
        while !bytes.is_empty() {
            let (skip, whole) = (within(offset), bytes.len() / SECTOR_BYTES * SECTOR_BYTES);
            let direct = skip == 0 && (whole == bytes.len() || whole > GATHERED_BYTES);
            let take = if direct { whole } else { bytes.len().min(GATHERED_BYTES - skip) };
            let (part, rest) = bytes.split_at(take);
            let written = if direct {
                end.sector = None;
                disk.write(self.first + sector_of(offset), part)
            } else {
                self.write_gathered(disk, &mut end, offset, part)
            };
            end.zeros_from = end.zeros_from.max(offset + take as u64);
            // What the disk holds after an error is not known.
            written.inspect_err(|_| end.sector = None)?;
            (bytes, offset) = (rest, offset + take as u64);
        }
        Ok(())
    }

    /// Completes the sectors at both ends and writes all of them at once.
    fn write_gathered<D: BlockDevice>(
        &self,
        disk: &Disk<D>,
        end: &mut End,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), IoError> {
        let mut gathered = [0; GATHERED_BYTES];
        let (skip, stop) = (within(offset), within(offset) + bytes.len());
        let gathered = gathered.get_mut(..stop.next_multiple_of(SECTOR_BYTES)).unwrap_or_default();
        let (first, last) = (sector_of(offset), sector_of(offset + bytes.len() as u64 - 1));
        let partial_end = !stop.is_multiple_of(SECTOR_BYTES);
        if skip > 0
            && let Some(sector) = gathered.first_chunk_mut()
        {
            self.load(disk, end, first, sector)?;
        }
        if partial_end
            && (last > first || skip == 0)
            && let Some(sector) = gathered.last_chunk_mut()
        {
            self.load(disk, end, last, sector)?;
        }
        if let Some(target) = gathered.get_mut(skip..stop) {
            target.copy_from_slice(bytes);
        }
        disk.write(self.first + first, gathered)?;
        end.sector = None;
        if partial_end {
            end.remember(last, gathered);
        }
        Ok(())
    }

    fn load<D: BlockDevice>(
        &self,
        disk: &Disk<D>,
        end: &End,
        sector: u64,
        bytes: &mut [u8; SECTOR_BYTES],
    ) -> Result<(), IoError> {
        if end.sector == Some(sector) {
            *bytes = end.bytes;
        } else if sector * SECTOR < end.zeros_from {
            disk.read(self.first + sector, bytes)?;
        }
        Ok(())
    }

    /// Whether all bytes of a range are zeros.
    pub(super) fn is_zero<D: BlockDevice>(
        &self,
        disk: &Disk<D>,
        range: Range<u64>,
    ) -> Result<bool, IoError> {
        let mut zero = true;
        self.scan(disk, range, |_, bytes| {
            zero = bytes.iter().all(|&byte| byte == 0);
            Ok(zero)
        })?;
        Ok(zero)
    }

    /// Makes a range zeros. Reads first and writes only what is not zero: flash wears by writes.
    pub(super) fn zero<D: BlockDevice>(
        &self,
        disk: &Disk<D>,
        range: Range<u64>,
    ) -> Result<(), IoError> {
        self.scan(disk, range, |offset, bytes| {
            let first = bytes.iter().position(|&byte| byte != 0);
            let last = bytes.iter().rposition(|&byte| byte != 0);
            if let (Some(first), Some(last)) = (first, last) {
                let dirty = bytes.get_mut(first..=last).unwrap_or_default();
                dirty.fill(0);
                self.write(disk, offset + first as u64, dirty)?;
            }
            Ok(true)
        })
    }

    /// Hands out a range chunk by chunk until `look` says false.
    fn scan<D: BlockDevice>(
        &self,
        disk: &Disk<D>,
        mut range: Range<u64>,
        mut look: impl FnMut(u64, &mut [u8]) -> Result<bool, IoError>,
    ) -> Result<(), IoError> {
        let length = |range: &Range<u64>| {
            usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(CHUNK_BYTES)
        };
        let mut chunk = vec![0; length(&range).min(CHUNK_BYTES)];
        while range.start < range.end {
            let take = length(&range).min(CHUNK_BYTES);
            let bytes = chunk.get_mut(..take).unwrap_or_default();
            self.read(disk, range.start, bytes)?;
            if !look(range.start, bytes)? {
                break;
            }
            range.start += take as u64;
        }
        Ok(())
    }
}
