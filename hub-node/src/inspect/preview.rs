//! A segment store that looks at real files and changes nothing: recovery runs on it for the sake
//! of its report.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use unison_base::{LogId, SegmentId};
use unison_linux::{FileSegment, FileStore};
use unison_ports::{IoError, SegmentEntry, SegmentFile, SegmentKind, SegmentStore};

/// Reads go to the files; writes are forgotten; roles change in memory only.
#[derive(Debug)]
pub(super) struct Preview {
    files: FileStore,
    moved: Mutex<BTreeMap<(SegmentId, SegmentKind), SegmentKind>>,
}

/// A segment that forgets what is written to it.
#[derive(Debug)]
pub(super) struct Unchanged(FileSegment);

impl Preview {
    pub(super) fn new(files: FileStore) -> Self {
        Self { files, moved: Mutex::default() }
    }

    /// The kind under which a segment really lies.
    fn real_kind(&self, id: SegmentId, kind: SegmentKind) -> SegmentKind {
        self.moved
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .find(|&(&(moved, _), &to)| moved == id && to == kind)
            .map_or(kind, |(&(_, from), _)| from)
    }
}

impl SegmentStore for Preview {
    type File = Unchanged;

    fn list(&self, visit: &mut dyn FnMut(SegmentEntry)) -> Result<(), IoError> {
        self.files.list(visit)
    }

    fn create(&self, _: SegmentId, _: u64) -> Result<Unchanged, IoError> {
        Err(IoError::ReadOnly)
    }

    fn open(&self, id: SegmentId, kind: SegmentKind) -> Result<Unchanged, IoError> {
        self.files.open(id, self.real_kind(id, kind)).map(Unchanged)
    }

    fn remove(&self, _: SegmentId, _: SegmentKind) -> Result<(), IoError> {
        Ok(())
    }

    fn set_kind(&self, id: SegmentId, from: SegmentKind, to: SegmentKind) -> Result<(), IoError> {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner).insert((id, from), to);
        Ok(())
    }

    fn log_id(&self) -> Result<Option<LogId>, IoError> {
        self.files.log_id()
    }

    fn set_log_id(&self, _: LogId) -> Result<(), IoError> {
        Ok(())
    }
}

impl SegmentFile for Unchanged {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), IoError> {
        self.0.read_at(offset, buffer)
    }

    fn write_at(&self, _: u64, _: &[u8]) -> Result<(), IoError> {
        Ok(())
    }

    fn sync(&self) -> Result<(), IoError> {
        Ok(())
    }

    fn view(&self, offset: u64, length: usize) -> Option<&[u8]> {
        self.0.view(offset, length)
    }
}
