//! The header of a segment file.
//!
//! ```text
//! |magic u32|version u32|created u64|modified u64|write offset u64|entry count u64|
//! |flags u32|first LSN u64|marker u32|CRC-32C of bytes 0..56|padding u32|          = 64 bytes
//! ```

use unison_base::Lsn;
use unison_base::bytes::{put, u32_at, u64_at};
use unison_base::checksum::crc32c;

/// Bytes of the header; the first frame lies behind them.
pub const HEADER_BYTES: usize = 64;
/// The same as a place in a file.
pub const FIRST_FRAME: u64 = HEADER_BYTES as u64;
/// First four bytes of every segment.
pub const MAGIC: u32 = 0x5557_414C;
/// The format that this crate reads and writes.
pub const VERSION: u32 = 1;
/// The segment takes records.
pub const FLAG_ACTIVE: u32 = 8;
/// The segment takes no more records; what its header says was synced before the header was written.
pub const FLAG_SEALED: u32 = 2;
/// The segment was set aside because its records were never durable, or are not the leader's: it is
/// no part of the log's history.
pub const FLAG_DISCARDED: u32 = 16;
/// The marker that this crate writes; foreign segments may hold 0.
pub const MARKER: u32 = 1;
/// Fewest bytes a frame with a record can have; bounds how many records fit in a stretch of bytes.
pub const FRAME_BYTES_MIN: u64 = 24;
/// Offsets have 32 bits, ends included.
pub(crate) const USABLE_BYTES_MAX: u64 = u32::MAX as u64 & !7;

const CHECKSUM_AT: usize = 56;

/// What the header says. A hint: only the frames are the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// When the file was made, Unix nanoseconds.
    pub created_ns: u64,
    /// When the header was last written, Unix nanoseconds.
    pub modified_ns: u64,
    /// Where the next frame goes, bytes from the start of the file.
    pub write_offset: u64,
    /// How many records the segment holds.
    pub entry_count: u64,
    /// [`FLAG_ACTIVE`] or [`FLAG_SEALED`].
    pub flags: u32,
    /// LSN of the first record; `Lsn::ZERO` while there is none.
    pub first_lsn: Lsn,
    /// [`MARKER`], or 0 from a foreign writer.
    pub marker: u32,
}

/// Why 64 bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The file is too short for one.
    #[error("the file is shorter than a header")]
    Short,
    /// The magic number is another.
    #[error("the file does not begin as a segment")]
    Magic,
    /// The checksum does not match.
    #[error("the header's checksum is wrong")]
    Checksum,
    /// A sound header of a format this build does not know.
    #[error("the segment has format version {0}")]
    Version(u32),
}

impl SegmentHeader {
    /// The header of a segment that holds nothing yet.
    #[must_use]
    pub const fn empty(now_ns: u64) -> Self {
        Self {
            created_ns: now_ns,
            modified_ns: now_ns,
            write_offset: FIRST_FRAME,
            entry_count: 0,
            flags: FLAG_ACTIVE,
            first_lsn: Lsn::ZERO,
            marker: MARKER,
        }
    }

    /// The 64 bytes of this header.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let mut field = |offset, value: &[u8]| {
            let fits = put(&mut bytes, offset, value);
            debug_assert!(fits.is_some());
        };
        field(0, &MAGIC.to_le_bytes());
        field(4, &VERSION.to_le_bytes());
        field(8, &self.created_ns.to_le_bytes());
        field(16, &self.modified_ns.to_le_bytes());
        field(24, &self.write_offset.to_le_bytes());
        field(32, &self.entry_count.to_le_bytes());
        field(40, &self.flags.to_le_bytes());
        field(44, &self.first_lsn.0.to_le_bytes());
        field(52, &self.marker.to_le_bytes());
        let crc = crc32c(bytes.get(..CHECKSUM_AT).unwrap_or_default());
        let fits = put(&mut bytes, CHECKSUM_AT, &crc.to_le_bytes());
        debug_assert!(fits.is_some());
        bytes
    }

    /// Reads the header at the start of `bytes`.
    ///
    /// # Errors
    /// Says what is wrong. The checksum is checked before the version, so that a flipped bit is not
    /// taken for a newer format.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let bytes = bytes.get(..HEADER_BYTES).ok_or(HeaderError::Short)?;
        let word = |offset| u32_at(bytes, offset).ok_or(HeaderError::Short);
        let long = |offset| u64_at(bytes, offset).ok_or(HeaderError::Short);
        if word(0)? != MAGIC {
            return Err(HeaderError::Magic);
        }
        let covered = bytes.get(..CHECKSUM_AT).ok_or(HeaderError::Short)?;
        if crc32c(covered) != word(CHECKSUM_AT)? {
            return Err(HeaderError::Checksum);
        }
        if word(4)? != VERSION {
            return Err(HeaderError::Version(word(4)?));
        }
        Ok(Self {
            created_ns: long(8)?,
            modified_ns: long(16)?,
            write_offset: long(24)?,
            entry_count: long(32)?,
            flags: word(40)?,
            first_lsn: Lsn(long(44)?),
            marker: word(52)?,
        })
    }

    /// Whether the segment was finished.
    #[must_use]
    pub const fn is_sealed(&self) -> bool {
        self.flags & FLAG_SEALED != 0
    }

    /// Whether the segment was set aside, or was about to be, as no part of the log's history.
    #[must_use]
    pub const fn is_discarded(&self) -> bool {
        self.flags & FLAG_DISCARDED != 0
    }

    /// LSN of the last record that the header counts; `Lsn::ZERO` when it counts none.
    #[must_use]
    pub const fn last_lsn(&self) -> Lsn {
        if self.entry_count == 0 { Lsn::ZERO } else { self.first_lsn.plus(self.entry_count - 1) }
    }

    /// Whether the numbers can be true of a file of `size` bytes.
    #[must_use]
    pub const fn is_plausible(&self, size: u64) -> bool {
        let Some(bytes) = self.write_offset.checked_sub(FIRST_FRAME) else { return false };
        self.write_offset <= size
            && self.write_offset.is_multiple_of(8)
            && self.entry_count <= bytes / FRAME_BYTES_MIN
            && (self.entry_count == 0) == (bytes == 0)
            && (self.entry_count == 0 || self.first_lsn.0 != 0)
    }
}

#[cfg(test)]
mod tests;
