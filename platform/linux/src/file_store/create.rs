//! Making a segment file: its whole size reserved, zero, and its name durable.

use super::directory::Directory;
use crate::segment::{StdError, io_error, write_all};
use rustix::fs::{FallocateFlags, Mode, OFlags, fallocate, fsync, open, unlink};
use rustix::io::Errno;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use unison_ports::IoError;

const CHUNK_BYTES: usize = 256 << 10;

/// Removes what a power cut during an earlier `reserve` left: a file of any length, all zeros.
///
/// # Errors
/// [`IoError::Exists`] when the file holds anything else.
pub(super) fn clear_leftover(path: &Path) -> Result<(), IoError> {
    match File::open(path) {
        Ok(file) if all_zeros(&file)? => unlink(path).map_err(io_error),
        Ok(_) => Err(IoError::Exists),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StdError(error).into()),
    }
}

fn all_zeros(mut file: &File) -> Result<bool, IoError> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(true),
            Ok(count) if chunk.iter().take(count).any(|&byte| byte != 0) => return Ok(false),
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => {
                return Err(StdError(error).into());
            }
            _ => {}
        }
    }
}

/// Makes the file; on an error nothing of it is left.
pub(super) fn reserve(path: &Path, size: u64, directory: &Directory) -> Result<OwnedFd, IoError> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let opened = rustix::io::retry_on_intr(|| open(path, flags, Mode::from(0o640)));
    let file = opened.map_err(io_error)?;
    let made = fill(file.as_fd(), size).and_then(|()| directory.sync());
    made.map(|()| file).inspect_err(|_| {
        // The first error is the one to report; a leftover is all zeros and replaced next time.
        let _ = unlink(path);
    })
}

fn fill(file: BorrowedFd<'_>, size: u64) -> Result<(), IoError> {
    let whole = || fallocate(file, FallocateFlags::empty(), 0, size);
    match rustix::io::retry_on_intr(whole) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_zeros(file, size)?,
        done => done.map_err(io_error)?,
    }
    // Not `fdatasync`: the length and the extents have to be durable too.
    rustix::io::retry_on_intr(|| fsync(file)).map_err(io_error)
}

fn write_zeros(file: BorrowedFd<'_>, size: u64) -> Result<(), IoError> {
    let zeros = vec![0; CHUNK_BYTES];
    let mut offset = 0;
    while offset < size {
        let length = usize::try_from(size - offset).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        write_all(file, offset, zeros.get(..length).unwrap_or_default())?;
        offset = offset.saturating_add(length as u64);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{CHUNK_BYTES, all_zeros, write_zeros};
    use std::os::fd::AsFd;

    #[test]
    fn a_file_system_without_fallocate_gets_zeros() {
        let file = tempfile::tempfile().unwrap();
        let size = 3 * CHUNK_BYTES as u64 + 17;
        write_zeros(file.as_fd(), size).unwrap();
        assert_eq!(file.metadata().unwrap().len(), size);
        assert!(all_zeros(&file).unwrap());
    }
}
