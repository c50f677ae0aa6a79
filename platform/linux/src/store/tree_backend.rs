//! The tree's storage: a file that loses its name when a sync of it fails.
//!
//! After a failed sync the page cache may show what the device does not have, and a later sync says
//! nothing about it (assumption A3 of the ports). The log writes such a range again; a tree cannot.
//! So nothing is ever built on it: the next start makes a tree from the log, and serves it once it
//! has proved that the log holds everything.

use super::tree_file;
use redb::{BackendError, StorageBackend};
use std::io;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// A backend, and the directory of the namespace in which its file has a name.
#[derive(Debug)]
pub(super) struct TreeBackend<B> {
    inner: B,
    dir: PathBuf,
    set_aside: AtomicBool,
}

impl<B> TreeBackend<B> {
    pub(super) const fn new(inner: B, dir: PathBuf) -> Self {
        Self { inner, dir, set_aside: AtomicBool::new(false) }
    }

    /// At most once: the next file of that name is another one.
    fn set_aside(&self, error: &io::Error) {
        if self.set_aside.swap(true, Ordering::Relaxed) {
            return;
        }
        match tree_file::doubt(&self.dir) {
            Ok(kept) => {
                tracing::error!(%error, kept = %kept.display(), "a sync of the tree failed: set aside");
            }
            Err(failed) => {
                let dir = self.dir.display();
                tracing::error!(%error, %failed, %dir, "a sync of the tree failed: remove it");
            }
        }
    }
}

impl<B: StorageBackend> StorageBackend for TreeBackend<B> {
    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data().inspect_err(|error| self.set_aside(error))
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests;
