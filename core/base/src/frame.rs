//! The frame: how one record lies in a segment and on the wire.
//!
//! ```text
//! | CRC-32C u32 | length N u32 | payload, N bytes | DE AD BE EF FE ED FA CE | zeros to 8 |
//!               '---- covered by the CRC --------'
//! ```

use crate::bytes::{array_at, put, u16_at, u32_at, u64_at};
use crate::checksum::crc32c;
use crate::ids::Lsn;

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 8;
/// The bytes behind the payload, in this order.
pub const TRAILER: [u8; 8] = [0xDE, 0xAD, 0xBE, 0xEF, 0xFE, 0xED, 0xFA, 0xCE];
/// Bytes of a frame that are not payload or padding.
pub const OVERHEAD_BYTES: usize = HEADER_BYTES + TRAILER.len();
/// Every frame starts and ends on a multiple of this.
pub const ALIGNMENT: usize = 8;
/// Zero bytes that end every write, so that nothing stale can follow the newest frame.
pub const TERMINATOR_BYTES: usize = 16;
const CRC_BYTES: usize = 4;

/// Bytes that a frame with a payload of `payload_bytes` takes, padding included; `None` when no
/// segment could ever hold it.
#[must_use]
pub const fn frame_bytes(payload_bytes: usize) -> Option<usize> {
    if payload_bytes > u32::MAX as usize - 64 {
        return None;
    }
    Some((payload_bytes + OVERHEAD_BYTES).next_multiple_of(ALIGNMENT))
}

/// What is wrong with bytes that should be a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Zeros where a frame would start: the end of what was written.
    #[error("no frame here, the log ends")]
    End,
    /// The frame would reach past the bytes at hand.
    #[error("the frame is longer than what is there")]
    Cut,
    /// The trailer bytes are others.
    #[error("the frame's trailer is wrong")]
    Trailer,
    /// The checksum does not match.
    #[error("the frame's checksum is wrong")]
    Checksum,
    /// Padding behind the trailer is not zero.
    #[error("the frame's padding is not zero")]
    Padding,
    /// The payload holds no LSN, so it is no record.
    #[error("the frame's payload is no record")]
    NoRecord,
}

/// One checked frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The record.
    pub payload: &'a [u8],
    /// CRC-32C as stored; part of a cursor.
    pub crc: u32,
    /// Bytes from this frame's start to the next one's.
    pub frame_bytes: usize,
    /// LSN that the record carries.
    pub lsn: Lsn,
}

/// Writes the frame of `payload` to the start of `target`, padding included.
///
/// Returns the bytes written, or `None` when `target` is too small.
#[must_use]
pub fn write_frame(payload: &[u8], target: &mut [u8]) -> Option<usize> {
    let total = frame_bytes(payload.len())?;
    let target = target.get_mut(..total)?;
    let length = u32::try_from(payload.len()).ok()?;
    put(target, CRC_BYTES, &length.to_le_bytes())?;
    put(target, HEADER_BYTES, payload)?;
    let end = HEADER_BYTES + payload.len();
    let crc = crc32c(target.get(CRC_BYTES..end)?);
    put(target, 0, &crc.to_le_bytes())?;
    put(target, end, &TRAILER)?;
    target.get_mut(end + TRAILER.len()..)?.fill(0);
    Some(total)
}

/// Length of the payload of the frame that starts `bytes`, not yet checked; `None` when fewer than
/// eight bytes are there.
#[must_use]
pub fn peek_payload_bytes(bytes: &[u8]) -> Option<u32> {
    u32_at(bytes, CRC_BYTES)
}

/// Checks and opens the frame at the start of `bytes`.
///
/// # Errors
/// Says which check failed. `bytes` may be longer than the frame.
pub fn read_frame(bytes: &[u8]) -> Result<Frame<'_>, FrameError> {
    let crc = u32_at(bytes, 0).ok_or(FrameError::Cut)?;
    let length = u32_at(bytes, CRC_BYTES).ok_or(FrameError::Cut)?;
    if crc == 0 && length == 0 {
        return Err(FrameError::End);
    }
    let length = usize::try_from(length).map_err(|_| FrameError::Cut)?;
    let frame_bytes = frame_bytes(length).ok_or(FrameError::Cut)?;
    let frame = bytes.get(..frame_bytes).ok_or(FrameError::Cut)?;
    let end = HEADER_BYTES + length;
    if array_at(frame, end) != Some(TRAILER) {
        return Err(FrameError::Trailer);
    }
    let covered = frame.get(CRC_BYTES..end).ok_or(FrameError::Cut)?;
    if crc32c(covered) != crc {
        return Err(FrameError::Checksum);
    }
    let padding = frame.get(end + TRAILER.len()..).ok_or(FrameError::Cut)?;
    if padding.iter().any(|&byte| byte != 0) {
        return Err(FrameError::Padding);
    }
    let payload = frame.get(HEADER_BYTES..end).ok_or(FrameError::Cut)?;
    let lsn = payload_lsn(payload).ok_or(FrameError::NoRecord)?;
    Ok(Frame { payload, crc, frame_bytes, lsn })
}

/// LSN of a record: field 0 of its FlatBuffers root table. Reads nothing else.
#[must_use]
pub fn payload_lsn(payload: &[u8]) -> Option<Lsn> {
    let lsn = root_u64(payload, 0)?;
    (lsn != 0).then_some(Lsn(lsn))
}

/// A `u64` field of the root table of a FlatBuffer; 0 when the table leaves it out, `None` when the
/// buffer is none.
#[must_use]
pub fn root_u64(payload: &[u8], field: usize) -> Option<u64> {
    let table = usize::try_from(u32_at(payload, 0)?).ok()?;
    let to_vtable = i32::from_le_bytes(array_at(payload, table)?);
    let vtable = i64::try_from(table).ok()?.checked_sub(i64::from(to_vtable))?;
    let vtable = usize::try_from(vtable).ok()?;
    let vtable_bytes = usize::from(u16_at(payload, vtable)?);
    let slot = 4 + 2 * field;
    if slot + 2 > vtable_bytes {
        return Some(0);
    }
    match usize::from(u16_at(payload, vtable.checked_add(slot)?)?) {
        0 => Some(0),
        in_table => u64_at(payload, table.checked_add(in_table)?),
    }
}

/// Checked frames that lie one behind the other, each with its offset from the first byte.
///
/// Ends at the end of the bytes or at zeros; after an error it yields nothing more.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    bytes: &'a [u8],
    offset: usize,
    failed: bool,
}

impl<'a> Frames<'a> {
    /// Frames of `bytes`, whose first one starts at its first byte.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0, failed: false }
    }

    /// Bytes of all frames yielded so far.
    #[must_use]
    pub const fn consumed(&self) -> usize {
        self.offset
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<(usize, Frame<'a>), FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.offset..).filter(|rest| !rest.is_empty() && !self.failed)?;
        match read_frame(rest) {
            Ok(frame) => {
                let at = self.offset;
                self.offset = at.saturating_add(frame.frame_bytes);
                Some(Ok((at, frame)))
            }
            Err(FrameError::End) => None,
            Err(error) => {
                self.failed = true;
                Some(Err(error))
            }
        }
    }
}

#[cfg(test)]
mod tests;
