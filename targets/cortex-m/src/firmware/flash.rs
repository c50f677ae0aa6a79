//! The emulated medium: bytes in memory, and a file of the host that is what a power cut leaves.
//!
//! A write changes memory and marks its sectors; only a sync writes them to the file, each by itself
//! and not in order. So a kill loses what was not synced, and in the middle of a sync leaves some of
//! it: assumptions A1 and A2 of the ports, as a managed flash or a FRAM behind a cache has them. When
//! the host has a file `power.bin`, its four bytes say after how many sectors the power goes.

use super::console::exit;
use super::host_file::{HostFile, Mode};
use crate::plan::MEDIUM_BYTES;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, Ordering};
use spin::Mutex;
use unison_cortex_m::medium::{Device, SECTOR_BYTES};
use unison_ports::IoError;

const SECTOR: usize = SECTOR_BYTES as usize;
const SECTORS: usize = MEDIUM_BYTES / SECTOR;
/// Sectors are written in steps of this many. It shares no factor with their number.
const STRIDE: usize = 997;
/// The exit code of a power cut.
const POWER_CUT: usize = 99;
const _: () = assert!(!SECTORS.is_multiple_of(STRIDE) && MEDIUM_BYTES.is_multiple_of(SECTOR));

#[unsafe(link_section = ".medium")]
static mut MEMORY: MaybeUninit<[u8; MEDIUM_BYTES]> = MaybeUninit::uninit();
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The emulated medium.
#[derive(Debug)]
pub(crate) struct Flash(Mutex<Contents>);

struct Contents {
    bytes: &'static mut [u8; MEDIUM_BYTES],
    /// A bit for every sector that the file does not have yet.
    dirty: [u32; SECTORS.div_ceil(32)],
    file: HostFile,
    /// Sectors that are written before the power goes.
    power: u32,
}

impl core::fmt::Debug for Contents {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Contents").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Flash {
    /// The medium as the last power cut left it; zeros when there was none. To be opened once.
    pub(crate) fn open(name: &'static core::ffi::CStr) -> Result<Self, IoError> {
        if TAKEN.swap(true, Ordering::AcqRel) {
            return Err(IoError::Exists);
        }
        let memory = &raw mut MEMORY;
        // SAFETY: this is reached once, so nothing else refers to the memory; it is valid for writes
        // of its whole length, and all of it is written before it is read.
        let bytes = unsafe {
            memory.write_bytes(0, 1);
            &mut *memory.cast::<[u8; MEDIUM_BYTES]>()
        };
        let file = match HostFile::open(name, Mode::ReadAndWrite) {
            Ok(file) => file,
            Err(_) => {
                let file = HostFile::open(name, Mode::Create)?;
                file.write(0, bytes)?;
                file
            }
        };
        let found = file.bytes()?.min(MEDIUM_BYTES);
        file.read(0, bytes.get_mut(..found).unwrap_or_default())?;
        let (dirty, power) = ([0; SECTORS.div_ceil(32)], power()?);
        Ok(Self(Mutex::new(Contents { bytes, dirty, file, power })))
    }
}

fn power() -> Result<u32, IoError> {
    let Ok(file) = HostFile::open(c"power.bin", Mode::Read) else { return Ok(u32::MAX) };
    let mut sectors = [0; 4];
    file.read(0, &mut sectors)?;
    Ok(u32::from_le_bytes(sectors))
}

impl Contents {
    fn range(offset: u64, length: usize) -> Result<core::ops::Range<usize>, IoError> {
        let start = usize::try_from(offset).map_err(|_| IoError::OutOfBounds)?;
        let end = start.checked_add(length).ok_or(IoError::OutOfBounds)?;
        Ok(start..end)
    }

    fn sync(&mut self) -> Result<(), IoError> {
        for step in 0..SECTORS {
            let sector = step * STRIDE % SECTORS;
            let (word, bit) = (sector / 32, 1 << (sector % 32));
            if self.dirty.get(word).is_none_or(|word| word & bit == 0) {
                continue;
            }
            if self.power == 0 {
                exit(POWER_CUT);
            }
            self.power -= 1;
            let at = sector * SECTOR;
            self.file.write(at, self.bytes.get(at..at + SECTOR).unwrap_or_default())?;
            self.dirty.get_mut(word).into_iter().for_each(|word| *word &= !bit);
        }
        Ok(())
    }
}

impl Device for Flash {
    fn bytes(&self) -> u64 {
        MEDIUM_BYTES as u64
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), IoError> {
        let contents = self.0.lock();
        let range = Contents::range(offset, buffer.len())?;
        buffer.copy_from_slice(contents.bytes.get(range).ok_or(IoError::OutOfBounds)?);
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), IoError> {
        let mut contents = self.0.lock();
        let range = Contents::range(offset, bytes.len())?;
        let target = contents.bytes.get_mut(range.clone()).ok_or(IoError::OutOfBounds)?;
        target.copy_from_slice(bytes);
        for sector in range.start / SECTOR..range.end.div_ceil(SECTOR) {
            let word = contents.dirty.get_mut(sector / 32);
            word.into_iter().for_each(|word| *word |= 1 << (sector % 32));
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), IoError> {
        self.0.lock().sync()
    }
}
