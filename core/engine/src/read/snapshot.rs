//! One state, held.

use super::reader::storage_key;
use super::row::Row;
use super::rows::{RowScan, RowScanRequest};
use super::scan::{Scan, ScanRequest};
use super::value::{Pin, ValueRef};
use super::view::View;
use crate::errors::ReadError;
use crate::expiry::At;
use alloc::sync::Arc;
use core::fmt;
use unison_base::Lsn;
use unison_ports::SegmentStore;
use unison_walfs::LogReader;

/// The state of a namespace at one LSN.
pub struct Snapshot<S: SegmentStore> {
    pin: Arc<Pin<S>>,
    at: At,
}

impl<S: SegmentStore> Snapshot<S> {
    pub(crate) fn new(view: Arc<View>, log: LogReader<S>, at: At) -> Self {
        Self { pin: Arc::new(Pin { view, log }), at }
    }

    /// The newest record in it.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        self.at.lsn
    }

    /// The watermark of expiry in it, milliseconds since 1970: what expires up to then is gone.
    #[must_use]
    pub fn expired_to(&self) -> u64 {
        self.pin.view.watermark(self.at.lsn)
    }

    /// The value of a key.
    ///
    /// # Errors
    /// [`ReadError::KeyLength`]; what the log or the tree says when it cannot be read.
    pub fn get(&self, key: &[u8]) -> Result<Option<ValueRef<S>>, ReadError> {
        let found = self.pin.view.find(storage_key(key)?.as_bytes(), self.at)?;
        Ok(found.map(|found| found.lazy(&self.pin)))
    }

    /// Keys and values in key order. A page ends where the caller stops; the next one starts behind
    /// the last key (`Bound::Excluded`).
    ///
    /// # Errors
    /// What the tree says when it cannot be read.
    pub fn scan(&self, request: ScanRequest<'_>) -> Result<Scan<S>, ReadError> {
        Scan::new(Arc::clone(&self.pin), self.at, &request)
    }

    /// A row; `None` when it has no column.
    ///
    /// # Errors
    /// [`ReadError::KeyLength`]; what the tree says when it cannot be read.
    pub fn row(&self, row: &[u8]) -> Result<Option<Row<S>>, ReadError> {
        Row::find(&self.pin, row, self.at)
    }

    /// The cells of rows, in the order of rows, and within a row of columns.
    ///
    /// # Errors
    /// What the tree says when it cannot be read.
    pub fn rows(&self, request: RowScanRequest<'_>) -> Result<RowScan<S>, ReadError> {
        RowScan::new(Arc::clone(&self.pin), self.at, &request)
    }

    /// How many keys of the key-value model there are, exactly.
    ///
    /// # Errors
    /// What the tree says when it cannot be read.
    pub fn count(&self) -> Result<u64, ReadError> {
        Ok(super::count::count::<S>(&self.pin.view, self.at)?.keys)
    }
}

impl<S: SegmentStore> Clone for Snapshot<S> {
    fn clone(&self) -> Self {
        Self { pin: Arc::clone(&self.pin), at: self.at }
    }
}

impl<S: SegmentStore> fmt::Debug for Snapshot<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("lsn", &self.at.lsn).finish_non_exhaustive()
    }
}
