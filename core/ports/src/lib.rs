//! What core asks of the world. Each method says what holds when the power goes in its middle.
//!
//! # Assumptions about a medium
//!
//! 1. **A1** A write that was followed by a successful [`SegmentFile::sync`] is there after a power
//!    cut, whole and unchanged, unless the medium itself rots (A4).
//! 2. **A2** A write that was not synced may, after a power cut, be there, be missing, or be there
//!    in part, in any order against other unsynced writes. Bytes outside the written range keep
//!    what they had.
//! 3. **A3** After a failed sync nothing is known about any unsynced write, and a later successful
//!    sync proves nothing about them.
//! 4. **A4** Any stored byte may change by itself. Readers find out by checksums, never by luck.
//! 5. **A5** [`SegmentStore::create`], [`remove`](SegmentStore::remove) and
//!    [`set_aside`](SegmentStore::set_aside) are durable when they return; a power cut in their
//!    middle leaves the state before or after, or a file of any length that is all zeros.
//! 6. **A6** Creating a segment reserves its space: a later write inside it never fails for want of
//!    space, and a mapped read never faults.

#![no_std]
#![forbid(unsafe_code)]

use core::fmt::Debug;
use unison_base::{LogId, SegmentId};

/// Why a medium could not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum IoError {
    /// The medium has no room left. Nothing was changed; it may work later.
    #[error("no space left on the medium")]
    NoSpace,
    /// The medium refuses writes.
    #[error("the medium is read-only")]
    ReadOnly,
    /// Permission is missing.
    #[error("permission denied")]
    Denied,
    /// What was named is not there.
    #[error("not found")]
    NotFound,
    /// What should be made is there already.
    #[error("exists already")]
    Exists,
    /// Reads or writes past the end of a segment.
    #[error("outside the segment")]
    OutOfBounds,
    /// The device failed; the number is its own (on Linux an errno).
    #[error("device error {0}")]
    Device(i32),
}

/// One segment: a fixed number of bytes that can be read, written and made durable.
///
/// Handles are shared by one writer and many readers. A written range is never written again while
/// it is part of the log, so a reader below the published write offset sees unchanging bytes.
pub trait SegmentFile: Send + Sync + 'static {
    /// Size in bytes, fixed when the segment was made.
    fn size(&self) -> u64;

    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    /// [`IoError::OutOfBounds`] past the end; a device error otherwise.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), IoError>;

    /// Writes all of `bytes` at `offset`; interrupted and short writes are continued. Not durable
    /// before [`sync`](Self::sync); on an error any part may have been written (A2).
    ///
    /// # Errors
    /// [`IoError::OutOfBounds`] past the end; a device error otherwise.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), IoError>;

    /// Makes every write that returned before this call durable (A1). After an error see A3.
    ///
    /// # Errors
    /// A device error; the caller must not trust the handle again.
    fn sync(&self) -> Result<(), IoError>;

    /// The bytes themselves where the medium is mapped, else `None`. They live as long as the
    /// handle. `None` too when the range is outside the segment.
    fn view(&self, offset: u64, length: usize) -> Option<&[u8]>;

    /// Says that the caller will not read `offset..offset + length` through the view soon, so that
    /// the memory behind it may be given back. Only a hint.
    fn release(&self, offset: u64, length: u64) {
        let _ = (offset, length);
    }
}

/// What a segment file is to its log; part of its name on the medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SegmentKind {
    /// Part of the log.
    Log,
    /// Left the log by retention, kept because values in it are still pointed to.
    Values,
    /// Damaged, or no part of the log any more: taken out of the way. It is never deleted while there
    /// is room for it; a medium of a few fixed slots has to give it up for new records.
    Aside,
}

/// A segment that the medium holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentEntry {
    /// Its number.
    pub id: SegmentId,
    /// Its role.
    pub kind: SegmentKind,
    /// Its size in bytes; 0 for a file that was made but never reserved.
    pub size: u64,
}

/// The segments of one namespace. All methods may be called from several threads.
pub trait SegmentStore: Send + Sync + Debug + 'static {
    /// Handle of one segment.
    type File: SegmentFile;

    /// Calls `visit` for every segment, in no particular order.
    ///
    /// # Errors
    /// A device error.
    fn list(&self, visit: &mut dyn FnMut(SegmentEntry)) -> Result<(), IoError>;

    /// Makes a log segment of `size` bytes, all zeros, with its space reserved (A6) and its name
    /// durable (A5). An all-zero or zero-length log segment of that id is replaced.
    ///
    /// # Errors
    /// [`IoError::NoSpace`] leaves nothing behind; [`IoError::Exists`] when there is one with bytes.
    fn create(&self, id: SegmentId, size: u64) -> Result<Self::File, IoError>;

    /// Opens a segment for reading and, when it is a log segment, for writing. Never changes its
    /// size.
    ///
    /// # Errors
    /// [`IoError::NotFound`], or a device error.
    fn open(&self, id: SegmentId, kind: SegmentKind) -> Result<Self::File, IoError>;

    /// Removes a segment durably. Handles and views that are open stay readable.
    ///
    /// # Errors
    /// [`IoError::NotFound`], or a device error.
    fn remove(&self, id: SegmentId, kind: SegmentKind) -> Result<(), IoError>;

    /// Changes a segment's role durably (A5); the bytes stay where they are. Where a segment of the
    /// new role and number exists already, the medium keeps both under different names and the
    /// newer one answers to [`open`](Self::open).
    ///
    /// # Errors
    /// [`IoError::NotFound`], or a device error.
    fn set_kind(&self, id: SegmentId, from: SegmentKind, to: SegmentKind) -> Result<(), IoError>;

    /// The identity stored beside the segments, if one was stored.
    ///
    /// # Errors
    /// A device error; [`IoError::OutOfBounds`] when what is stored is no identity.
    fn log_id(&self) -> Result<Option<LogId>, IoError>;

    /// Stores the identity, atomically and durably; a power cut leaves the old one or the new one.
    ///
    /// # Errors
    /// A device error.
    fn set_log_id(&self, id: LogId) -> Result<(), IoError>;
}

/// Time. Core never calls it by itself: callers pass its values in.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970 by the wall clock; may jump either way.
    fn wall_ms(&self) -> u64;
    /// Milliseconds since some moment, never going back.
    fn monotonic_ms(&self) -> u64;
}

/// Randomness for identities and jitter.
pub trait Entropy: Send + Sync {
    /// Fills the buffer with bytes nobody can guess.
    fn fill(&self, buffer: &mut [u8]);
}
