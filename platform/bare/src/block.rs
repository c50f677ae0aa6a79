//! What a board's disk is to this crate.

use unison_ports::IoError;

/// Bytes of a sector, the unit of every transfer.
pub const SECTOR_BYTES: usize = 512;

/// A disk of sectors. Calls block until the device has answered.
///
/// Of a write that no [`flush`](Self::flush) followed, any sectors may be there after a power cut,
/// in any order; a sector is never torn.
pub trait BlockDevice: Send + Sync + 'static {
    /// How many sectors it has.
    fn sectors(&self) -> u64;

    /// Reads whole sectors from `sector` on; `buffer` is a multiple of [`SECTOR_BYTES`].
    ///
    /// # Errors
    /// [`IoError::OutOfBounds`] past the end; a device error otherwise.
    fn read(&self, sector: u64, buffer: &mut [u8]) -> Result<(), IoError>;

    /// Writes whole sectors from `sector` on; `bytes` is a multiple of [`SECTOR_BYTES`].
    ///
    /// # Errors
    /// [`IoError::OutOfBounds`] past the end, [`IoError::ReadOnly`]; a device error otherwise, and
    /// then any of the sectors may have been written.
    fn write(&self, sector: u64, bytes: &[u8]) -> Result<(), IoError>;

    /// Makes every write that returned durable.
    ///
    /// # Errors
    /// A device error; nothing is known about unflushed writes then.
    fn flush(&self) -> Result<(), IoError>;
}
