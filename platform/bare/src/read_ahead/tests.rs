//! Against a disk in memory that counts, and that can fail.

use super::*;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const SECTORS: u64 = 4_096;

struct Memory {
    bytes: Mutex<Vec<u8>>,
    reads: AtomicUsize,
    is_broken: AtomicBool,
    /// One that cannot be read.
    rotten: AtomicUsize,
}

impl Memory {
    fn new() -> Arc<Self> {
        let bytes = (0..bytes(SECTORS)).map(|at| (at / 7 + at % 251).to_le_bytes()[0]).collect();
        Arc::new(Self {
            bytes: Mutex::new(bytes),
            reads: AtomicUsize::new(0),
            is_broken: AtomicBool::new(false),
            rotten: AtomicUsize::new(usize::MAX),
        })
    }

    fn range(&self, sector: u64, length: usize) -> Result<Range<usize>, IoError> {
        let start = bytes(sector);
        let end = start.saturating_add(length);
        if end > bytes(SECTORS) { Err(IoError::OutOfBounds) } else { Ok(start..end) }
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }
}

impl BlockDevice for Arc<Memory> {
    fn sectors(&self) -> u64 {
        SECTORS
    }

    fn read(&self, sector: u64, buffer: &mut [u8]) -> Result<(), IoError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let range = self.range(sector, buffer.len())?;
        let rotten = bytes(self.rotten.load(Ordering::Relaxed) as u64);
        if self.is_broken.load(Ordering::Relaxed) || range.contains(&rotten) {
            buffer.fill(0xee);
            return Err(IoError::Device(5));
        }
        buffer.copy_from_slice(&self.bytes.lock()[range]);
        Ok(())
    }

    fn write(&self, sector: u64, bytes: &[u8]) -> Result<(), IoError> {
        let range = self.range(sector, bytes.len())?;
        self.bytes.lock()[range].copy_from_slice(bytes);
        // A write that fails may have written.
        if self.is_broken.load(Ordering::Relaxed) { Err(IoError::Device(5)) } else { Ok(()) }
    }

    fn flush(&self) -> Result<(), IoError> {
        Ok(())
    }
}

fn read(disk: &ReadAhead<Arc<Memory>>, sector: u64, sectors: u64) -> Result<Vec<u8>, IoError> {
    let mut buffer = vec![0; bytes(sectors)];
    disk.read(sector, &mut buffer).map(|()| buffer)
}

fn truth(memory: &Memory, sector: u64, sectors: u64) -> Vec<u8> {
    memory.bytes.lock()[bytes(sector)..bytes(sector + sectors)].to_vec()
}

#[test]
fn small_reads_in_a_row_are_few_for_the_device() {
    let memory = Memory::new();
    let disk = ReadAhead::new(Arc::clone(&memory));
    for sector in 0..1_024 {
        assert_eq!(read(&disk, sector, 1), Ok(truth(&memory, sector, 1)));
    }
    assert!(memory.reads() <= 4 + 1_024 / 64, "{} reads", memory.reads());
}

#[test]
fn headers_and_bodies_in_turn_are_a_row_too() {
    let memory = Memory::new();
    let disk = ReadAhead::new(Arc::clone(&memory));
    for sector in (0..1_024).step_by(2) {
        read(&disk, sector, 1).unwrap();
        assert_eq!(read(&disk, sector, 3), Ok(truth(&memory, sector, 3)));
    }
    assert!(memory.reads() <= 6 + 1_024 / 60, "{} reads", memory.reads());
}

#[test]
fn four_rows_at_once_do_not_disturb_each_other() {
    let memory = Memory::new();
    let disk = ReadAhead::new(Arc::clone(&memory));
    for step in 0..512 {
        for row in 0..4 {
            let sector = row * 1_000 + step;
            assert_eq!(read(&disk, sector, 1), Ok(truth(&memory, sector, 1)));
        }
    }
    assert!(memory.reads() <= 4 * (4 + 512 / 64), "{} reads", memory.reads());
}

#[test]
fn scattered_and_large_reads_are_one_read_each() {
    let memory = Memory::new();
    let disk = ReadAhead::new(Arc::clone(&memory));
    for step in 0..100 {
        read(&disk, (step * 1_009) % 4_000, 1).unwrap();
    }
    assert_eq!(memory.reads(), 100);
    for sector in (0..1_000).step_by(100) {
        assert_eq!(read(&disk, sector, 100), Ok(truth(&memory, sector, 100)));
    }
    assert_eq!(memory.reads(), 110);
}

#[test]
fn the_end_of_the_disk_is_read_and_nothing_behind_it() {
    let memory = Memory::new();
    let disk = ReadAhead::new(Arc::clone(&memory));
    for sector in SECTORS - 20..SECTORS {
        assert_eq!(read(&disk, sector, 1), Ok(truth(&memory, sector, 1)));
    }
    assert_eq!(read(&disk, SECTORS, 1), Err(IoError::OutOfBounds));
    assert_eq!(read(&disk, SECTORS - 1, 2), Err(IoError::OutOfBounds));
    assert_eq!(read(&disk, u64::MAX, 1), Err(IoError::OutOfBounds));
    assert_eq!(read(&disk, SECTORS - 1, 1), Ok(truth(&memory, SECTORS - 1, 1)));
}

#[test]
fn a_failed_read_leaves_no_window() {
    let memory = Memory::new();
    let disk = ReadAhead::new(Arc::clone(&memory));
    for sector in 100..109 {
        read(&disk, sector, 1).unwrap();
    }
    memory.is_broken.store(true, Ordering::Relaxed);
    // The window is used up, and the next one cannot be read.
    assert_eq!(read(&disk, 109, 1), Err(IoError::Device(5)));
    memory.is_broken.store(false, Ordering::Relaxed);
    for sector in 101..120 {
        assert_eq!(read(&disk, sector, 1), Ok(truth(&memory, sector, 1)));
    }
}

#[test]
fn reads_see_every_write_also_one_that_failed() {
    let memory = Memory::new();
    let disk = ReadAhead::new(Arc::clone(&memory));
    let mut state = 1_u64;
    let mut random = |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut at = 0;
    for step in 0..20_000_u32 {
        // Mostly rows of reads, now and then a jump.
        at = if random(20) == 0 { random(SECTORS - 64) } else { (at + random(3)) % (SECTORS - 64) };
        let length = 1 + random(40);
        if random(4) == 0 {
            memory.is_broken.store(random(4) == 0, Ordering::Relaxed);
            let _ = disk.write(at, &vec![step.to_le_bytes()[0]; bytes(length)]);
            memory.is_broken.store(false, Ordering::Relaxed);
        }
        assert_eq!(read(&disk, at, length), Ok(truth(&memory, at, length)), "step {step}");
    }
}

#[test]
fn a_sector_that_cannot_be_read_costs_no_other() {
    for rotten in 0..200 {
        let memory = Memory::new();
        memory.rotten.store(rotten, Ordering::Relaxed);
        let disk = ReadAhead::new(Arc::clone(&memory));
        for sector in 0..200 {
            let expected = match sector == rotten as u64 {
                true => Err(IoError::Device(5)),
                false => Ok(truth(&memory, sector, 1)),
            };
            assert_eq!(read(&disk, sector, 1), expected, "sector {sector} of {rotten}");
        }
    }
}
