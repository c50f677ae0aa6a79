//! Media that break their promises in one chosen way: a suite of checks that does not find them
//! proves nothing.

use crate::disk::{CrashDisk, SimSegment, SimStore, SimTreeFile};
use redb::StorageBackend;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use unison_base::frame::TERMINATOR_BYTES;
use unison_base::prng::Prng;
use unison_base::{LogId, SegmentId};
use unison_ports::{IoError, SegmentEntry, SegmentFile, SegmentKind, SegmentStore};

/// What is wrong. Some of it is for the test around the medium to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bug {
    /// Nothing.
    #[default]
    None,
    /// No sync of a segment is done.
    SkipSync,
    /// No sync of the tree is done.
    SkipTreeSync,
    /// Every third sync of a segment is not done.
    SkipThirdSync,
    /// Writes are acknowledged when they are appended. The test's part.
    AnswerBeforeSync,
    /// The name of the newest segment may be gone after a cut; see [`Bug::tamper`].
    SkipDirectorySync,
    /// The newest frame of a group is not written.
    DropLastRecord,
    /// Of two writes the later one goes down first, and a sync does not wait for the other.
    ReorderWrites,
    /// Zeros are not written over what is left of a torn group.
    SkipClearing,
    /// A write changes a bit of what lies before it.
    DamageNeighbour,
    /// Zeros are written neither over what is left of a torn group nor behind a new one, so that an
    /// older frame may follow the newest.
    KeepStaleFrames,
    /// No sync of a segment is done while a flush runs, so that the tree may be ahead of the log.
    SkipSyncInFlush,
}

impl Bug {
    /// What the bug does to a disk after a power cut.
    pub fn tamper(self, disk: &CrashDisk, directory: &str, prng: &mut Prng) {
        if self != Self::SkipDirectorySync || prng.chance(50) {
            return;
        }
        let store = disk.store(directory);
        let mut newest = None;
        let note = &mut |entry: SegmentEntry| newest = newest.max(Some(entry.id));
        // A disk after a cut has no faults.
        let _ = store.list(note);
        if let Some(newest) = newest.filter(|&id| id > SegmentId::FIRST) {
            let _ = store.remove(newest, SegmentKind::Log);
        }
    }
}

/// Segments of one directory of a disk, behind the bug.
#[derive(Debug)]
pub struct PlantedStore {
    inner: SimStore,
    bug: Bug,
    flushing: Arc<AtomicBool>,
}

/// One of them.
#[derive(Debug)]
pub struct PlantedSegment {
    inner: SimSegment,
    bug: Bug,
    flushing: Arc<AtomicBool>,
    syncs: AtomicU64,
    held: Mutex<Option<(u64, Vec<u8>)>>,
}

impl PlantedStore {
    /// The segments of `directory`.
    #[must_use]
    pub fn new(disk: &CrashDisk, directory: &str, bug: Bug) -> Self {
        Self { inner: disk.store(directory), bug, flushing: Arc::default() }
    }

    /// Says that a flush begins or ends, for [`Bug::SkipSyncInFlush`].
    pub fn set_flushing(&self, flushing: bool) {
        self.flushing.store(flushing, Ordering::Relaxed);
    }

    fn file(&self, inner: SimSegment) -> PlantedSegment {
        let (bug, flushing) = (self.bug, Arc::clone(&self.flushing));
        PlantedSegment { inner, bug, flushing, syncs: AtomicU64::new(0), held: Mutex::new(None) }
    }
}

impl SegmentStore for PlantedStore {
    type File = PlantedSegment;

    fn list(&self, visit: &mut dyn FnMut(SegmentEntry)) -> Result<(), IoError> {
        self.inner.list(visit)
    }

    fn create(&self, id: SegmentId, size: u64) -> Result<PlantedSegment, IoError> {
        self.inner.create(id, size).map(|file| self.file(file))
    }

    fn open(&self, id: SegmentId, kind: SegmentKind) -> Result<PlantedSegment, IoError> {
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

impl PlantedSegment {
    fn held(&self) -> MutexGuard<'_, Option<(u64, Vec<u8>)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_reordered(&self, offset: u64, bytes: &[u8]) -> Result<(), IoError> {
        let mut held = self.held();
        match held.take() {
            Some((earlier, waiting)) => {
                // Only what the later write does not cover.
                let keep = usize::try_from(offset.saturating_sub(earlier)).unwrap_or(usize::MAX);
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

impl SegmentFile for PlantedSegment {
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
            Bug::KeepStaleFrames if zeros => Ok(()),
            Bug::KeepStaleFrames if offset > 0 => self.inner.write_at(offset, unterminated(bytes)),
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
            Bug::SkipSyncInFlush if self.flushing.load(Ordering::Relaxed) => Ok(()),
            Bug::SkipThirdSync if number % 3 == 2 => Ok(()),
            _ => self.inner.sync(),
        }
    }

    fn view(&self, offset: u64, length: usize) -> Option<&[u8]> {
        self.inner.view(offset, length)
    }
}

/// A group without the zeros behind it.
fn unterminated(bytes: &[u8]) -> &[u8] {
    let frames = bytes.len().saturating_sub(TERMINATOR_BYTES);
    if bytes[frames..].iter().all(|&byte| byte == 0) { &bytes[..frames] } else { bytes }
}

/// The tree file of one directory of a disk, behind the bug.
#[derive(Debug)]
pub struct PlantedTree {
    inner: SimTreeFile,
    bug: Bug,
}

impl PlantedTree {
    /// The tree of `directory`.
    #[must_use]
    pub fn new(disk: &CrashDisk, directory: &str, bug: Bug) -> Self {
        Self { inner: disk.tree(directory), bug }
    }
}

impl StorageBackend for PlantedTree {
    fn len(&self) -> std::io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, length: u64) -> std::io::Result<()> {
        self.inner.set_len(length)
    }

    fn sync_data(&self) -> std::io::Result<()> {
        if self.bug == Bug::SkipTreeSync { Ok(()) } else { self.inner.sync_data() }
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.inner.write(offset, data)
    }
}
