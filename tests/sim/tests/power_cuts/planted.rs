//! A store between the log and the disk that breaks its promises in one chosen way.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use unison_base::prng::Prng;
use unison_base::{LogId, SegmentId};
use unison_ports::{IoError, SegmentEntry, SegmentFile, SegmentKind, SegmentStore};
use unison_sim::disk::{CrashDisk, SimSegment, SimStore};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Nothing.
    None,
    /// No sync is done.
    SkipSync,
    /// Every third sync is not done.
    SkipThirdSync,
    /// Writes are acknowledged when they are appended.
    AnswerBeforeSync,
    /// The name of the newest segment may be gone after a cut.
    SkipDirectorySync,
    /// The newest frame of a group is not written.
    DropLastRecord,
    /// Of two writes the later one goes down first, and a sync does not wait for the other.
    ReorderWrites,
    /// Zeros are not written over what is left of a torn group.
    SkipClearing,
    /// A write changes a bit of what lies before it.
    DamageNeighbour,
}

impl Bug {
    /// Those that one cut brings to light.
    pub(crate) const PLANTED: [Self; 7] = [
        Self::SkipSync,
        Self::SkipThirdSync,
        Self::AnswerBeforeSync,
        Self::SkipDirectorySync,
        Self::DropLastRecord,
        Self::ReorderWrites,
        Self::DamageNeighbour,
    ];

    /// What the bug does to a disk after a power cut.
    pub(crate) fn tamper(self, disk: &CrashDisk, prng: &mut Prng) {
        if self != Self::SkipDirectorySync || prng.chance(50) {
            return;
        }
        let store = disk.store(DIRECTORY);
        let mut newest = None;
        let note = &mut |entry: SegmentEntry| newest = newest.max(Some(entry.id));
        store.list(note).unwrap();
        if let Some(newest) = newest.filter(|&id| id > SegmentId::FIRST) {
            let _ = store.remove(newest, SegmentKind::Log);
        }
    }
}

/// Where the log lies on the disk.
const DIRECTORY: &str = "default";

#[derive(Debug)]
pub(crate) struct Store {
    inner: SimStore,
    bug: Bug,
}

pub(crate) struct File {
    inner: SimSegment,
    bug: Bug,
    syncs: AtomicU64,
    held: Mutex<Option<(u64, Vec<u8>)>>,
}

impl Store {
    pub(crate) fn new(disk: &CrashDisk, bug: Bug) -> Self {
        Self { inner: disk.store(DIRECTORY), bug }
    }

    fn file(&self, inner: SimSegment) -> File {
        File { inner, bug: self.bug, syncs: AtomicU64::new(0), held: Mutex::new(None) }
    }
}

impl SegmentStore for Store {
    type File = File;

    fn list(&self, visit: &mut dyn FnMut(SegmentEntry)) -> Result<(), IoError> {
        self.inner.list(visit)
    }

    fn create(&self, id: SegmentId, size: u64) -> Result<File, IoError> {
        self.inner.create(id, size).map(|file| self.file(file))
    }

    fn open(&self, id: SegmentId, kind: SegmentKind) -> Result<File, IoError> {
        self.inner.open(id, kind).map(|file| self.file(file))
    }

    fn remove(&self, id: SegmentId, kind: SegmentKind) -> Result<(), IoError> {
        self.inner.remove(id, kind)
    }

    fn set_kind(&self, id: SegmentId, from: SegmentKind, to: SegmentKind) -> Result<(), IoError> {
        self.inner.set_kind(id, from, to)
    }

    fn log_id(&self) -> Result<Option<LogId>, IoError> {
        self.inner.log_id()
    }

    fn set_log_id(&self, id: LogId) -> Result<(), IoError> {
        self.inner.set_log_id(id)
    }
}

impl File {
    fn held(&self) -> MutexGuard<'_, Option<(u64, Vec<u8>)>> {
        self.held.lock().unwrap()
    }

    fn write_reordered(&self, offset: u64, bytes: &[u8]) -> Result<(), IoError> {
        let mut held = self.held();
        match held.take() {
            Some((earlier, waiting)) => {
                // Only what the later write does not cover.
                let keep = usize::try_from(offset.saturating_sub(earlier)).unwrap();
                self.inner.write_at(offset, bytes)?;
                self.inner.write_at(earlier, &waiting[..waiting.len().min(keep)])
            }
            None => {
                *held = Some((offset, bytes.to_vec()));
                Ok(())
            }
        }
    }

    /// Lets a reader of this handle see what is held back.
    fn overlay(&self, offset: u64, buffer: &mut [u8]) {
        let held = self.held();
        let Some((start, bytes)) = &*held else { return };
        for (at, byte) in (*start..).zip(bytes) {
            let index = at.checked_sub(offset).and_then(|index| usize::try_from(index).ok());
            if let Some(target) = index.and_then(|index| buffer.get_mut(index)) {
                *target = *byte;
            }
        }
    }
}

impl SegmentFile for File {
    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), IoError> {
        self.inner.read_at(offset, buffer)?;
        self.overlay(offset, buffer);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), IoError> {
        let zeros = bytes.iter().all(|&byte| byte == 0);
        match self.bug {
            Bug::SkipClearing if zeros => Ok(()),
            Bug::ReorderWrites => self.write_reordered(offset, bytes),
            Bug::DropLastRecord if offset > 0 && bytes.len() > 300 => {
                self.inner.write_at(offset, &bytes[..bytes.len() - 100])
            }
            Bug::DamageNeighbour if offset > 1_000 => {
                let mut byte = [0];
                self.inner.read_at(offset - 30, &mut byte)?;
                self.inner.write_at(offset - 30, &[byte[0] ^ 1])?;
                self.inner.write_at(offset, bytes)
            }
            _ => self.inner.write_at(offset, bytes),
        }
    }

    fn sync(&self) -> Result<(), IoError> {
        let number = self.syncs.fetch_add(1, Ordering::Relaxed);
        match self.bug {
            Bug::SkipSync => Ok(()),
            Bug::SkipThirdSync if number % 3 == 2 => Ok(()),
            _ => self.inner.sync(),
        }
    }

    fn view(&self, offset: u64, length: usize) -> Option<&[u8]> {
        self.inner.view(offset, length)
    }
}
