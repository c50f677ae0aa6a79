//! A medium for segments, without a heap.
//!
//! ```text
//! |superblock|identity of volume 0, 1|a cell for each slot ...| slot 0 | slot 1 | ...
//! '--------- cells: two sectors each, written in turns ------'  '- slot_bytes each -'
//! ```
//!
//! A slot holds one segment of one volume. What it is stands in its cell; a cell is written to
//! whichever of its two sectors does not hold the newest state, so a torn write leaves the old one.
//! Segments are zeroed and synced before their cell names them.
//!
//! # What the device has to be
//! Bytes that can be written again in place, and a sync behind which they stay: FRAM, MRAM, or flash
//! behind a controller (SD, eMMC, or a translation layer). A write that was not synced may be there in
//! part, sector by sector, in any order. Raw NOR flash is none: its bits are only cleared in place, a
//! whole sector at a time is set, and WALFS writes frames over the zeros that end the write before and
//! headers over older ones. There a translation layer has to come in between.

mod cell;
mod device;
mod segment;
mod state;
mod store;

pub use device::{Device, SECTOR_BYTES};
pub use segment::Segment;
pub use store::Store;

use cell::{CELL_BYTES, Cell, Found};
use spin::Mutex;
use state::{Name, Slot, State};
use unison_ports::IoError;

/// Volumes of a medium, one namespace each.
pub const VOLUMES: usize = 2;
/// Cells before those of the slots.
const CELLS_BEFORE: u64 = 1 + VOLUMES as u64;

/// Why a device was not mounted. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MountError {
    /// The device failed.
    #[error("the device failed: {0}")]
    Io(#[from] IoError),
    /// It holds something else.
    #[error("the device holds something else")]
    Foreign,
    /// It was made with slots of another size.
    #[error("the medium has slots of {found} bytes")]
    SlotBytes {
        /// Size of its slots.
        found: u64,
    },
    /// It has no room for a single slot.
    #[error("the device is too small")]
    TooSmall,
}

/// At most `SLOTS` segments on a device.
#[derive(Debug)]
pub struct Medium<D, const SLOTS: usize> {
    device: D,
    slot_bytes: u64,
    state: Mutex<State<SLOTS>>,
}

impl<D: Device, const SLOTS: usize> Medium<D, SLOTS> {
    /// Opens the medium on `device`, whose slots hold `slot_bytes` each. A device of zeros becomes one.
    ///
    /// # Errors
    /// See [`MountError`].
    pub fn mount(device: D, slot_bytes: u64) -> Result<Self, MountError> {
        let cells = (CELLS_BEFORE + SLOTS as u64) * CELL_BYTES;
        let slots = device.bytes().saturating_sub(cells) / slot_bytes.max(1);
        let slots = usize::try_from(slots).unwrap_or(SLOTS).min(SLOTS);
        if slots == 0 {
            return Err(MountError::TooSmall);
        }
        let mut state = State::default();
        match cell::read(&device, 0)? {
            Found::Cell(cell) if cell.number(0) == slot_bytes => state.saw(&cell),
            Found::Cell(cell) => return Err(MountError::SlotBytes { found: cell.number(0) }),
            Found::Blank => {
                let mut cell = Cell::default();
                cell.set_number(0, slot_bytes);
                state.write(&device, 0, &mut cell)?;
            }
            Found::Other => return Err(MountError::Foreign),
        }
        for index in 0..slots as u64 {
            let slot = match cell::read(&device, CELLS_BEFORE + index)? {
                Found::Cell(cell) => {
                    state.saw(&cell);
                    Slot::decode(&cell, slot_bytes)
                }
                // Both copies torn or rotten: what was there is not known any more.
                Found::Blank | Found::Other => Slot::default(),
            };
            state.add(slot);
        }
        Ok(Self { device, slot_bytes, state: Mutex::new(state) })
    }

    /// The segments of one volume.
    ///
    /// `None` from [`VOLUMES`] on.
    #[must_use]
    pub fn volume(&'static self, volume: usize) -> Option<Store<D, SLOTS>> {
        (volume < VOLUMES).then(|| Store::new(self, volume))
    }

    /// Slots that hold nothing.
    #[must_use]
    pub fn free_slots(&self) -> usize {
        self.state.lock().slots().iter().filter(|slot| slot.is_free()).count()
    }

    /// The device beneath.
    pub const fn device(&self) -> &D {
        &self.device
    }

    const fn cell_of(slot: usize) -> u64 {
        CELLS_BEFORE + slot as u64
    }

    const fn start_of(&self, slot: usize) -> u64 {
        (CELLS_BEFORE + SLOTS as u64) * CELL_BYTES + slot as u64 * self.slot_bytes
    }

    /// Writes what a slot is now; durable when it returns.
    fn describe(
        &self,
        state: &mut State<SLOTS>,
        at: usize,
        name: Option<Name>,
        size: u64,
    ) -> Result<(), IoError> {
        let mut cell = Slot::encode(name, size);
        cell.copy = state.slots().get(at).map_or(0, |slot| slot.copy);
        state.write(&self.device, Self::cell_of(at), &mut cell)?;
        state.describe(at, name, size, &cell);
        Ok(())
    }
}
