//! What a board gives.

use core::fmt::Debug;
use unison_ports::IoError;

/// Bytes that a device may write as a whole, or in part when the power goes.
pub const SECTOR_BYTES: u64 = 512;

/// Bytes that can be written again in place and made durable. Assumptions A1 to A4 of
/// [`unison_ports`] hold for it.
pub trait Device: Send + Sync + Debug + 'static {
    /// How many bytes it has.
    fn bytes(&self) -> u64;

    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    /// [`IoError::OutOfBounds`] past the end; a device error otherwise.
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), IoError>;

    /// Writes `bytes` at `offset`; not durable before [`sync`](Self::sync).
    ///
    /// # Errors
    /// [`IoError::OutOfBounds`] past the end; a device error otherwise.
    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), IoError>;

    /// Makes every write that returned before durable.
    ///
    /// # Errors
    /// A device error.
    fn sync(&self) -> Result<(), IoError>;
}
