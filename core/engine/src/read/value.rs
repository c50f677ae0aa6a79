//! A value that was found: a slice of the map, a copy out of the tree, or a place to read it from.

use super::own::record_of;
use super::view::View;
use crate::errors::ReadError;
use crate::expiry::Expiry;
use crate::memtable::Location;
use alloc::sync::Arc;
use core::fmt;
use unison_base::checksum::crc32c;
use unison_base::{Lsn, Position};
use unison_ports::SegmentStore;
use unison_walfs::{LogReader, Slice};

/// Where a value is.
pub(crate) enum Place<S: SegmentStore> {
    Log(Location),
    /// Copied out of the tree.
    Inline(Slice<S>),
}

/// A version that was found.
pub(crate) struct Found<S: SegmentStore> {
    pub(crate) lsn: Lsn,
    pub(crate) expiry: Expiry,
    pub(crate) place: Place<S>,
}

impl<S: SegmentStore> Found<S> {
    /// Takes hold of the bytes.
    #[inline]
    pub(crate) fn load(self, log: &LogReader<S>) -> Result<ValueRef<S>, ReadError> {
        let source = match self.place {
            Place::Log(location) => Source::Held(location, slice(log, location)?),
            Place::Inline(bytes) => Source::Copied(bytes),
        };
        Ok(ValueRef { lsn: record_of(self.lsn), expiry: self.expiry, source })
    }

    /// Leaves the bytes where they are until they are asked for.
    pub(crate) fn lazy(self, pin: &Arc<Pin<S>>) -> ValueRef<S> {
        let source = match self.place {
            Place::Log(location) => Source::Pinned(location, Arc::clone(pin)),
            Place::Inline(bytes) => Source::Copied(bytes),
        };
        ValueRef { lsn: record_of(self.lsn), expiry: self.expiry, source }
    }
}

/// Keeps everything that a snapshot's values may be read from: while a view lives, no segment that
/// its tree points to is removed.
pub(crate) struct Pin<S: SegmentStore> {
    pub(crate) view: Arc<View>,
    pub(crate) log: LogReader<S>,
}

/// One value in one version. Holding it keeps its bytes readable, whatever is written, flushed or
/// removed meanwhile.
pub struct ValueRef<S: SegmentStore> {
    lsn: Lsn,
    expiry: Expiry,
    source: Source<S>,
}

enum Source<S: SegmentStore> {
    Held(Location, Slice<S>),
    Pinned(Location, Arc<Pin<S>>),
    Copied(Slice<S>),
}

impl<S: SegmentStore> ValueRef<S> {
    /// LSN of the record that wrote this value, or that changed when it expires.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        self.lsn
    }

    /// When it expires, milliseconds since 1970; 0 = never. A column's is that of its row, and not
    /// known here.
    #[must_use]
    pub fn expires_at(&self) -> u64 {
        self.expiry.0
    }

    /// Bytes of the value. Reads nothing.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.source {
            Source::Held(location, _) | Source::Pinned(location, _) => {
                usize::try_from(location.length).unwrap_or(usize::MAX)
            }
            Source::Copied(bytes) => bytes.len(),
        }
    }

    /// True for a value of no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As [`bytes`](Self::bytes), giving up the reference: one count less on the segment's file.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes).
    #[inline]
    pub fn into_bytes(self) -> Result<Slice<S>, ReadError> {
        match self.source {
            Source::Held(location, bytes) => checked(location, bytes),
            Source::Pinned(location, pin) => checked(location, slice(&pin.log, location)?),
            Source::Copied(bytes) => Ok(bytes),
        }
    }

    /// The value, checked against its CRC: a slice of the map where the medium is mapped.
    ///
    /// # Errors
    /// [`ReadError::Corrupt`] when the bytes are not what was written; what the log's reader says.
    pub fn bytes(&self) -> Result<Slice<S>, ReadError> {
        match &self.source {
            Source::Held(location, bytes) => checked(*location, bytes.clone()),
            Source::Pinned(location, pin) => checked(*location, slice(&pin.log, *location)?),
            Source::Copied(bytes) => Ok(bytes.clone()),
        }
    }
}

#[inline]
pub(crate) fn slice<S: SegmentStore>(
    log: &LogReader<S>,
    location: Location,
) -> Result<Slice<S>, ReadError> {
    if location.length == 0 {
        return Ok(Slice::from([].as_slice()));
    }
    Ok(log.bytes(location.segment, location.offset, location.length)?)
}

#[inline]
pub(crate) fn checked<S: SegmentStore>(
    location: Location,
    bytes: Slice<S>,
) -> Result<Slice<S>, ReadError> {
    if crc32c(&bytes) == location.crc {
        return Ok(bytes);
    }
    let at = Position { segment: location.segment, offset: location.offset };
    Err(ReadError::Corrupt { at })
}

impl<S: SegmentStore> fmt::Debug for ValueRef<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValueRef").field("lsn", &self.lsn).field("len", &self.len()).finish()
    }
}
