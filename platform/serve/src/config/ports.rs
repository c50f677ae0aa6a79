//! The ports file: which address each server really has, for whoever started the process.

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// The addresses in use; a server that is off is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ports {
    /// HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<SocketAddr>,
    /// RESP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resp: Option<SocketAddr>,
    /// Followers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<SocketAddr>,
    /// ZeroMQ subscribers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zeromq: Option<SocketAddr>,
}

/// The ports file cannot be written or removed.
#[derive(Debug, thiserror::Error)]
#[error("cannot replace the ports file {}: {source}", path.display())]
pub struct PortsFileError {
    /// The file.
    pub path: PathBuf,
    /// What the system says.
    pub source: std::io::Error,
}

impl Ports {
    /// Puts the addresses into `path` as JSON. Whoever waits for the file never sees a part of it:
    /// it is written beside, then renamed.
    ///
    /// # Errors
    /// The directory does not exist or cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), PortsFileError> {
        self.replace(path).map_err(|source| PortsFileError { path: path.to_owned(), source })
    }

    /// Removes the file of an earlier run, so that whoever waits for one does not take addresses
    /// that nobody serves any more. That there is none is fine.
    ///
    /// # Errors
    /// The file is there and cannot be removed.
    pub fn clear(path: &Path) -> Result<(), PortsFileError> {
        match std::fs::remove_file(path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(PortsFileError { path: path.to_owned(), source })
            }
            _ => Ok(()),
        }
    }

    fn replace(&self, path: &Path) -> std::io::Result<()> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}.tmp", std::process::id()));
        let beside = PathBuf::from(beside);
        let mut file = File::create(&beside)?;
        serde_json::to_writer(&mut file, self)?;
        file.write_all(b"\n")?;
        std::fs::rename(&beside, path)
    }
}

#[cfg(test)]
mod tests {
    use super::Ports;

    #[test]
    fn the_file_of_an_earlier_run_goes_and_none_is_fine() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ports");
        Ports::clear(&path).unwrap();
        Ports::default().write(&path).unwrap();
        Ports::clear(&path).unwrap();
        assert!(!path.exists());
        assert!(Ports::clear(directory.path()).is_err(), "a directory is no ports file");
    }
}
