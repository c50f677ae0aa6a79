//! One process per data directory, and a data directory whose layout we know.
//!
//! `<data-dir>/lock` is locked with `flock` for as long as the process runs and holds its pid as
//! text. `<data-dir>/format` holds one line, `unisondb-data 1`.

use crate::file_store::Directory;
use crate::segment::{StdError, io_error};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use unison_ports::IoError;

const LOCK: &str = "lock";
const FORMAT: &str = "format";
const FORMAT_WHILE_WRITING: &str = "format.new";
const FORMAT_NAME: &str = "unisondb-data";
const FORMAT_VERSION: u32 = 1;
/// Nothing longer is looked at.
const TEXT_BYTES_MAX: u64 = 256;

/// Why a data directory cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DataDirError {
    /// Another process has it.
    #[error(
        "the data directory is in use by {}; stop it first, or choose another --data-dir",
        Holder(*.pid)
    )]
    InUse {
        /// Its process id, where it could be read.
        pid: Option<u32>,
    },
    /// Made by a version whose layout this one does not know.
    #[error(
        "the data directory has format {found}, this program knows {FORMAT_VERSION}: run the \
         program that wrote it, or take a backup with that one and restore it with this one"
    )]
    Version {
        /// The version it has.
        found: u32,
    },
    /// The format file holds something else.
    #[error(
        "the file `format` in the data directory is not ours: is --data-dir the right directory? \
         If only that file is damaged, put the line `unisondb-data 1` into it"
    )]
    Foreign,
    /// The medium failed.
    #[error("the data directory cannot be used: {0}")]
    Io(#[from] IoError),
}

struct Holder(Option<u32>);

impl core::fmt::Display for Holder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            Some(pid) => write!(f, "the process with id {pid}"),
            None => f.write_str("another process"),
        }
    }
}

/// The right to use a data directory; given back when dropped, and by the kernel when the process
/// dies.
#[derive(Debug)]
pub struct DataDirLock {
    /// Closing it unlocks.
    _locked: File,
}

impl DataDirLock {
    /// Makes the directory when it is missing, locks it, and checks its format or, in a new one,
    /// writes it.
    ///
    /// # Errors
    /// See [`DataDirError`]; nothing was changed except that the directory and its lock file exist.
    pub fn acquire(data_dir: impl AsRef<Path>) -> Result<Self, DataDirError> {
        let directory = Directory::open(data_dir.as_ref(), true)?;
        let locked = lock(&directory.path().join(LOCK))?;
        ensure_format(&directory)?;
        Ok(Self { _locked: locked })
    }
}

fn lock(path: &Path) -> Result<File, DataDirError> {
    let mut options = OpenOptions::new();
    let opened = options.read(true).write(true).create(true).truncate(false).open(path);
    let mut file = opened.map_err(in_std)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let pid = bounded_text(&mut file).and_then(|text| text.trim().parse().ok());
            return Err(DataDirError::InUse { pid });
        }
        Err(errno) => return Err(io_error(errno).into()),
    }
    file.set_len(0).map_err(in_std)?;
    // The pid is for people: without room for it the lock still holds.
    let _ = writeln!(file, "{}", std::process::id());
    Ok(file)
}

fn ensure_format(directory: &Directory) -> Result<(), DataDirError> {
    let path = directory.path().join(FORMAT);
    match File::open(&path) {
        Ok(mut file) => check_format(&bounded_text(&mut file).ok_or(DataDirError::Foreign)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            write_format(directory, &path).map_err(in_std)?;
            Ok(directory.sync()?)
        }
        Err(error) => Err(in_std(error)),
    }
}

fn check_format(text: &str) -> Result<(), DataDirError> {
    let (name, version) = text.trim_end().split_once(' ').ok_or(DataDirError::Foreign)?;
    match version.parse() {
        Ok(FORMAT_VERSION) if name == FORMAT_NAME => Ok(()),
        Ok(found) if name == FORMAT_NAME => Err(DataDirError::Version { found }),
        _ => Err(DataDirError::Foreign),
    }
}

fn write_format(directory: &Directory, path: &Path) -> std::io::Result<()> {
    let new = directory.path().join(FORMAT_WHILE_WRITING);
    let mut file = File::create(&new)?;
    writeln!(file, "{FORMAT_NAME} {FORMAT_VERSION}")?;
    file.sync_all()?;
    std::fs::rename(new, path)
}

fn bounded_text(file: &mut File) -> Option<String> {
    let mut text = String::new();
    file.take(TEXT_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

fn in_std(error: std::io::Error) -> DataDirError {
    IoError::from(StdError(error)).into()
}

#[cfg(test)]
mod tests;
