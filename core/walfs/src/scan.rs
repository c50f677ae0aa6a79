//! Frames of one segment, checked one by one, in memory that the caller gives.

use crate::layout::{FIRST_FRAME, FRAME_BYTES_MIN};
use crate::window::{CHUNK_BYTES, Scratch, Window};
use unison_base::Lsn;
use unison_base::bytes::u32_at;
use unison_base::frame::{self, FrameError, HEADER_BYTES, TRAILER};
use unison_ports::SegmentFile;

pub use crate::window::ScanError;

/// Field of a record that holds its leader's durable LSN plus one; 0 or absent says nothing.
pub const DURABLE_FIELD: usize = 9;

/// Why a scan went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Zeros where a frame would start.
    End,
    /// No frame fits in what is left of the segment.
    Full,
    /// Bytes that are no sound frame.
    Bad(FrameError),
    /// A sound frame whose LSN is not the next one.
    Order {
        /// The LSN it carries.
        found: Lsn,
    },
}

/// A sound frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scanned<'b> {
    /// Bytes from the start of the segment.
    pub offset: u64,
    /// LSN of the record.
    pub lsn: Lsn,
    /// CRC-32C as stored.
    pub crc: u32,
    /// The record.
    pub payload: &'b [u8],
}

/// What is known of a frame once its bytes are let go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) lsn: Lsn,
    pub(crate) frame_bytes: usize,
    pub(crate) durable: u64,
}

/// Forward scan of a segment's frames.
///
/// ```
/// # use unison_walfs::scan::SegmentScan;
/// # fn print(file: &impl unison_ports::SegmentFile) -> Result<(), unison_walfs::scan::ScanError> {
/// let mut buffer = [0; 4096];
/// let mut scan = SegmentScan::new(file, &mut buffer);
/// while let Some(frame) = scan.advance()? {
///     let _ = (frame.offset, frame.lsn, frame.payload);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct SegmentScan<'a, F> {
    pub(crate) window: Window<'a, F>,
    offset: u64,
    next: Option<Lsn>,
    stop: Option<Stop>,
}

impl<'a, F: SegmentFile> SegmentScan<'a, F> {
    /// A scan from the first frame. Where the medium is not mapped, `buffer` holds what is read, so
    /// it must be as large as the largest frame.
    pub const fn new(file: &'a F, buffer: &'a mut [u8]) -> Self {
        Self::with_scratch(file, Scratch::Borrowed(buffer))
    }

    /// A scan in a buffer of its own, which grows to the largest frame.
    #[cfg(feature = "alloc")]
    pub const fn buffered(file: &'a F) -> Self {
        Self::with_scratch(file, Scratch::Owned(alloc::vec::Vec::new()))
    }

    const fn with_scratch(file: &'a F, scratch: Scratch<'a>) -> Self {
        Self { window: Window::new(file, scratch), offset: FIRST_FRAME, next: None, stop: None }
    }

    /// Bytes from the start of the segment to behind the last frame that was yielded.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Why the scan ended; `None` while it has not.
    #[must_use]
    pub const fn stopped(&self) -> Option<Stop> {
        self.stop
    }

    /// The next sound frame with the next dense LSN, or `None` where the scan [stops](Self::stopped).
    ///
    /// # Errors
    /// The medium fails, or a frame does not fit the caller's buffer.
    pub fn advance(&mut self) -> Result<Option<Scanned<'_>>, ScanError> {
        let offset = self.offset;
        let Some(facts) = self.step()? else { return Ok(None) };
        let bytes = self.window.fetch(offset, facts.frame_bytes)?;
        let payload_bytes =
            frame::peek_payload_bytes(bytes).and_then(|length| usize::try_from(length).ok());
        let payload = bytes.get(HEADER_BYTES..).unwrap_or_default();
        let payload = payload.get(..payload_bytes.unwrap_or_default()).unwrap_or_default();
        let crc = u32_at(bytes, 0).unwrap_or_default();
        Ok(Some(Scanned { offset, lsn: facts.lsn, crc, payload }))
    }

    /// As [`advance`](Self::advance), without the bytes.
    pub(crate) fn step(&mut self) -> Result<Option<Facts>, ScanError> {
        if self.stop.is_some() {
            return Ok(None);
        }
        match self.probe(self.offset)? {
            Ok(facts) if self.next.is_none_or(|next| facts.lsn == next) => {
                self.offset = self.offset.saturating_add(facts.frame_bytes as u64);
                self.next = Some(facts.lsn.next());
                Ok(Some(facts))
            }
            Ok(facts) => {
                self.stop = Some(Stop::Order { found: facts.lsn });
                Ok(None)
            }
            Err(stop) => {
                self.stop = Some(stop);
                Ok(None)
            }
        }
    }

    /// Goes on at `offset` with whatever LSN is found there.
    pub(crate) const fn restart(&mut self, offset: u64) {
        (self.offset, self.next, self.stop) = (offset, None, None);
    }

    /// Checks the bytes at `offset`. The trailer is looked at before the rest of the frame is read.
    pub(crate) fn probe(&mut self, offset: u64) -> Result<Result<Facts, Stop>, ScanError> {
        let left = self.window.size().saturating_sub(offset);
        if left < FRAME_BYTES_MIN {
            return Ok(Err(Stop::Full));
        }
        let head = self.window.fetch(offset, HEADER_BYTES)?;
        if head.iter().all(|&byte| byte == 0) {
            return Ok(Err(Stop::End));
        }
        let Some((payload_bytes, frame_bytes)) = lengths(head, left) else {
            return Ok(Err(Stop::Bad(FrameError::Cut)));
        };
        let trailer_at = offset.saturating_add((HEADER_BYTES + payload_bytes) as u64);
        if self.window.peek(trailer_at)? != TRAILER {
            return Ok(Err(Stop::Bad(FrameError::Trailer)));
        }
        let bytes = match self.window.fetch(offset, frame_bytes) {
            Err(ScanError::Buffer { needed }) => {
                return self.too_large(offset, payload_bytes, needed);
            }
            bytes => bytes?,
        };
        Ok(frame::read_frame(bytes).map_err(Stop::Bad).map(|frame| Facts {
            lsn: frame.lsn,
            frame_bytes: frame.frame_bytes,
            durable: frame::root_u64(frame.payload, DURABLE_FIELD).unwrap_or_default(),
        }))
    }

    /// A frame above the caller's buffer is an error only if it is one: a length that rotted is not.
    fn too_large(
        &mut self,
        offset: u64,
        payload_bytes: usize,
        needed: usize,
    ) -> Result<Result<Facts, Stop>, ScanError> {
        let stored = u32_at(&self.window.peek(offset)?, 0);
        let covered = offset.saturating_add(4);
        let crc = self.window.crc32c(covered, covered.saturating_add(4 + payload_bytes as u64))?;
        if stored == Some(crc) {
            return Err(ScanError::Buffer { needed });
        }
        Ok(Err(Stop::Bad(FrameError::Checksum)))
    }

    /// Where the frame at `offset` ends, if its length and trailer are sound though it may not be.
    pub(crate) fn sound_end(&mut self, offset: u64) -> Result<Option<u64>, ScanError> {
        let left = self.window.size().saturating_sub(offset);
        if left < FRAME_BYTES_MIN {
            return Ok(None);
        }
        let head = self.window.fetch(offset, HEADER_BYTES)?;
        let Some((payload_bytes, frame_bytes)) = lengths(head, left) else { return Ok(None) };
        let trailer =
            self.window.peek(offset.saturating_add((HEADER_BYTES + payload_bytes) as u64))?;
        Ok((trailer == TRAILER).then(|| offset.saturating_add(frame_bytes as u64)))
    }

    /// The next multiple of eight from `offset` on whose bytes could start a frame, by length and
    /// trailer, and the length of that frame. Moves `dirty` behind the last byte seen that is not zero.
    pub(crate) fn candidate(
        &mut self,
        mut offset: u64,
        dirty: &mut u64,
    ) -> Result<Option<(u64, u64)>, ScanError> {
        while offset < self.window.size() {
            let left = self.window.size().saturating_sub(offset);
            let bytes = self.window.chunk(offset)?;
            let (passed, found) = first_head(bytes, offset, left, dirty);
            offset = offset.saturating_add(passed);
            if !found {
                continue;
            }
            if let Some(end) = self.sound_end(offset)? {
                return Ok(Some((offset, end.saturating_sub(offset))));
            }
            offset = offset.saturating_add(8);
        }
        Ok(None)
    }
}

/// Payload and frame length that `head` announces, when the frame fits in `left` bytes.
fn lengths(head: &[u8], left: u64) -> Option<(usize, usize)> {
    let payload_bytes = usize::try_from(frame::peek_payload_bytes(head)?).ok()?;
    let frame_bytes = frame::frame_bytes(payload_bytes)?;
    let fits = frame_bytes as u64 <= left && frame_bytes as u64 >= FRAME_BYTES_MIN;
    fits.then_some((payload_bytes, frame_bytes))
}

/// Zeros are passed over in blocks of this size.
const BLOCK_BYTES: usize = 256;
static ZERO_BLOCK: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];

/// Bytes to pass over, and whether what follows them looks like the head of a frame.
fn first_head(bytes: &[u8], offset: u64, left: u64, dirty: &mut u64) -> (u64, bool) {
    let mut passed = 0;
    for block in bytes.chunks(BLOCK_BYTES) {
        if ZERO_BLOCK.get(..block.len()) == Some(block) {
            passed += block.len() as u64;
            continue;
        }
        for word in block.chunks(8) {
            if word.iter().any(|&byte| byte != 0) {
                *dirty = (*dirty).max(offset.saturating_add(passed + word.len() as u64));
                if word.len() == 8 && lengths(word, left.saturating_sub(passed)).is_some() {
                    return (passed, true);
                }
            }
            passed += word.len() as u64;
        }
    }
    (passed, false)
}

const _: () = assert!(CHUNK_BYTES.is_multiple_of(8));
