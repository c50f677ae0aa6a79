//! One segment file: positioned writes and reads, a shared map for views, `fdatasync`.
//!
//! # When a file is open
//!
//! A node holds ten thousand namespaces, most of them idle, so a handle is not an open file:
//!
//! | call | descriptor | map |
//! |---|---|---|
//! | none yet | none | none |
//! | `view` | one, closed again | made once, kept with the handle |
//! | `read_at`, `sync` before any write | one, closed again | - |
//! | `write_at` | kept | - |
//! | `release` of the whole segment, nothing unsynced | closed | its pages are given back |
//!
//! A handle follows its file: a rename by the store changes the path it would open, and a removal
//! makes it keep a descriptor first, so what was readable stays readable.

mod io;
mod map;
mod place;

pub(crate) use io::{StdError, io_error, write_all};
pub(crate) use place::{Held, Place};

use map::Map;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use unison_ports::{IoError, SegmentFile};

/// Handle of one segment file, shared by one writer and many readers.
#[derive(Debug)]
pub struct FileSegment {
    size: u64,
    writable: bool,
    place: Arc<Place>,
    map: OnceLock<Option<Map>>,
    unsynced: AtomicBool,
    failed: OnceLock<IoError>,
}

impl FileSegment {
    pub(crate) fn new(size: u64, writable: bool, place: Arc<Place>) -> Self {
        let (map, unsynced) = (OnceLock::new(), AtomicBool::new(false));
        Self { size, writable, place, map, unsynced, failed: OnceLock::new() }
    }

    fn check(&self, offset: u64, length: usize) -> Result<(), IoError> {
        let length = u64::try_from(length).map_err(|_| IoError::OutOfBounds)?;
        match offset.checked_add(length) {
            Some(end) if end <= self.size => Ok(()),
            _ => Err(IoError::OutOfBounds),
        }
    }

    fn map(&self) -> Option<&Map> {
        let make = || Map::of(self.place.open_for_reading().ok()?.as_fd(), self.size);
        self.map.get_or_init(make).as_ref()
    }

    fn sync_now(&self) -> Result<(), IoError> {
        let descriptor = self.place.open_for_reading()?;
        self.unsynced.store(false, Ordering::Release);
        io::sync_data(descriptor.as_fd())
            .inspect_err(|_| self.unsynced.store(true, Ordering::Release))
    }
}

impl SegmentFile for FileSegment {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), IoError> {
        self.check(offset, buffer.len())?;
        io::read_all(self.place.open_for_reading()?.as_fd(), offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), IoError> {
        if !self.writable {
            return Err(IoError::ReadOnly);
        }
        self.check(offset, bytes.len())?;
        let descriptor = self.place.keep_open_for_writing()?;
        self.unsynced.store(true, Ordering::Release);
        io::write_all(descriptor.as_fd(), offset, bytes)
    }

    /// After a failure every later call on this handle fails the same way (A3).
    fn sync(&self) -> Result<(), IoError> {
        if let Some(&error) = self.failed.get() {
            return Err(error);
        }
        self.sync_now().inspect_err(|&error| {
            // A second failure changes nothing: the first one stays.
            let _ = self.failed.set(error);
        })
    }

    /// A range that is written after it was viewed may show either content; below the published
    /// write offset nothing is.
    fn view(&self, offset: u64, length: usize) -> Option<&[u8]> {
        self.check(offset, length).ok()?;
        self.map()?.bytes(offset, length)
    }

    fn release(&self, offset: u64, length: u64) {
        if let Some(map) = self.map.get().and_then(Option::as_ref) {
            map.release(offset, length);
        }
        let whole = offset == 0 && length >= self.size;
        if whole && !self.unsynced.load(Ordering::Acquire) {
            self.place.close();
        }
    }
}

#[cfg(test)]
mod tests;
