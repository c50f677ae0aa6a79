//! The tree's file, as redb wants it.

use super::TreeOpenError;
use super::volume::Shared;
use crate::block::BlockDevice;
use alloc::string::ToString as _;
use alloc::sync::Arc;
use core::fmt;
use redb::StorageBackend;
use redb::io::Error;
use unison_ports::IoError;

/// The tree's region of one volume as a file of changing length. The length is durable when
/// `set_len` returns.
pub struct BlockTree<D: BlockDevice>(Arc<Shared<D>>);

impl<D: BlockDevice> fmt::Debug for BlockTree<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BlockTree").field(&self.0.place.name).finish()
    }
}

impl<D: BlockDevice> BlockTree<D> {
    pub(super) const fn new(volume: Arc<Shared<D>>) -> Self {
        Self(volume)
    }

    fn check(&self, offset: u64, length: usize) -> Result<(), IoError> {
        let file = self.0.live.lock().table.tree_bytes;
        match offset.checked_add(length as u64) {
            Some(end) if end <= file => Ok(()),
            _ => Err(IoError::OutOfBounds),
        }
    }

    fn resize(&self, length: u64) -> Result<(), IoError> {
        let volume = &self.0;
        if length > volume.place.tree_bytes() {
            return Err(IoError::NoSpace);
        }
        let mut live = volume.live.lock();
        let old = live.table.tree_bytes;
        // What was there before the file was shorter must not appear again.
        volume.tree.zero(&volume.disk, old..length)?;
        volume.change_live(&mut live, |table| table.tree_bytes = length)
    }

    /// redb's error can only carry a text, so the reason is kept beside it.
    fn told(&self, error: IoError) -> Error {
        *self.0.tree_failure.lock() = Some(error);
        Error::other(error.to_string())
    }
}

impl<D: BlockDevice> StorageBackend for BlockTree<D> {
    fn len(&self) -> Result<u64, Error> {
        Ok(self.0.live.lock().table.tree_bytes)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        let read = self.check(offset, out.len());
        read.and_then(|()| self.0.tree.read(&self.0.disk, offset, out)).map_err(|e| self.told(e))
    }

    fn set_len(&self, length: u64) -> Result<(), Error> {
        self.resize(length).map_err(|error| self.told(error))
    }

    fn sync_data(&self) -> Result<(), Error> {
        self.0.disk.flush().map_err(|error| self.told(error))
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        let inside = self.check(offset, data.len());
        inside
            .and_then(|()| self.0.tree.write(&self.0.disk, offset, data))
            .map_err(|e| self.told(e))
    }
}

/// Opens a tree that was made to its end, else makes it: redb takes a file whose making was cut off
/// for damaged, so that is noted when it is whole.
pub(super) fn open<D: BlockDevice>(
    volume: &Arc<Shared<D>>,
    cache_bytes: usize,
) -> Result<redb::Database, TreeOpenError> {
    if !volume.live.lock().table.tree_is_whole {
        volume.change(|table| table.tree_bytes = 0).map_err(TreeOpenError::Io)?;
        drop(database(volume, cache_bytes)?);
        volume.change(|table| table.tree_is_whole = true).map_err(TreeOpenError::Io)?;
    }
    database(volume, cache_bytes)
}

fn database<D: BlockDevice>(
    volume: &Arc<Shared<D>>,
    cache_bytes: usize,
) -> Result<redb::Database, TreeOpenError> {
    *volume.tree_failure.lock() = None;
    let mut builder = redb::Database::builder();
    let backend = BlockTree::new(Arc::clone(volume));
    let opened = builder.set_cache_size(cache_bytes).create_with_backend(backend);
    opened.map_err(|_| match *volume.tree_failure.lock() {
        // A file that is shorter than redb expects is damage of the file, not of the device.
        None | Some(IoError::OutOfBounds) => TreeOpenError::Damaged,
        Some(error) => TreeOpenError::Io(error),
    })
}
