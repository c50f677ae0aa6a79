//! The directory itself: made durably, listed, synced.

use crate::segment::{StdError, io_error};
use rustix::fs::{Mode, OFlags, fsync, open};
use std::path::{Path, PathBuf};
use unison_ports::IoError;

/// A directory that exists.
#[derive(Debug)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn open(path: &Path, create: bool) -> Result<Self, IoError> {
        if create {
            make(path)?;
        }
        let directory = Self(path.to_path_buf());
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => Ok(directory),
            Ok(_) => Err(IoError::Exists),
            Err(error) => Err(StdError(error).into()),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Makes creations, renames and removals in it durable.
    pub(crate) fn sync(&self) -> Result<(), IoError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::io::retry_on_intr(|| open(&self.0, flags, Mode::empty()));
        let directory = opened.map_err(io_error)?;
        rustix::io::retry_on_intr(|| fsync(&directory)).map_err(io_error)
    }

    /// Calls `visit` with every name that is text; segments have no others.
    pub(crate) fn entries(
        &self,
        visit: &mut dyn FnMut(&str) -> Result<(), IoError>,
    ) -> Result<(), IoError> {
        for entry in std::fs::read_dir(&self.0).map_err(StdError)? {
            if let Some(name) = entry.map_err(StdError)?.file_name().to_str() {
                visit(name)?;
            }
        }
        Ok(())
    }
}

/// Makes a directory and its missing parents; each is durable before the next is made in it.
fn make(path: &Path) -> Result<(), IoError> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Err(IoError::NotFound),
    };
    make(parent)?;
    match std::fs::create_dir(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(StdError(error).into())
        }
        _ => Directory(parent.to_path_buf()).sync(),
    }
}
