//! The segments of one volume.

use super::Medium;
use super::cell::{self, Found};
use super::device::Device;
use super::segment::Segment;
use super::state::{Name, State};
use core::fmt::{Debug, Formatter};
use unison_base::{LogId, SegmentId};
use unison_ports::{IoError, SegmentEntry, SegmentFile, SegmentKind, SegmentStore};

/// Zeros are written, and looked for, in pieces of this size.
const PIECE_BYTES: usize = 256;

/// The segments of one volume of a medium.
pub struct Store<D: Device, const SLOTS: usize> {
    medium: &'static Medium<D, SLOTS>,
    volume: usize,
}

impl<D: Device, const SLOTS: usize> Store<D, SLOTS> {
    pub(super) const fn new(medium: &'static Medium<D, SLOTS>, volume: usize) -> Self {
        Self { medium, volume }
    }

    const fn name(&self, id: SegmentId, kind: SegmentKind) -> Name {
        Name { volume: self.volume, kind, id }
    }

    /// The cell of the volume's identity.
    const fn identity_cell(&self) -> u64 {
        1 + self.volume as u64
    }

    fn handle(
        &self,
        state: &mut State<SLOTS>,
        at: usize,
        writable: bool,
    ) -> Result<Segment<D, SLOTS>, IoError> {
        let slot = state.slot_mut(at).ok_or(IoError::NotFound)?;
        slot.handles = slot.handles.saturating_add(1);
        Ok(Segment { medium: self.medium, slot: at, size: slot.size, writable })
    }

    /// Whether a segment holds nothing but zeros, none at all included.
    fn is_leftover(&self, at: usize, size: u64) -> Result<bool, IoError> {
        let (mut offset, start) = (0, self.medium.start_of(at));
        while offset < size {
            let mut piece = [0; PIECE_BYTES];
            let length = usize::try_from(size - offset).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
            let bytes = piece.get_mut(..length).unwrap_or_default();
            self.medium.device.read(start + offset, bytes)?;
            if bytes.iter().any(|&byte| byte != 0) {
                return Ok(false);
            }
            offset += length as u64;
        }
        Ok(true)
    }

    fn clear(&self, at: usize, size: u64) -> Result<(), IoError> {
        let (mut offset, start) = (0, self.medium.start_of(at));
        while offset < size {
            let length = usize::try_from(size - offset).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
            let zeros = [0; PIECE_BYTES];
            let zeros = zeros.get(..length).unwrap_or_default();
            self.medium.device.write(start + offset, zeros)?;
            offset += length as u64;
        }
        self.medium.device.sync()
    }
}

impl<D: Device, const SLOTS: usize> SegmentStore for Store<D, SLOTS> {
    type File = Segment<D, SLOTS>;

    fn list(&self, visit: &mut dyn FnMut(SegmentEntry)) -> Result<(), IoError> {
        let state = self.medium.state.lock();
        for (at, slot) in state.slots().iter().enumerate() {
            let Some(name) = slot.name.filter(|name| name.volume == self.volume) else { continue };
            if state.find(name) == Some(at) {
                visit(SegmentEntry { id: name.id, kind: name.kind, size: slot.size });
            }
        }
        Ok(())
    }

    fn create(&self, id: SegmentId, size: u64) -> Result<Self::File, IoError> {
        let name = self.name(id, SegmentKind::Log);
        let mut state = self.medium.state.lock();
        if size > self.medium.slot_bytes {
            return Err(IoError::NoSpace);
        }
        if let Some(at) = state.find(name) {
            let held = state.slots().get(at).map_or(0, |slot| slot.size);
            if !self.is_leftover(at, held)? {
                return Err(IoError::Exists);
            }
            self.medium.describe(&mut state, at, None, 0)?;
        }
        let at = state.free().ok_or(IoError::NoSpace)?;
        self.clear(at, size)?;
        self.medium.describe(&mut state, at, Some(name), size)?;
        self.handle(&mut state, at, true)
    }

    fn open(&self, id: SegmentId, kind: SegmentKind) -> Result<Self::File, IoError> {
        let mut state = self.medium.state.lock();
        let at = state.find(self.name(id, kind)).ok_or(IoError::NotFound)?;
        self.handle(&mut state, at, kind == SegmentKind::Log)
    }

    fn remove(&self, id: SegmentId, kind: SegmentKind) -> Result<(), IoError> {
        let mut state = self.medium.state.lock();
        let at = state.find(self.name(id, kind)).ok_or(IoError::NotFound)?;
        self.medium.describe(&mut state, at, None, 0)
    }

    fn set_kind(&self, id: SegmentId, from: SegmentKind, to: SegmentKind) -> Result<(), IoError> {
        let mut state = self.medium.state.lock();
        let at = state.find(self.name(id, from)).ok_or(IoError::NotFound)?;
        if from == to {
            return Ok(());
        }
        let size = state.slots().get(at).map_or(0, |slot| slot.size);
        self.medium.describe(&mut state, at, Some(self.name(id, to)), size)
    }

    fn log_id(&self) -> Result<Option<LogId>, IoError> {
        let _alone = self.medium.state.lock();
        match cell::read(&self.medium.device, self.identity_cell())? {
            Found::Cell(cell) => Ok(Some(LogId(cell.identity()))),
            Found::Blank => Ok(None),
            Found::Other => Err(IoError::OutOfBounds),
        }
    }

    fn set_log_id(&self, id: LogId) -> Result<(), IoError> {
        let mut state = self.medium.state.lock();
        let mut cell = match cell::read(&self.medium.device, self.identity_cell())? {
            Found::Cell(cell) => cell,
            Found::Blank | Found::Other => cell::Cell::default(),
        };
        cell.set_identity(id.0);
        state.write(&self.medium.device, self.identity_cell(), &mut cell)
    }
}

impl<D: Device, const SLOTS: usize> Debug for Store<D, SLOTS> {
    fn fmt(&self, f: &mut Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Store").field("volume", &self.volume).finish_non_exhaustive()
    }
}

impl<D: Device, const SLOTS: usize> SegmentFile for Segment<D, SLOTS> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), IoError> {
        let at = self.place(offset, buffer.len())?;
        self.medium.device.read(at, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), IoError> {
        if !self.writable {
            return Err(IoError::ReadOnly);
        }
        let at = self.place(offset, bytes.len())?;
        self.medium.device.write(at, bytes)
    }

    fn sync(&self) -> Result<(), IoError> {
        self.medium.device.sync()
    }

    fn view(&self, _offset: u64, _length: usize) -> Option<&[u8]> {
        None
    }
}
