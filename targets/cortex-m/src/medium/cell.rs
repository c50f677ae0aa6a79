//! A few bytes that are replaced as a whole, whenever the power goes.
//!
//! ```text
//! |magic u32|CRC-32C of the rest u32|sequence u64|payload, 48 bytes|   at the start of a sector
//! ```

use super::device::{Device, SECTOR_BYTES};
use unison_base::bytes::{array_at, put, u32_at, u64_at};
use unison_base::checksum::crc32c;
use unison_ports::IoError;

/// Bytes of a cell on the device: two sectors.
pub(super) const CELL_BYTES: u64 = 2 * SECTOR_BYTES;
const MAGIC: u32 = 0x4C45_4355;
const BYTES: usize = 64;
const COVERED_FROM: usize = 8;
const SEQUENCE_AT: usize = 8;
const PAYLOAD_AT: usize = 16;

/// The newest state of a cell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    bytes: [u8; BYTES],
    /// Which of the two sectors holds it.
    pub(super) copy: u8,
}

/// What is where a cell should be.
pub(super) enum Found {
    Cell(Cell),
    /// Zeros, or what is left of the first write.
    Blank,
    Other,
}

impl Default for Cell {
    fn default() -> Self {
        Self { bytes: [0; BYTES], copy: 0 }
    }
}

impl Cell {
    pub(super) fn sequence(&self) -> u64 {
        u64_at(&self.bytes, SEQUENCE_AT).unwrap_or_default()
    }

    /// The `index`-th number of the payload.
    pub(super) fn number(&self, index: usize) -> u64 {
        u64_at(&self.bytes, PAYLOAD_AT + 8 * index).unwrap_or_default()
    }

    pub(super) fn set_number(&mut self, index: usize, number: u64) {
        let fits = put(&mut self.bytes, PAYLOAD_AT + 8 * index, &number.to_le_bytes());
        debug_assert!(fits.is_some());
    }

    /// The payload's first bytes, as an identity.
    pub(super) fn identity(&self) -> [u8; 16] {
        array_at(&self.bytes, PAYLOAD_AT).unwrap_or_default()
    }

    pub(super) fn set_identity(&mut self, identity: [u8; 16]) {
        let fits = put(&mut self.bytes, PAYLOAD_AT, &identity);
        debug_assert!(fits.is_some());
    }

    fn decode(bytes: [u8; BYTES], copy: u8) -> Option<Self> {
        let sound = u32_at(&bytes, 0) == Some(MAGIC)
            && u32_at(&bytes, 4) == Some(crc32c(bytes.get(COVERED_FROM..)?));
        sound.then_some(Self { bytes, copy })
    }

    fn seal(&mut self, sequence: u64) -> Option<()> {
        put(&mut self.bytes, 0, &MAGIC.to_le_bytes())?;
        put(&mut self.bytes, SEQUENCE_AT, &sequence.to_le_bytes())?;
        let crc = crc32c(self.bytes.get(COVERED_FROM..)?);
        put(&mut self.bytes, 4, &crc.to_le_bytes())
    }
}

/// Reads both sectors and takes the newer sound one.
pub(super) fn read<D: Device>(device: &D, index: u64) -> Result<Found, IoError> {
    let (mut newest, mut blank, mut begun) = (None::<Cell>, false, true);
    for copy in 0..2 {
        let mut bytes = [0; BYTES];
        device.read(place(index, copy), &mut bytes)?;
        blank |= bytes.iter().all(|&byte| byte == 0);
        begun &= is_begun(&bytes);
        let cell = Cell::decode(bytes, copy);
        if let Some(cell) =
            cell.filter(|cell| newest.is_none_or(|n| n.sequence() < cell.sequence()))
        {
            newest = Some(cell);
        }
    }
    Ok(match newest {
        Some(cell) => Found::Cell(cell),
        None if blank && begun => Found::Blank,
        None => Found::Other,
    })
}

/// Whether the bytes are zeros, or the beginning of a cell with zeros behind it.
fn is_begun(bytes: &[u8; BYTES]) -> bool {
    let magic = MAGIC.to_le_bytes();
    let same = magic.iter().zip(bytes).take_while(|(magic, byte)| magic == byte).count();
    let rest = bytes.get(same..).unwrap_or_default();
    same == magic.len() || rest.iter().all(|&byte| byte == 0)
}

/// Writes the cell to the sector that does not hold the newest state, and syncs.
pub(super) fn write<D: Device>(
    device: &D,
    index: u64,
    sequence: u64,
    cell: &mut Cell,
) -> Result<(), IoError> {
    let sealed = cell.seal(sequence);
    debug_assert!(sealed.is_some());
    cell.copy ^= 1;
    device.write(place(index, cell.copy), &cell.bytes)?;
    device.sync()
}

const fn place(index: u64, copy: u8) -> u64 {
    index * CELL_BYTES + copy as u64 * SECTOR_BYTES
}
