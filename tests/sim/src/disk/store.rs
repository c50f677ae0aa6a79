//! The ports over a disk in memory.

use super::cut::InFlight;
use super::inode::Change;
use super::state::{FileName, InodeNumber, Name};
use super::views::Views;
use super::{Calls, CrashDisk, Disk, Effect};
use unison_base::{LogId, SegmentId};
use unison_ports::{IoError, SegmentEntry, SegmentFile, SegmentKind, SegmentStore};

/// Segments of one directory of a [`CrashDisk`].
#[derive(Clone, Debug)]
pub struct SimStore {
    disk: CrashDisk,
    directory: usize,
}

/// One of its segments.
#[derive(Debug)]
pub struct SimSegment {
    disk: CrashDisk,
    inode: InodeNumber,
    size: u64,
    writable: bool,
    mapped: bool,
    views: Views,
}

impl SimStore {
    pub(super) const fn new(disk: CrashDisk, directory: usize) -> Self {
        Self { disk, directory }
    }

    const fn name(&self, id: SegmentId, kind: SegmentKind) -> Name {
        (self.directory, FileName::Segment(id, kind))
    }

    fn segment(&self, disk: &Disk, inode: InodeNumber, writable: bool) -> SimSegment {
        let size = disk.state.inode(inode).map_or(0, |inode| inode.cached.len());
        let (mapped, views) = (disk.control.options.mapped, Views::default());
        SimSegment { disk: self.disk.clone(), inode, size, writable, mapped, views }
    }
}

/// Runs a call that either is done or is not, whatever fault strikes it.
fn whole<T>(
    disk: &mut Disk,
    calls: Calls,
    run: impl FnOnce(&mut Disk) -> Result<T, IoError>,
) -> Result<T, IoError> {
    match disk.control.enter(calls)? {
        Some(Effect::Error(error) | Effect::Part { error, .. }) => Err(error),
        Some(Effect::Late(error)) => run(disk).and(Err(error)),
        None => run(disk),
    }
}

impl SegmentStore for SimStore {
    type File = SimSegment;

    fn list(&self, visit: &mut dyn FnMut(SegmentEntry)) -> Result<(), IoError> {
        // The list is taken first: `visit` may call the disk.
        let entries: Vec<_> = whole(&mut self.disk.lock(), Calls::Directory, |disk| {
            Ok(disk.state.segments(self.directory).collect())
        })?;
        entries.into_iter().for_each(visit);
        Ok(())
    }

    fn create(&self, id: SegmentId, size: u64) -> Result<SimSegment, IoError> {
        let name = self.name(id, SegmentKind::Log);
        whole(&mut self.disk.lock(), Calls::Directory, |disk| {
            if let Some(&found) = disk.state.names.get(&name) {
                if !disk.state.is_leftover(found) {
                    return Err(IoError::Exists);
                }
                disk.state.remove(name)?;
            }
            disk.state.take_room(size)?;
            disk.control.record(&disk.state, Some(InFlight::Create(name, size)));
            let inode = disk.state.add(name, size);
            Ok(self.segment(disk, inode, true))
        })
    }

    fn open(&self, id: SegmentId, kind: SegmentKind) -> Result<SimSegment, IoError> {
        let name = self.name(id, kind);
        whole(&mut self.disk.lock(), Calls::Directory, |disk| {
            let inode = *disk.state.names.get(&name).ok_or(IoError::NotFound)?;
            Ok(self.segment(disk, inode, kind == SegmentKind::Log))
        })
    }

    fn remove(&self, id: SegmentId, kind: SegmentKind) -> Result<(), IoError> {
        let name = self.name(id, kind);
        whole(&mut self.disk.lock(), Calls::Directory, |disk| {
            disk.state.names.get(&name).ok_or(IoError::NotFound)?;
            disk.control.record(&disk.state, Some(InFlight::Remove(name)));
            disk.state.remove(name)
        })
    }

    fn set_kind(&self, id: SegmentId, from: SegmentKind, to: SegmentKind) -> Result<(), IoError> {
        let (from, to) = (self.name(id, from), self.name(id, to));
        whole(&mut self.disk.lock(), Calls::Directory, |disk| {
            disk.state.names.get(&from).ok_or(IoError::NotFound)?;
            disk.control.record(&disk.state, Some(InFlight::Rename(from, to)));
            disk.state.rename(from, to)
        })
    }

    fn log_id(&self) -> Result<Option<LogId>, IoError> {
        whole(&mut self.disk.lock(), Calls::Directory, |disk| {
            Ok(disk.state.identities.get(&self.directory).copied())
        })
    }

    fn set_log_id(&self, id: LogId) -> Result<(), IoError> {
        whole(&mut self.disk.lock(), Calls::Directory, |disk| {
            disk.control.record(&disk.state, Some(InFlight::Identity(self.directory, id)));
            disk.state.identities.insert(self.directory, id);
            Ok(())
        })
    }
}

impl Disk {
    /// Writes to a file; with a fault, all, a part, or nothing of it.
    pub(super) fn write(
        &mut self,
        inode: InodeNumber,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), IoError> {
        let (count, result) = match self.control.enter(Calls::Writes)? {
            Some(Effect::Error(error)) => (0, Err(error)),
            Some(Effect::Part { bytes: part, error }) => (part.min(bytes.len()), Err(error)),
            Some(Effect::Late(error)) => (bytes.len(), Err(error)),
            None => (bytes.len(), Ok(())),
        };
        let end = offset.checked_add(bytes.len() as u64);
        if end.is_none_or(|end| self.state.inode(inode).is_ok_and(|i| end > i.cached.len())) {
            return Err(IoError::OutOfBounds);
        }
        if count > 0 {
            self.state.change(inode, Change::Write { offset, bytes: bytes[..count].into() })?;
            self.control.record(&self.state, None);
        }
        result
    }

    /// Syncs a file; when a fault strikes, what it covers becomes doubtful.
    pub(super) fn sync(&mut self, inode: InodeNumber) -> Result<(), IoError> {
        let effect = self.control.enter(Calls::Syncs)?;
        self.control.record(&self.state, None);
        let file = self.state.inode_mut(inode)?;
        match effect {
            Some(Effect::Error(error) | Effect::Part { error, .. } | Effect::Late(error)) => {
                file.sync_failed();
                Err(error)
            }
            None => {
                self.control.counters.synced_page_bytes += file.dirty_page_bytes();
                file.sync();
                Ok(())
            }
        }
    }

    /// Reads from a file.
    pub(super) fn read(
        &mut self,
        inode: InodeNumber,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<(), IoError> {
        whole(self, Calls::Reads, |disk| {
            let inside = disk.state.inode(inode)?.cached.read(offset, buffer);
            if inside { Ok(()) } else { Err(IoError::OutOfBounds) }
        })
    }
}

impl SegmentFile for SimSegment {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), IoError> {
        self.disk.lock().read(self.inode, offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), IoError> {
        if !self.writable {
            return Err(IoError::ReadOnly);
        }
        let mut disk = self.disk.lock();
        disk.control.counters.segment_bytes += bytes.len() as u64;
        disk.write(self.inode, offset, bytes)
    }

    fn sync(&self) -> Result<(), IoError> {
        self.disk.lock().sync(self.inode)
    }

    /// A copy that is kept until the handle is dropped. Counts as no call and never fails by fault:
    /// a map is read without asking.
    fn view(&self, offset: u64, length: usize) -> Option<&[u8]> {
        if !self.mapped || offset.checked_add(length as u64)? > self.size {
            return None;
        }
        let mut bytes = vec![0; length].into_boxed_slice();
        let disk = self.disk.lock();
        let inside = disk.state.inode(self.inode).ok()?.cached.read(offset, &mut bytes);
        drop(disk);
        inside.then(|| self.views.keep(bytes)).flatten()
    }
}
