//! The segments of a volume, as the port wants them.

use super::extent::Extent;
use super::layout::UNIT_BYTES;
use super::table::{Entry, Table, units_for};
use super::volume::{Live, Place, Shared};
use crate::block::BlockDevice;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use unison_base::{LogId, SegmentId};
use unison_ports::{IoError, SegmentEntry, SegmentFile, SegmentKind, SegmentStore};

/// The segments of one volume; see [`Volume::segments`](super::Volume::segments).
pub struct BlockStore<D: BlockDevice>(Arc<Shared<D>>);

/// Handle of one segment. Its bytes stay where they are, whatever happens to its name, until the
/// last handle is dropped.
pub struct BlockFile<D: BlockDevice> {
    volume: Arc<Shared<D>>,
    place: Arc<Place>,
    size: u64,
    writable: bool,
}

impl<D: BlockDevice> fmt::Debug for BlockStore<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BlockStore").field(&self.0.place.name).finish()
    }
}

impl<D: BlockDevice> fmt::Debug for BlockFile<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockFile").field("units", &self.place.units).finish_non_exhaustive()
    }
}

impl<D: BlockDevice> BlockStore<D> {
    pub(super) const fn new(volume: Arc<Shared<D>>) -> Self {
        Self(volume)
    }

    fn file(&self, live: &mut Live, entry: &Entry, zeros_from: u64) -> BlockFile<D> {
        BlockFile {
            volume: Arc::clone(&self.0),
            place: self.0.place(live, entry, zeros_from),
            size: entry.size,
            writable: entry.kind == SegmentKind::Log,
        }
    }

    /// Takes what a cut-off creation left out of the way.
    fn clear_leftover(&self, live: &mut Live, id: SegmentId) -> Result<(), IoError> {
        let Some(entry) = live.table.find(id, SegmentKind::Log) else { return Ok(()) };
        let extent = Extent::new(self.0.sector_of(u64::from(entry.first_unit)), u64::MAX);
        if !extent.is_zero(&self.0.disk, 0..entry.size)? {
            return Err(IoError::Exists);
        }
        self.0.change_live(live, |table| table.forget(id, SegmentKind::Log))
    }
}

fn renamed(table: &mut Table, id: SegmentId, from: SegmentKind, to: SegmentKind) {
    let Some(moved) = table.take(id, from) else { return };
    let older = table.entries.iter_mut().find(|entry| entry.is(id, to));
    if let Some(older) = older {
        older.superseded = true;
    }
    table.entries.push(Entry { kind: to, ..moved });
}

impl<D: BlockDevice> SegmentStore for BlockStore<D> {
    type File = BlockFile<D>;

    fn list(&self, visit: &mut dyn FnMut(SegmentEntry)) -> Result<(), IoError> {
        let listed = |entry: &Entry| {
            let Entry { id, kind, size, superseded, .. } = *entry;
            (!superseded).then_some(SegmentEntry { id, kind, size })
        };
        // The list is taken first: `visit` may call the store.
        let entries: Vec<_> = self.0.live.lock().table.entries.iter().filter_map(listed).collect();
        entries.into_iter().for_each(visit);
        Ok(())
    }

    fn create(&self, id: SegmentId, size: u64) -> Result<BlockFile<D>, IoError> {
        let mut live = self.0.live.lock();
        self.clear_leftover(&mut live, id)?;
        let first_unit = self.0.room(&mut live, id, size)?;
        let kind = SegmentKind::Log;
        let entry = Entry { id, kind, superseded: false, size, first_unit };
        let extent = Extent::new(self.0.sector_of(u64::from(first_unit)), u64::MAX);
        extent.zero(&self.0.disk, 0..units_for(size).saturating_mul(UNIT_BYTES))?;
        self.0.change_live(&mut live, |table| table.entries.push(entry))?;
        Ok(self.file(&mut live, &entry, 0))
    }

    fn open(&self, id: SegmentId, kind: SegmentKind) -> Result<BlockFile<D>, IoError> {
        let mut live = self.0.live.lock();
        let entry = live.table.find(id, kind).ok_or(IoError::NotFound)?;
        Ok(self.file(&mut live, &entry, u64::MAX))
    }

    fn remove(&self, id: SegmentId, kind: SegmentKind) -> Result<(), IoError> {
        let mut live = self.0.live.lock();
        live.table.find(id, kind).ok_or(IoError::NotFound)?;
        self.0.change_live(&mut live, |table| table.forget(id, kind))
    }

    fn set_kind(&self, id: SegmentId, from: SegmentKind, to: SegmentKind) -> Result<(), IoError> {
        let mut live = self.0.live.lock();
        live.table.find(id, from).ok_or(IoError::NotFound)?;
        if from == to {
            return Ok(());
        }
        self.0.change_live(&mut live, |table| renamed(table, id, from, to))
    }

    fn log_id(&self) -> Result<Option<LogId>, IoError> {
        Ok(self.0.live.lock().table.log_id)
    }

    fn set_log_id(&self, id: LogId) -> Result<(), IoError> {
        self.0.change(|table| table.log_id = Some(id))
    }
}

impl<D: BlockDevice> BlockFile<D> {
    fn check(&self, offset: u64, length: usize) -> Result<(), IoError> {
        match offset.checked_add(length as u64) {
            Some(end) if end <= self.size => Ok(()),
            _ => Err(IoError::OutOfBounds),
        }
    }
}

impl<D: BlockDevice> SegmentFile for BlockFile<D> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), IoError> {
        self.check(offset, buffer.len())?;
        self.place.extent.read(&self.volume.disk, offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), IoError> {
        if !self.writable {
            return Err(IoError::ReadOnly);
        }
        self.check(offset, bytes.len())?;
        self.place.extent.write(&self.volume.disk, offset, bytes)
    }

    fn sync(&self) -> Result<(), IoError> {
        self.volume.disk.flush()
    }

    /// Never: nothing is mapped.
    fn view(&self, _offset: u64, _length: usize) -> Option<&[u8]> {
        None
    }
}
