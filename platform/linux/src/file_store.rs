//! The segments of one namespace as files of one directory.
//!
//! ```text
//! wal/000000001.seg        part of the log
//! wal/000000001.val        left the log, values in it are still pointed to
//! wal/000000001.seg.rot    damaged, set aside; an older one of that number is .seg.rot.2, .3, ...
//! wal/log.id               identity of the log
//! ```
//!
//! Names are durable when a call returns: every creation, rename and removal ends with a sync of
//! the directory (A5). Only one process uses a data directory, see [`crate::DataDirLock`].
//!
//! # Space (A6)
//! `create` reserves with `fallocate`. Where the file system knows no such call, zeros are written.
//! On copy-on-write file systems (btrfs, ZFS) neither promises that overwriting finds room; put the
//! log on ext4 or XFS where that matters.

mod create;
mod directory;
mod handles;
mod identity;
mod names;

use crate::segment::{FileSegment, Place, io_error};
pub(crate) use directory::Directory;
use handles::Handles;
use rustix::fs::{AtFlags, CWD, FileType, Stat, linkat, rename, statat, statvfs, unlink};
use rustix::io::Errno;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use unison_base::{LogId, SegmentId};
use unison_ports::{IoError, SegmentEntry, SegmentKind, SegmentStore};

/// Segments as files of one directory, usually `<data-dir>/<namespace>/wal`.
#[derive(Debug)]
pub struct FileStore {
    directory: Directory,
    handles: Handles,
    /// Bytes that a new segment leaves to others on the file system.
    left_free: AtomicU64,
    /// Bytes that new segments may still take.
    growth_max: Mutex<u64>,
}

impl FileStore {
    /// Opens the directory `dir`; with `create`, makes it and its parents first, durably.
    ///
    /// Costs no open file: one is open only while it is used.
    ///
    /// # Errors
    /// [`IoError::NotFound`] when it is not there and not to be made; a device error otherwise.
    pub fn open(dir: impl AsRef<Path>, create: bool) -> Result<Self, IoError> {
        let directory = Directory::open(dir.as_ref(), create)?;
        let growth_max = Mutex::new(u64::MAX);
        Ok(Self {
            directory,
            handles: Handles::default(),
            left_free: AtomicU64::new(0),
            growth_max,
        })
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Makes every handle that was given out independent of the directory, which is about to be moved
    /// or removed.
    ///
    /// # Errors
    /// A file cannot be opened.
    pub fn keep_open(&self) -> Result<(), IoError> {
        self.handles.keep_all()
    }

    /// From now on a new segment is refused, as if the file system were full, unless it leaves this
    /// many bytes free.
    pub fn leave_free(&self, bytes: u64) {
        self.left_free.store(bytes, Ordering::Relaxed);
    }

    /// From now on new segments are refused, as if the file system were full, once they would take more
    /// than `measure` says together. None is made while it looks.
    pub fn grow_at_most(&self, measure: impl FnOnce() -> u64) {
        let mut growth_max = self.growth_max();
        *growth_max = measure();
    }

    fn growth_max(&self) -> MutexGuard<'_, u64> {
        self.growth_max.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of all files of segments.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn disk_bytes(&self) -> Result<u64, IoError> {
        let mut bytes = 0_u64;
        self.list(&mut |entry| bytes = bytes.saturating_add(entry.size))?;
        Ok(bytes)
    }

    /// Bytes that are free on the file system for a process like this one.
    ///
    /// # Errors
    /// The file system does not say.
    pub fn free_bytes(&self) -> Result<u64, IoError> {
        let found = statvfs(self.path()).map_err(io_error)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    fn has_room(&self, size: u64) -> Result<bool, IoError> {
        let left_free = self.left_free.load(Ordering::Relaxed);
        Ok(left_free == 0 || self.free_bytes()? >= size.saturating_add(left_free))
    }

    fn path_of(&self, id: SegmentId, kind: SegmentKind) -> PathBuf {
        self.path().join(names::of(id, kind))
    }

    /// Gives the file at `path`, set aside earlier, a second name that is free.
    fn keep_older(&self, path: &Path, id: SegmentId, kind: SegmentKind) -> Result<(), IoError> {
        for copy in 2..=names::COPIES_MAX {
            let other = self.path().join(names::copy_of(id, kind, copy));
            match linkat(CWD, path, CWD, &other, AtFlags::empty()) {
                // A file system without hard links: the older one loses its name for a moment.
                Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS) if stat(&other)?.is_none() => {
                    return rename(path, &other).map_err(io_error);
                }
                Err(Errno::EXIST | Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS) => {}
                done => return done.map_err(io_error),
            }
        }
        Err(IoError::Exists)
    }
}

/// Size of a regular file; `None` when nothing of that name is there.
fn stat(path: &Path) -> Result<Option<u64>, IoError> {
    match statat(CWD, path, AtFlags::empty()) {
        Ok(stat) => Ok(regular_size(&stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(io_error(errno)),
    }
}

fn regular_size(stat: &Stat) -> Option<u64> {
    let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    u64::try_from(stat.st_size).ok().filter(|_| regular)
}

impl SegmentStore for FileStore {
    type File = FileSegment;

    fn list(&self, visit: &mut dyn FnMut(SegmentEntry)) -> Result<(), IoError> {
        self.directory.entries(&mut |name| {
            if let Some((id, kind)) = names::parse(name)
                && let Some(size) = stat(&self.path().join(name))?
            {
                visit(SegmentEntry { id, kind, size });
            }
            Ok(())
        })
    }

    fn create(&self, id: SegmentId, size: u64) -> Result<FileSegment, IoError> {
        let path = self.path_of(id, SegmentKind::Log);
        create::clear_leftover(&path)?;
        let mut growth_max = self.growth_max();
        if size > *growth_max || !self.has_room(size)? {
            return Err(IoError::NoSpace);
        }
        let descriptor = create::reserve(&path, size, &self.directory)?;
        if *growth_max < u64::MAX {
            *growth_max -= size;
        }
        drop(growth_max);
        let place = Place::new(path, Some(descriptor));
        self.handles.add((id, SegmentKind::Log), &place);
        Ok(FileSegment::new(size, true, place))
    }

    fn open(&self, id: SegmentId, kind: SegmentKind) -> Result<FileSegment, IoError> {
        let path = self.path_of(id, kind);
        let (size, place) = self.handles.add_found((id, kind), || {
            let size = stat(&path)?.ok_or(IoError::NotFound)?;
            Ok((size, Place::new(path, None)))
        })?;
        Ok(FileSegment::new(size, kind == SegmentKind::Log, place))
    }

    fn remove(&self, id: SegmentId, kind: SegmentKind) -> Result<(), IoError> {
        let path = self.path_of(id, kind);
        self.handles.while_held((id, kind), |held| {
            stat(&path)?.ok_or(IoError::NotFound)?;
            held.keep()?;
            unlink(&path).map_err(io_error)?;
            held.removed();
            Ok(())
        })?;
        self.directory.sync()
    }

    fn set_kind(&self, id: SegmentId, from: SegmentKind, to: SegmentKind) -> Result<(), IoError> {
        let (old, new) = (self.path_of(id, from), self.path_of(id, to));
        stat(&old)?.ok_or(IoError::NotFound)?;
        if from == to {
            return Ok(());
        }
        if stat(&new)?.is_some() {
            self.handles.while_held((id, to), |held| {
                held.keep()?;
                self.keep_older(&new, id, to)?;
                held.removed();
                Ok(())
            })?;
        }
        self.handles.while_held((id, from), |held| {
            rename(&old, &new).map_err(io_error)?;
            held.moved((id, to), &new);
            Ok(())
        })?;
        self.directory.sync()
    }

    fn log_id(&self) -> Result<Option<LogId>, IoError> {
        identity::read(&self.directory)
    }

    fn set_log_id(&self, id: LogId) -> Result<(), IoError> {
        identity::write(&self.directory, id)
    }
}

#[cfg(test)]
mod tests;
