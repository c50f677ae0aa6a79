//! The log's identity in `log.id`.
//!
//! ```text
//! | magic "UNID" 4 | version = 1 u32 | identity 16 | CRC-32C of the 24 bytes before u32 |
//! ```
//! Little-endian. Written beside and renamed, so a power cut leaves the old one or the new one.

use super::directory::Directory;
use crate::segment::{StdError, io_error, write_all};
use rustix::fs::{Mode, OFlags, fsync, open, rename};
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;
use unison_base::LogId;
use unison_base::bytes::{array_at, u32_at};
use unison_base::checksum::crc32c;
use unison_ports::IoError;

const NAME: &str = "log.id";
const NAME_WHILE_WRITING: &str = "log.id.new";
const MAGIC: [u8; 4] = *b"UNID";
const VERSION: u32 = 1;
const COVERED_BYTES: usize = 24;

fn encode(id: LogId) -> Vec<u8> {
    let mut bytes = [&MAGIC[..], &VERSION.to_le_bytes(), &id.0].concat();
    let crc = crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<LogId> {
    let right_length = bytes.len() == COVERED_BYTES + 4;
    let covered = bytes.get(..COVERED_BYTES).filter(|_| right_length)?;
    let intact = u32_at(bytes, COVERED_BYTES) == Some(crc32c(covered));
    let ours = array_at(bytes, 0) == Some(MAGIC) && u32_at(bytes, 4) == Some(VERSION);
    array_at(bytes, 8).filter(|_| intact && ours).map(LogId)
}

/// The identity, if one was stored.
///
/// # Errors
/// [`IoError::OutOfBounds`] when the file holds something else.
pub(super) fn read(directory: &Directory) -> Result<Option<LogId>, IoError> {
    match read_bounded(&directory.path().join(NAME)) {
        Ok(bytes) => decode(&bytes).map(Some).ok_or(IoError::OutOfBounds),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StdError(error).into()),
    }
}

fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more than an identity has is enough to see that it is none.
    File::open(path)?.take(COVERED_BYTES as u64 + 5).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Stores it durably.
pub(super) fn write(directory: &Directory, id: LogId) -> Result<(), IoError> {
    let (path, new) = (directory.path().join(NAME), directory.path().join(NAME_WHILE_WRITING));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
    let opened = rustix::io::retry_on_intr(|| open(&new, flags, Mode::from(0o640)));
    let file = opened.map_err(io_error)?;
    write_all(file.as_fd(), 0, &encode(id))?;
    rustix::io::retry_on_intr(|| fsync(&file)).map_err(io_error)?;
    rename(&new, &path).map_err(io_error)?;
    directory.sync()
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};
    use unison_base::LogId;

    #[test]
    fn no_changed_byte_and_no_other_length_passes_for_an_identity() {
        let id = LogId([7; 16]);
        let bytes = encode(id);
        assert_eq!(decode(&bytes), Some(id));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(decode(&changed), None, "byte {at}");
            assert_eq!(decode(&bytes[..at]), None, "length {at}");
        }
        assert_eq!(decode(&[bytes.as_slice(), &[0]].concat()), None);
        assert_eq!(decode(&[0; 28]), None);
    }
}
