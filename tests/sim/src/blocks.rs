//! A block device in memory that loses power like any other disk here.

use crate::disk::{CrashDisk, Cut, Damage, File, Moment, SimTreeFile};
use redb::StorageBackend;
use std::io::{Error, ErrorKind};
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use unison_bare::block::{BlockDevice, SECTOR_BYTES};
use unison_base::prng::Prng;
use unison_ports::IoError;

const DIRECTORY: &str = "blocks";

/// Sectors on a [`CrashDisk`], whose faults, moments and counters apply to them.
#[derive(Debug)]
pub struct CrashBlocks {
    disk: CrashDisk,
    file: SimTreeFile,
    sectors: u64,
    forgets_flushes: AtomicBool,
    worn: Mutex<Range<u64>>,
}

impl CrashBlocks {
    /// The cuts that a device has that never tears a sector.
    pub const CUTS: [Cut; 4] = [Cut::KEPT, Cut::LOST, Cut::TORN_SECTOR, Cut::REORDERED_SECTORS];

    /// A blank device of `bytes`, rounded down to whole sectors.
    ///
    /// # Panics
    /// Never: a new disk takes any size.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let sectors = bytes / SECTOR_BYTES as u64;
        let disk = CrashDisk::new();
        let file = disk.tree(DIRECTORY);
        let sized = file.set_len(sectors * SECTOR_BYTES as u64).and_then(|()| file.sync_data());
        sized.expect("a new disk takes any size");
        Self {
            disk,
            file,
            sectors,
            forgets_flushes: AtomicBool::new(false),
            worn: Mutex::default(),
        }
    }

    /// From now on a flush does nothing and says that it did: a bug for checks to find.
    pub fn forget_flushes(&self) {
        self.forgets_flushes.store(true, Ordering::Relaxed);
    }

    /// From now on these sectors, and no others, can be read and not be written.
    ///
    /// # Panics
    /// When another thread panicked here.
    pub fn wear_out(&self, sectors: Range<u64>) {
        *self.worn.lock().expect("nobody panics here") = sectors;
    }

    /// The device on a disk that was one before.
    #[must_use]
    pub fn on(disk: CrashDisk) -> Self {
        let file = disk.tree(DIRECTORY);
        let sectors = file.len().unwrap_or(0) / SECTOR_BYTES as u64;
        Self {
            disk,
            file,
            sectors,
            forgets_flushes: AtomicBool::new(false),
            worn: Mutex::default(),
        }
    }

    /// The device that a power cut at a moment leaves.
    #[must_use]
    pub fn after(moment: &Moment, cut: Cut, prng: &mut Prng) -> Self {
        Self::on(moment.cut(cut, prng))
    }

    /// Cuts the power: every handle of this device fails from now on. Returns what is left.
    #[must_use]
    pub fn crash(&self, cut: Cut, prng: &mut Prng) -> Self {
        Self::on(self.disk.crash(cut, prng))
    }

    /// Another device with the same bytes.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self::on(self.disk.copy())
    }

    /// The disk below.
    #[must_use]
    pub const fn disk(&self) -> &CrashDisk {
        &self.disk
    }

    /// Changes bytes as rot does.
    ///
    /// # Errors
    /// None: the device is there.
    pub fn damage(&self, damage: Damage<'_>) -> Result<(), IoError> {
        self.disk.damage(DIRECTORY, File::Tree, damage)
    }
}

fn told(error: Error) -> IoError {
    match error.kind() {
        ErrorKind::UnexpectedEof => IoError::OutOfBounds,
        ErrorKind::StorageFull => IoError::NoSpace,
        ErrorKind::ReadOnlyFilesystem => IoError::ReadOnly,
        _ => IoError::Device(error.raw_os_error().unwrap_or_default()),
    }
}

fn offset(sector: u64) -> Result<u64, IoError> {
    sector.checked_mul(SECTOR_BYTES as u64).ok_or(IoError::OutOfBounds)
}

fn whole(bytes: &[u8]) -> Result<(), IoError> {
    if bytes.len().is_multiple_of(SECTOR_BYTES) { Ok(()) } else { Err(IoError::OutOfBounds) }
}

impl BlockDevice for CrashBlocks {
    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn read(&self, sector: u64, buffer: &mut [u8]) -> Result<(), IoError> {
        whole(buffer)?;
        self.file.read(offset(sector)?, buffer).map_err(told)
    }

    fn write(&self, sector: u64, bytes: &[u8]) -> Result<(), IoError> {
        whole(bytes)?;
        let worn = self.worn.lock().map_err(|_| IoError::Device(5))?.clone();
        let end = sector.saturating_add((bytes.len() / SECTOR_BYTES) as u64);
        if sector < worn.end && worn.start < end {
            return Err(IoError::Device(5));
        }
        self.file.write(offset(sector)?, bytes).map_err(told)
    }

    fn flush(&self) -> Result<(), IoError> {
        if self.forgets_flushes.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.file.sync_data().map_err(told)
    }
}
