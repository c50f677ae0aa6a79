//! Bytes of a segment that stay valid for as long as they are held.

use alloc::sync::Arc;
use core::fmt;
use core::iter::repeat_n;
use core::ops::{Deref, Range};
use unison_ports::{IoError, SegmentFile, SegmentStore};

/// A part of a segment: a piece of the map, with the file pinned, or an owned copy where the medium
/// is not mapped. Cloning copies no bytes.
pub struct Slice<S: SegmentStore>(Bytes<S>);

enum Bytes<S: SegmentStore> {
    Mapped { file: Arc<S::File>, offset: u64, length: usize },
    Owned { bytes: Arc<[u8]>, start: usize, length: usize },
}

impl<S: SegmentStore> Slice<S> {
    /// `length` bytes of `file`; the caller has bounded the length by the file.
    pub(crate) fn read(file: Arc<S::File>, offset: u64, length: usize) -> Result<Self, IoError> {
        if file.view(offset, length).is_some() {
            return Ok(Self(Bytes::Mapped { file, offset, length }));
        }
        let mut bytes: Arc<[u8]> = repeat_n(0, length).collect();
        if let Some(buffer) = Arc::get_mut(&mut bytes) {
            file.read_at(offset, buffer)?;
        }
        Ok(Self(Bytes::Owned { bytes, start: 0, length }))
    }

    /// A part of it; empty when the range is outside.
    #[must_use]
    pub fn sub(&self, range: Range<usize>) -> Self {
        let range = if self.get(range.clone()).is_some() { range } else { 0..0 };
        Self(match &self.0 {
            Bytes::Mapped { file, offset, .. } => Bytes::Mapped {
                file: Arc::clone(file),
                offset: offset.saturating_add(range.start as u64),
                length: range.len(),
            },
            Bytes::Owned { bytes, start, .. } => Bytes::Owned {
                bytes: Arc::clone(bytes),
                start: start.saturating_add(range.start),
                length: range.len(),
            },
        })
    }

    /// Whether the bytes are the medium's own, not a copy.
    #[must_use]
    pub const fn is_mapped(&self) -> bool {
        matches!(self.0, Bytes::Mapped { .. })
    }
}

impl<S: SegmentStore> From<&[u8]> for Slice<S> {
    fn from(bytes: &[u8]) -> Self {
        Self(Bytes::Owned { bytes: Arc::from(bytes), start: 0, length: bytes.len() })
    }
}

impl<S: SegmentStore> Deref for Slice<S> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Mapped { file, offset, length } => file.view(*offset, *length),
            Bytes::Owned { bytes, start, length } => {
                start.checked_add(*length).and_then(|end| bytes.get(*start..end))
            }
        }
        .unwrap_or_default()
    }
}

impl<S: SegmentStore> AsRef<[u8]> for Slice<S> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl<S: SegmentStore> Clone for Slice<S> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Bytes::Mapped { file, offset, length } => {
                Bytes::Mapped { file: Arc::clone(file), offset: *offset, length: *length }
            }
            Bytes::Owned { bytes, start, length } => {
                Bytes::Owned { bytes: Arc::clone(bytes), start: *start, length: *length }
            }
        })
    }
}

impl<S: SegmentStore> fmt::Debug for Slice<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slice")
            .field("bytes", &self.len())
            .field("mapped", &self.is_mapped())
            .finish()
    }
}

impl<S: SegmentStore> PartialEq for Slice<S> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<S: SegmentStore> Eq for Slice<S> {}
