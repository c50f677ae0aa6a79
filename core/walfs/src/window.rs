//! Bytes of a segment: through its map where there is one, else by chunks in a bounded buffer.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;
use unison_base::checksum::Crc32c;
use unison_ports::{IoError, SegmentFile};

/// Bytes that one read asks for at least, when the buffer has room.
pub(crate) const CHUNK_BYTES: usize = 64 << 10;

/// Why a segment could not be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// The medium failed.
    #[error("the medium failed: {0}")]
    Io(#[from] IoError),
    /// The caller's buffer is smaller than a frame that has to be checked.
    #[error("a frame of {needed} bytes does not fit the buffer")]
    Buffer {
        /// Bytes that are needed.
        needed: usize,
    },
}

/// Where chunks are read to.
#[derive(Debug)]
pub(crate) enum Scratch<'a> {
    Borrowed(&'a mut [u8]),
    /// Grows to the largest frame, at most to the size of the segment.
    #[cfg(feature = "alloc")]
    Owned(Vec<u8>),
}

impl Scratch<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            #[cfg(feature = "alloc")]
            Self::Owned(bytes) => bytes,
        }
    }

    /// The largest chunk it can take.
    fn limit(&self) -> usize {
        match self {
            Self::Borrowed(bytes) => bytes.len().min(CHUNK_BYTES),
            #[cfg(feature = "alloc")]
            Self::Owned(_) => CHUNK_BYTES,
        }
    }

    /// Room for `length` bytes; more when that costs nothing or is a useful chunk.
    fn room(&mut self, length: usize, useful: usize) -> Result<&mut [u8], ScanError> {
        let bytes = match self {
            Self::Borrowed(bytes) => &mut **bytes,
            #[cfg(feature = "alloc")]
            Self::Owned(bytes) => {
                if bytes.len() < length.max(useful) {
                    bytes.resize(length.max(useful), 0);
                }
                bytes.as_mut_slice()
            }
        };
        let take = bytes.len().min(length.max(useful));
        let room = bytes.get_mut(..take).unwrap_or_default();
        if room.len() < length { Err(ScanError::Buffer { needed: length }) } else { Ok(room) }
    }
}

/// A view of a segment that remembers the chunk it read last.
#[derive(Debug)]
pub(crate) struct Window<'a, F> {
    file: &'a F,
    scratch: Scratch<'a>,
    start: u64,
    filled: usize,
}

impl<'a, F: SegmentFile> Window<'a, F> {
    pub(crate) const fn new(file: &'a F, scratch: Scratch<'a>) -> Self {
        Self { file, scratch, start: 0, filled: 0 }
    }

    pub(crate) fn size(&self) -> u64 {
        self.file.size()
    }

    /// `length` bytes at `offset`; the caller has checked that they lie within the segment.
    pub(crate) fn fetch(&mut self, offset: u64, length: usize) -> Result<&[u8], ScanError> {
        if let Some(bytes) = self.file.view(offset, length) {
            return Ok(bytes);
        }
        if self.held(offset, length).is_none() {
            self.load(offset, length)?;
        }
        self.held(offset, length).ok_or(ScanError::Io(IoError::OutOfBounds))
    }

    /// The next bytes from `offset`: at most a chunk, a multiple of eight but at the segment's end,
    /// and none only there.
    pub(crate) fn chunk(&mut self, offset: u64) -> Result<&[u8], ScanError> {
        let left = self.size().saturating_sub(offset);
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let held = offset.checked_sub(self.start).and_then(|from| usize::try_from(from).ok());
        let held = held.map_or(0, |from| self.filled.saturating_sub(from));
        let useful = if held >= 8 { held } else { self.scratch.limit() };
        let length = (useful & !7).max(8).min(left);
        self.fetch(offset, length)
    }

    /// Checksum of the bytes from `offset` to `end`, read piece by piece.
    pub(crate) fn crc32c(&mut self, mut offset: u64, end: u64) -> Result<u32, ScanError> {
        let mut crc = Crc32c::default();
        let piece = self.scratch.limit();
        while offset < end {
            let left = usize::try_from(end - offset).unwrap_or(usize::MAX);
            if piece == 0 {
                return Err(ScanError::Buffer { needed: left });
            }
            let bytes = self.fetch(offset, left.min(piece))?;
            crc.update(bytes);
            offset = offset.saturating_add(bytes.len() as u64);
        }
        Ok(crc.finish())
    }

    /// Eight bytes at `offset`, without losing the chunk that is held.
    pub(crate) fn peek(&self, offset: u64) -> Result<[u8; 8], ScanError> {
        if let Some(bytes) = self.file.view(offset, 8).or_else(|| self.held(offset, 8)) {
            return Ok(unison_base::bytes::array_at(bytes, 0).unwrap_or_default());
        }
        let mut word = [0; 8];
        self.file.read_at(offset, &mut word)?;
        Ok(word)
    }

    fn held(&self, offset: u64, length: usize) -> Option<&[u8]> {
        let from = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        let to = from.checked_add(length)?;
        self.scratch.bytes().get(..self.filled)?.get(from..to)
    }

    fn load(&mut self, offset: u64, length: usize) -> Result<(), ScanError> {
        let left = usize::try_from(self.size().saturating_sub(offset)).unwrap_or(usize::MAX);
        if left < length {
            return Err(ScanError::Io(IoError::OutOfBounds));
        }
        self.filled = 0;
        let room = self.scratch.room(length, left.min(CHUNK_BYTES))?;
        self.file.read_at(offset, room)?;
        (self.start, self.filled) = (offset, room.len());
        Ok(())
    }
}
