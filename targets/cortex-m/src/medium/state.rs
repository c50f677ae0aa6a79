//! What the slots are, in memory.

use super::cell::{self, Cell};
use super::device::Device;
use heapless::Vec;
use unison_base::SegmentId;
use unison_ports::{IoError, SegmentKind};

/// What a slot is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) volume: usize,
    pub(super) kind: SegmentKind,
    pub(super) id: SegmentId,
}

/// One slot.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slot {
    pub(super) name: Option<Name>,
    pub(super) size: u64,
    /// When the name was given; of two with one name the newer answers.
    pub(super) sequence: u64,
    pub(super) copy: u8,
    /// Open handles, which keep the bytes readable after the slot lost its name.
    pub(super) handles: u32,
}

impl Slot {
    pub(super) const fn is_free(&self) -> bool {
        self.name.is_none() && self.handles == 0
    }

    pub(super) fn encode(name: Option<Name>, size: u64) -> Cell {
        let mut cell = Cell::default();
        if let Some(name) = name {
            cell.set_number(0, code(name.kind));
            cell.set_number(1, name.volume as u64);
            cell.set_number(2, name.id.0.into());
            cell.set_number(3, size);
        }
        cell
    }

    pub(super) fn decode(cell: &Cell, slot_bytes: u64) -> Self {
        let name = || {
            let kind = kind(cell.number(0))?;
            let volume = usize::try_from(cell.number(1)).ok()?;
            let id = SegmentId(u32::try_from(cell.number(2)).ok()?);
            (cell.number(3) <= slot_bytes).then_some(Name { volume, kind, id })
        };
        let name = name();
        let size = if name.is_some() { cell.number(3) } else { 0 };
        Self { name, size, sequence: cell.sequence(), copy: cell.copy, handles: 0 }
    }
}

const fn code(kind: SegmentKind) -> u64 {
    match kind {
        SegmentKind::Log => 1,
        SegmentKind::Values => 2,
        SegmentKind::Aside => 3,
    }
}

const fn kind(code: u64) -> Option<SegmentKind> {
    match code {
        1 => Some(SegmentKind::Log),
        2 => Some(SegmentKind::Values),
        3 => Some(SegmentKind::Aside),
        _ => None,
    }
}

/// All slots.
#[derive(Debug, Default)]
pub(super) struct State<const SLOTS: usize> {
    slots: Vec<Slot, SLOTS>,
    /// The highest sequence in use.
    sequence: u64,
}

impl<const SLOTS: usize> State<SLOTS> {
    pub(super) fn saw(&mut self, cell: &Cell) {
        self.sequence = self.sequence.max(cell.sequence());
    }

    pub(super) fn add(&mut self, slot: Slot) {
        let fits = self.slots.push(slot);
        debug_assert!(fits.is_ok());
    }

    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    pub(super) fn slot_mut(&mut self, at: usize) -> Option<&mut Slot> {
        self.slots.get_mut(at)
    }

    pub(super) fn write<D: Device>(
        &mut self,
        device: &D,
        index: u64,
        cell: &mut Cell,
    ) -> Result<(), IoError> {
        self.sequence = self.sequence.saturating_add(1);
        cell::write(device, index, self.sequence, cell)
    }

    pub(super) fn describe(&mut self, at: usize, name: Option<Name>, size: u64, cell: &Cell) {
        if let Some(slot) = self.slots.get_mut(at) {
            (slot.name, slot.sequence, slot.copy) = (name, cell.sequence(), cell.copy);
            if name.is_some() {
                slot.size = size;
            }
        }
    }

    /// The newest slot of that name.
    pub(super) fn find(&self, name: Name) -> Option<usize> {
        let named = self.slots.iter().enumerate().filter(|(_, slot)| slot.name == Some(name));
        named.max_by_key(|(_, slot)| slot.sequence).map(|(at, _)| at)
    }

    pub(super) fn free(&self) -> Option<usize> {
        self.slots.iter().position(Slot::is_free)
    }
}
