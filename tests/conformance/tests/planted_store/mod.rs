//! A store that breaks its contract in one chosen way.

use std::sync::atomic::{AtomicBool, Ordering};
use unison_base::{LogId, SegmentId};
use unison_ports::{IoError, SegmentEntry, SegmentFile, SegmentKind, SegmentStore};
use unison_sim::disk::{SimSegment, SimStore};

macro_rules! bugs {
    ($($(#[$doc:meta])+ $name:ident),+ $(,)?) => {
        /// What is wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Bug { $($(#[$doc])+ $name),+ }

        impl Bug {
            pub(crate) const ALL: &[Self] = &[$(Self::$name),+];
        }
    };
}

bugs! {
    /// Nothing.
    None,
    /// A new segment holds a byte of an older one.
    CreateIsNotZero,
    /// A new segment is a sector short.
    CreateIsSmaller,
    /// A segment with bytes is made again.
    CreateReplaces,
    /// What a cut-off creation left is in the way for ever.
    CreateKeepsLeftover,
    /// A creation without room leaves an empty file.
    CreateLeavesTrace,
    /// Nothing is removed.
    RemoveDoesNothing,
    /// What is not there is removed all the same.
    RemoveNeverMisses,
    /// Handles die with the name.
    RemoveTakesHandles,
    /// The last byte is not written.
    WriteIsShort,
    /// The byte behind the range is zeroed.
    WriteTouchesNeighbour,
    /// What does not fit is left out.
    WriteClips,
    /// Writes to values and evidence disappear.
    WritePretends,
    /// No sync.
    SyncDoesNothing,
    /// Only the first sync of a handle does anything.
    SyncOnce,
    /// Names are not made durable.
    DirectoryIsNotSynced,
    /// A segment that has the new role already is lost.
    SetKindReplaces,
    /// What is not there gets a new role all the same.
    SetKindNeverMisses,
    /// The identity is not stored.
    IdentityForgotten,
    /// Segments set aside are not listed.
    ListForgetsAside,
    /// Segments are listed twice.
    ListTwice,
    /// What is not there is made.
    OpenMakes,
    /// Any role will do.
    OpenIgnoresRole,
    /// Bytes past the end are zeros.
    ReadPastEnd,
    /// Views show zeros.
    ViewIsBlind,
    /// A view past the end is empty.
    ViewPastEnd,
    /// What is released is gone.
    ReleaseForgets,
}

#[derive(Debug)]
pub(crate) struct PlantedStore {
    pub(crate) inner: SimStore,
    pub(crate) bug: Bug,
}

#[derive(Debug)]
pub(crate) struct Planted {
    inner: SimSegment,
    bug: Bug,
    id: SegmentId,
    kind: SegmentKind,
    store: SimStore,
    synced: AtomicBool,
}

impl PlantedStore {
    fn file(&self, inner: SimSegment, id: SegmentId, kind: SegmentKind) -> Planted {
        let (store, synced) = (self.inner.clone(), AtomicBool::new(false));
        Planted { inner, bug: self.bug, id, kind, store, synced }
    }

    fn make(&self, id: SegmentId, size: u64) -> Result<SimSegment, IoError> {
        let there = self.inner.open(id, SegmentKind::Log).is_ok();
        match (self.bug, self.inner.create(id, size)) {
            (Bug::CreateKeepsLeftover, Ok(_)) if there => Err(IoError::Exists),
            (Bug::CreateReplaces, Err(IoError::Exists)) => {
                self.inner.remove(id, SegmentKind::Log)?;
                self.inner.create(id, size)
            }
            (Bug::CreateLeavesTrace, Err(IoError::NoSpace)) => {
                self.inner.create(id, 0).and(Err(IoError::NoSpace))
            }
            (Bug::CreateIsNotZero, Ok(file)) => file.write_at(size / 2, &[1]).map(|()| file),
            (_, made) => made,
        }
    }
}

/// `NotFound` as success where the bug says so.
fn forgiving(result: Result<(), IoError>, forgive: bool) -> Result<(), IoError> {
    if forgive && result == Err(IoError::NotFound) { Ok(()) } else { result }
}

impl SegmentStore for PlantedStore {
    type File = Planted;

    fn list(&self, visit: &mut dyn FnMut(SegmentEntry)) -> Result<(), IoError> {
        self.inner.list(&mut |entry| {
            let hidden = self.bug == Bug::ListForgetsAside && entry.kind == SegmentKind::Aside;
            let times = if hidden { 0 } else { 1 + usize::from(self.bug == Bug::ListTwice) };
            (0..times).for_each(|_| visit(entry));
        })
    }

    fn create(&self, id: SegmentId, size: u64) -> Result<Planted, IoError> {
        let missing = if self.bug == Bug::CreateIsSmaller { 512 } else { 0 };
        let inner = self.make(id, size - missing)?;
        Ok(self.file(inner, id, SegmentKind::Log))
    }

    fn open(&self, id: SegmentId, kind: SegmentKind) -> Result<Planted, IoError> {
        let any = [SegmentKind::Log, SegmentKind::Values, SegmentKind::Aside];
        let inner = match (self.bug, self.inner.open(id, kind)) {
            (Bug::OpenMakes, Err(IoError::NotFound)) => self.inner.create(id, 512),
            (Bug::OpenIgnoresRole, Err(error)) => {
                any.iter().find_map(|&kind| self.inner.open(id, kind).ok()).ok_or(error)
            }
            (_, opened) => opened,
        };
        Ok(self.file(inner?, id, kind))
    }

    fn remove(&self, id: SegmentId, kind: SegmentKind) -> Result<(), IoError> {
        if self.bug == Bug::RemoveDoesNothing {
            return self.inner.open(id, kind).map(drop);
        }
        forgiving(self.inner.remove(id, kind), self.bug == Bug::RemoveNeverMisses)
    }

    fn set_kind(&self, id: SegmentId, from: SegmentKind, to: SegmentKind) -> Result<(), IoError> {
        if self.bug == Bug::SetKindReplaces && from != to && self.inner.open(id, to).is_ok() {
            self.inner.remove(id, from)?;
            return Ok(());
        }
        let forgive = self.bug == Bug::SetKindNeverMisses;
        forgiving(self.inner.set_kind(id, from, to), forgive)
    }

    fn log_id(&self) -> Result<Option<LogId>, IoError> {
        self.inner.log_id()
    }

    fn set_log_id(&self, id: LogId) -> Result<(), IoError> {
        if self.bug == Bug::IdentityForgotten { Ok(()) } else { self.inner.set_log_id(id) }
    }
}

impl SegmentFile for Planted {
    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), IoError> {
        if self.bug == Bug::RemoveTakesHandles {
            self.store.open(self.id, self.kind)?;
        }
        match self.inner.read_at(offset, buffer) {
            Err(IoError::OutOfBounds) if self.bug == Bug::ReadPastEnd => {
                buffer.fill(0);
                Ok(())
            }
            result => result,
        }
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), IoError> {
        let end = offset.saturating_add(bytes.len() as u64);
        match self.bug {
            Bug::WriteIsShort => {
                self.inner.write_at(offset, &bytes[..bytes.len().saturating_sub(1)])
            }
            Bug::WriteTouchesNeighbour if end < self.size() && !bytes.is_empty() => {
                self.inner.write_at(offset, &[bytes, &[0]].concat())
            }
            Bug::WriteClips if end > self.size() && offset <= self.size() => {
                let room = usize::try_from(self.size() - offset).unwrap();
                self.inner.write_at(offset, &bytes[..room])
            }
            Bug::WritePretends => match self.inner.write_at(offset, bytes) {
                Err(IoError::ReadOnly) => Ok(()),
                result => result,
            },
            _ => self.inner.write_at(offset, bytes),
        }
    }

    fn sync(&self) -> Result<(), IoError> {
        let again = self.synced.swap(true, Ordering::Relaxed);
        match self.bug {
            Bug::SyncDoesNothing => Ok(()),
            Bug::SyncOnce if again => Ok(()),
            _ => self.inner.sync(),
        }
    }

    fn view(&self, offset: u64, length: usize) -> Option<&[u8]> {
        static ZEROS: [u8; 100_000] = [0; 100_000];
        match self.bug {
            Bug::ViewIsBlind => self.inner.view(offset, length).map(|view| &ZEROS[..view.len()]),
            Bug::ViewPastEnd => self.inner.view(offset, length).or(Some(&[])),
            _ => self.inner.view(offset, length),
        }
    }

    fn release(&self, offset: u64, length: u64) {
        if self.bug == Bug::ReleaseForgets && offset.saturating_add(length) <= self.size() {
            let zeros = vec![0; usize::try_from(length).unwrap()];
            // A segment that is not of the log keeps what it has.
            let _ = self.inner.write_at(offset, &zeros);
        }
        self.inner.release(offset, length);
    }
}
