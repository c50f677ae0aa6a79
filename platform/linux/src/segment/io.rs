//! Positioned reads and writes that continue after interruptions, and errno as [`IoError`].

use rustix::fs::fdatasync;
use rustix::io::{Errno, pread, pwrite};
use std::os::fd::BorrowedFd;
use unison_ports::IoError;

/// What an errno means to core.
pub(crate) fn io_error(errno: Errno) -> IoError {
    match errno {
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG => IoError::NoSpace,
        Errno::ROFS => IoError::ReadOnly,
        Errno::ACCESS | Errno::PERM => IoError::Denied,
        Errno::NOENT => IoError::NotFound,
        Errno::EXIST => IoError::Exists,
        other => IoError::Device(other.raw_os_error()),
    }
}

/// The same for what the standard library reports.
impl From<StdError> for IoError {
    fn from(StdError(error): StdError) -> Self {
        let errno = error.raw_os_error().map(Errno::from_raw_os_error);
        io_error(errno.unwrap_or(Errno::IO))
    }
}

/// An error of the standard library on its way to [`IoError`].
pub(crate) struct StdError(pub(crate) std::io::Error);

/// Fills `buffer` from `offset`.
pub(super) fn read_all(
    file: BorrowedFd<'_>,
    mut offset: u64,
    mut buffer: &mut [u8],
) -> Result<(), IoError> {
    while !buffer.is_empty() {
        match pread(file, &mut *buffer, offset) {
            Ok(0) => return Err(IoError::OutOfBounds),
            Ok(count) => {
                buffer = buffer.get_mut(count..).unwrap_or_default();
                offset = offset.saturating_add(count as u64);
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(io_error(errno)),
        }
    }
    Ok(())
}

/// Writes all of `bytes` at `offset`.
pub(crate) fn write_all(
    file: BorrowedFd<'_>,
    mut offset: u64,
    mut bytes: &[u8],
) -> Result<(), IoError> {
    while !bytes.is_empty() {
        match pwrite(file, bytes, offset) {
            Ok(0) => return Err(io_error(Errno::IO)),
            Ok(count) => {
                bytes = bytes.get(count..).unwrap_or_default();
                offset = offset.saturating_add(count as u64);
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(io_error(errno)),
        }
    }
    Ok(())
}

/// Makes the data durable. An interrupted wait has reported nothing yet, so it is continued; any
/// other failure is final.
pub(super) fn sync_data(file: BorrowedFd<'_>) -> Result<(), IoError> {
    rustix::io::retry_on_intr(|| fdatasync(file)).map_err(io_error)
}
