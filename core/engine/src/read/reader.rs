//! Lock-free access to what the engine has published.

use super::count::Counted;
use super::own::record_of;
use super::rules::Known;
use super::snapshot::Snapshot;
use super::value::{Found, ValueRef};
use super::view::View;
use crate::errors::{ReadError, SnapshotError};
use crate::expiry::At;
use crate::memtable::StorageKey;
use crate::models::kv;
use crate::models::topic::patterns::Patterns;
use crate::seal::Keyring;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use unison_base::atomic::{AtomicU64, Ordering};
use unison_base::limits::KEY_MAX;
use unison_base::{Lsn, Published};
use unison_ports::SegmentStore;
use unison_walfs::LogReader;

/// What the engine publishes and readers look at.
pub(crate) struct Shared<S: SegmentStore> {
    pub(crate) view: Published<View>,
    pub(crate) applied: AtomicU64,
    pub(crate) log: LogReader<S>,
    pub(crate) counted: Published<Counted>,
    pub(crate) patterns: Published<Patterns>,
    /// The newest settings of topics, or why they cannot be read.
    pub(crate) rules: Published<Known>,
    pub(crate) keys: Published<Keyring>,
}

impl<S: SegmentStore> Shared<S> {
    #[inline]
    pub(crate) fn applied(&self) -> Lsn {
        Lsn(self.applied.load(Ordering::Acquire))
    }
}

/// A reader of one namespace. Cheap to clone; any number of them, on any thread, never wait for the
/// writer nor for each other.
///
/// What has expired it does not see. It goes by the watermark in the log, as every replica does, and
/// by a clock when it is given one ([`at`](Self::at)).
pub struct Reader<S: SegmentStore> {
    pub(crate) shared: Arc<Shared<S>>,
    pub(crate) now_ms: u64,
}

impl<S: SegmentStore> Reader<S> {
    /// Newest visible record.
    #[must_use]
    pub fn applied(&self) -> Lsn {
        record_of(self.shared.applied())
    }

    /// A reader whose clock says `now_ms`, milliseconds since 1970: it does not see what has expired
    /// by then either.
    #[must_use]
    pub fn at(&self, now_ms: u64) -> Self {
        Self { shared: Arc::clone(&self.shared), now_ms }
    }

    /// The reader's time, milliseconds since 1970: its clock's or the watermark of expiry, whichever
    /// is later. What is to live for a while has to live from here on.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.shared.view.with(|view| view.by_the_later_clock(self.moment(view)).now_ms)
    }

    /// Whether this node has a master key to seal messages with.
    #[must_use]
    pub fn can_seal(&self) -> bool {
        self.shared.keys.with(Keyring::can_seal)
    }

    #[inline]
    pub(super) fn moment(&self, view: &View) -> At {
        At { lsn: view.bound(self.shared.applied()), now_ms: self.now_ms }
    }

    /// The newest visible version of a key.
    #[inline]
    fn find(&self, key: &StorageKey) -> Result<Option<Found<S>>, ReadError> {
        self.shared.view.with(|view| view.find(key.as_bytes(), self.moment(view)))
    }

    /// The value of a key.
    ///
    /// # Errors
    /// [`ReadError::KeyLength`]; what the log or the tree says when it cannot be read.
    #[inline]
    pub fn get(&self, key: &[u8]) -> Result<Option<ValueRef<S>>, ReadError> {
        let key = storage_key(key)?;
        let load = |view: &View| match view.find(key.as_bytes(), self.moment(view))? {
            Some(found) => found.load(&self.shared.log).map(Some),
            None => Ok(None),
        };
        self.shared.view.with(load)
    }

    /// LSN of the record that wrote a key's value; `None` when the key is absent. Reads no value.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn version(&self, key: &[u8]) -> Result<Option<Lsn>, ReadError> {
        Ok(self.find(&storage_key(key)?)?.map(|found| record_of(found.lsn)))
    }

    /// When a key expires, milliseconds since 1970, 0 = never; `None` when the key is absent. Reads no
    /// value.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn expires_at(&self, key: &[u8]) -> Result<Option<u64>, ReadError> {
        Ok(self.find(&storage_key(key)?)?.map(|found| found.expiry.0))
    }

    /// The value of one column of a row.
    ///
    /// # Errors
    /// [`ReadError::KeyLength`], [`ReadError::ColumnLength`]; what the log or the tree says when it
    /// cannot be read.
    pub fn column(&self, row: &[u8], name: &str) -> Result<Option<ValueRef<S>>, ReadError> {
        let mut keys = super::row::keys(row)?;
        let name = super::row::column_name(name)?;
        self.shared.view.with(|view| {
            let at = self.moment(view);
            let Some(cleared) = view.cleared(keys.head(), at)? else { return Ok(None) };
            let found = super::row::cell(view, keys.cell(name), at, cleared)?;
            found.map(|found| found.load(&self.shared.log)).transpose()
        })
    }

    /// LSN of the newest record that changed a row; `None` when the row has no column. Reads no
    /// value.
    ///
    /// # Errors
    /// As [`column`](Self::column).
    pub fn row_version(&self, row: &[u8]) -> Result<Option<Lsn>, ReadError> {
        Ok(self.snapshot().row(row)?.map(|row| row.lsn()))
    }

    /// When a row expires, milliseconds since 1970, 0 = never; `None` when the row has no column. Reads
    /// no value.
    ///
    /// # Errors
    /// As [`column`](Self::column).
    pub fn row_expires_at(&self, row: &[u8]) -> Result<Option<u64>, ReadError> {
        Ok(self.snapshot().row(row)?.map(|row| row.expires_at()))
    }

    /// The values of several keys, all at one LSN, in the order asked.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn multi_get(&self, keys: &[&[u8]]) -> Result<Vec<Option<ValueRef<S>>>, ReadError> {
        let snapshot = self.snapshot();
        keys.iter().map(|key| snapshot.get(key)).collect()
    }

    /// The state as it is now, for as long as it is held. Holding one keeps memtables in memory,
    /// pages in the tree and files on the medium: not for long.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot<S> {
        let view = self.shared.view.load();
        let at = self.moment(&view);
        self.snapshot_of(view, at)
    }

    /// The state as it was at `lsn`, possible from the newest checkpoint on.
    ///
    /// # Errors
    /// Says which LSNs are possible.
    pub fn snapshot_at(&self, lsn: Lsn) -> Result<Snapshot<S>, SnapshotError> {
        let view = self.shared.view.load();
        let (oldest, newest) = (view.oldest(), view.bound(self.shared.applied()));
        if lsn < oldest {
            return Err(SnapshotError::Gone { oldest });
        }
        if lsn > newest {
            return Err(SnapshotError::Ahead { newest });
        }
        Ok(self.snapshot_of(view, At { lsn, now_ms: self.now_ms }))
    }

    /// Patterns come after the rest: those that the state does not know have no messages in it.
    fn snapshot_of(&self, view: Arc<View>, at: At) -> Snapshot<S> {
        Snapshot::new(view, at, &self.shared)
    }

    /// How many keys of the key-value model there are, exactly. Looks once at every key in memory, and at no value; asking
    /// again while nothing has changed costs nothing.
    ///
    /// # Errors
    /// What the tree says when it cannot be read.
    pub fn count(&self) -> Result<u64, ReadError> {
        self.count_while(&mut || true).map(Option::unwrap_or_default)
    }

    /// The same for as long as `goes_on` says so, which is asked at every key that is looked at; `None` when
    /// it ceases to.
    ///
    /// # Errors
    /// As [`count`](Self::count).
    pub fn count_while(&self, goes_on: &mut dyn FnMut() -> bool) -> Result<Option<u64>, ReadError> {
        let view = self.shared.view.load();
        let at = view.by_the_later_clock(self.moment(&view));
        let last = self.shared.counted.load();
        if last.answers(at) {
            return Ok(Some(last.keys));
        }
        let counted = super::count::count::<S>(&view, at, goes_on)?;
        if let Some(counted) = counted {
            self.shared.counted.store(Arc::new(counted));
        }
        Ok(counted.map(|counted| counted.keys))
    }
}

/// Storage form of a key that a reader asks for.
#[inline]
pub(super) fn storage_key(key: &[u8]) -> Result<StorageKey, ReadError> {
    kv::storage_key(key).ok_or(ReadError::KeyLength { bytes: key.len(), limit: KEY_MAX })
}

impl<S: SegmentStore> Clone for Reader<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), now_ms: self.now_ms }
    }
}

impl<S: SegmentStore> fmt::Debug for Reader<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("applied", &self.applied()).finish_non_exhaustive()
    }
}
