//! redb's storage over a disk in memory, so that log and tree lose power together.

use super::inode::Change;
use super::state::InodeNumber;
use super::{Calls, CrashDisk, Disk, Effect};
use redb::StorageBackend;
use std::io::{Error, ErrorKind};
use unison_ports::IoError;

/// The tree file of one directory of a [`CrashDisk`].
#[derive(Debug)]
pub struct SimTreeFile {
    disk: CrashDisk,
    inode: InodeNumber,
}

impl SimTreeFile {
    pub(super) const fn new(disk: CrashDisk, inode: InodeNumber) -> Self {
        Self { disk, inode }
    }

    fn change_len(&self, length: u64) -> Result<(), IoError> {
        let mut disk = self.disk.lock();
        let late = match disk.control.enter(Calls::Writes)? {
            Some(Effect::Error(error) | Effect::Part { error, .. }) => return Err(error),
            Some(Effect::Late(error)) => Err(error),
            None => Ok(()),
        };
        let old = disk.state.inode(self.inode)?.cached.len();
        disk.state.take_room(length.saturating_sub(old))?;
        disk.state.give_room(old.saturating_sub(length));
        disk.state.change(self.inode, Change::Length(length))?;
        let Disk { state, control } = &mut *disk;
        control.record(state, None);
        late
    }
}

fn told(error: IoError) -> Error {
    match error {
        IoError::NoSpace => ErrorKind::StorageFull.into(),
        IoError::ReadOnly => ErrorKind::ReadOnlyFilesystem.into(),
        IoError::Denied => ErrorKind::PermissionDenied.into(),
        IoError::NotFound => ErrorKind::NotFound.into(),
        IoError::OutOfBounds => ErrorKind::UnexpectedEof.into(),
        IoError::Device(number) => Error::from_raw_os_error(number),
        _ => Error::other(error),
    }
}

impl StorageBackend for SimTreeFile {
    fn len(&self) -> Result<u64, Error> {
        let disk = self.disk.lock();
        disk.state.inode(self.inode).map(|inode| inode.cached.len()).map_err(told)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        self.disk.lock().read(self.inode, offset, out).map_err(told)
    }

    fn set_len(&self, length: u64) -> Result<(), Error> {
        self.change_len(length).map_err(told)
    }

    fn sync_data(&self) -> Result<(), Error> {
        self.disk.lock().sync(self.inode).map_err(told)
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        let mut disk = self.disk.lock();
        disk.control.counters.tree_bytes += data.len() as u64;
        disk.write(self.inode, offset, data).map_err(told)
    }
}
