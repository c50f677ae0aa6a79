//! Keys and values in key order.

use super::entries::{Bounds, Content, Entries, higher, lower, until_end};
use super::value::{Found, Pin, ValueRef};
use crate::errors::ReadError;
use crate::expiry::At;
use crate::memtable::Direction;
use crate::models::{kv, successor};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Bound;
use unison_base::Lsn;
use unison_ports::SegmentStore;

/// Which keys, and in which order. Prefix and bounds all hold; with `reverse` the scan starts at
/// `end`.
#[derive(Clone, Copy, Debug)]
pub struct ScanRequest<'a> {
    /// Only keys that begin with this; empty means all.
    pub prefix: &'a [u8],
    /// Lowest key.
    pub start: Bound<&'a [u8]>,
    /// Highest key.
    pub end: Bound<&'a [u8]>,
    /// From the highest key down.
    pub reverse: bool,
}

impl Default for ScanRequest<'_> {
    fn default() -> Self {
        Self { prefix: &[], start: Bound::Unbounded, end: Bound::Unbounded, reverse: false }
    }
}

/// A key and its value.
#[derive(Debug)]
pub struct Item<S: SegmentStore> {
    /// The key as its user gave it.
    pub key: Vec<u8>,
    /// The value, read when asked for.
    pub value: ValueRef<S>,
    /// LSN of the record that wrote it.
    pub lsn: Lsn,
}

/// Iterator over keys and values of one snapshot. After an error it yields nothing more.
pub struct Scan<S: SegmentStore> {
    entries: Entries<S>,
    ended: bool,
}

impl<S: SegmentStore> Scan<S> {
    pub(crate) fn new(
        pin: Arc<Pin<S>>,
        at: At,
        request: &ScanRequest<'_>,
    ) -> Result<Self, ReadError> {
        let direction = if request.reverse { Direction::Backward } else { Direction::Forward };
        let entries = Entries::new(pin, at, bounds(request), direction)?;
        Ok(Self { entries, ended: false })
    }

    fn next_item(&mut self) -> Result<Option<Item<S>>, ReadError> {
        while let Some(version) = self.entries.step()? {
            let Some(user) = kv::user_key(version.key()) else { continue };
            let key = user.into();
            if let Content::Value(place) = version.content {
                let (lsn, expiry) = (version.lsn, version.expiry);
                let value = Found { lsn, expiry, place }.lazy(&self.entries.pin);
                return Ok(Some(Item { key, lsn: value.lsn(), value }));
            }
        }
        Ok(None)
    }
}

impl<S: SegmentStore> Iterator for Scan<S> {
    type Item = Result<Item<S>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        until_end(self, |entries| &mut entries.ended, Self::next_item)
    }
}

/// Lowest and highest key in storage form: the tighter of the bounds and the prefix.
fn bounds(request: &ScanRequest<'_>) -> Bounds {
    let prefix = stored(request.prefix);
    let high = Bound::Excluded(successor(&prefix));
    let low = Bound::Included(prefix);
    (higher(low, request.start.map(stored)), lower(high, request.end.map(stored)))
}

fn stored(user: &[u8]) -> Vec<u8> {
    core::iter::once(kv::PREFIX).chain(user.iter().copied()).collect()
}

impl<S: SegmentStore> fmt::Debug for Scan<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan").field("direction", &self.entries.direction).finish_non_exhaustive()
    }
}
