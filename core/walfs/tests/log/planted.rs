//! A store with a bug of our choice.

use unison_base::{LogId, SegmentId};
use unison_ports::{IoError, SegmentEntry, SegmentFile, SegmentKind, SegmentStore};
use unison_sim::disk::{SimSegment, SimStore};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    None,
    /// A sync does nothing and says that it did.
    SkipSync,
    /// Writes behind the header lose their first eight bytes.
    DropLastRecord,
    /// Writes behind the header land eight bytes further.
    Misdirect,
}

#[derive(Debug)]
pub(crate) struct Planted {
    pub(crate) store: SimStore,
    pub(crate) bug: Bug,
}

pub(crate) struct PlantedFile {
    file: SimSegment,
    bug: Bug,
}

impl SegmentFile for PlantedFile {
    fn size(&self) -> u64 {
        self.file.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), IoError> {
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), IoError> {
        match self.bug {
            Bug::DropLastRecord if offset >= 64 => self.file.write_at(offset + 8, &bytes[8..]),
            Bug::Misdirect if offset >= 64 => self.file.write_at(offset + 8, bytes),
            _ => self.file.write_at(offset, bytes),
        }
    }

    fn sync(&self) -> Result<(), IoError> {
        if self.bug == Bug::SkipSync { Ok(()) } else { self.file.sync() }
    }

    fn view(&self, _offset: u64, _length: usize) -> Option<&[u8]> {
        None
    }
}

impl SegmentStore for Planted {
    type File = PlantedFile;

    fn list(&self, visit: &mut dyn FnMut(SegmentEntry)) -> Result<(), IoError> {
        self.store.list(visit)
    }

    fn create(&self, id: SegmentId, size: u64) -> Result<PlantedFile, IoError> {
        Ok(PlantedFile { file: self.store.create(id, size)?, bug: self.bug })
    }

    fn open(&self, id: SegmentId, kind: SegmentKind) -> Result<PlantedFile, IoError> {
        Ok(PlantedFile { file: self.store.open(id, kind)?, bug: self.bug })
    }

    fn remove(&self, id: SegmentId, kind: SegmentKind) -> Result<(), IoError> {
        self.store.remove(id, kind)
    }

    fn set_kind(&self, id: SegmentId, from: SegmentKind, to: SegmentKind) -> Result<(), IoError> {
        self.store.set_kind(id, from, to)
    }

    fn log_id(&self) -> Result<Option<LogId>, IoError> {
        self.store.log_id()
    }

    fn set_log_id(&self, id: LogId) -> Result<(), IoError> {
        self.store.set_log_id(id)
    }
}
