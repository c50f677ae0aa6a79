//! A machine's disk as a file of this computer.

use anyhow::Context as _;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use unison_bare::block::{BlockDevice, SECTOR_BYTES};
use unison_bare::medium::{Medium, Volume, Wanted};
use unison_base::NamespaceName;
use unison_ports::IoError;

/// A disk image as a block device.
#[derive(Debug)]
pub(crate) struct FileBlocks {
    file: File,
    sectors: u64,
}

impl FileBlocks {
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let file = File::options().read(true).write(true).open(path);
        let file = file.with_context(|| path.display().to_string())?;
        let sectors = file.metadata()?.len() / SECTOR_BYTES as u64;
        Ok(Self { file, sectors })
    }
}

fn told(error: std::io::Error) -> IoError {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => IoError::OutOfBounds,
        _ => IoError::Device(error.raw_os_error().unwrap_or_default()),
    }
}

impl BlockDevice for FileBlocks {
    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn read(&self, sector: u64, buffer: &mut [u8]) -> Result<(), IoError> {
        self.file.read_exact_at(buffer, sector * SECTOR_BYTES as u64).map_err(told)
    }

    fn write(&self, sector: u64, bytes: &[u8]) -> Result<(), IoError> {
        self.file.write_all_at(bytes, sector * SECTOR_BYTES as u64).map_err(told)
    }

    fn flush(&self) -> Result<(), IoError> {
        self.file.sync_data().map_err(told)
    }
}

/// Makes an empty disk.
pub(crate) fn make(dir: &Path, name: &str, bytes: u64) -> anyhow::Result<PathBuf> {
    let path = dir.join(name);
    File::create(&path)?.set_len(bytes)?;
    Ok(path)
}

/// The volume of the namespace `default` on a disk that no machine uses.
pub(crate) fn volume(path: &Path) -> anyhow::Result<Volume<FileBlocks>> {
    let name = NamespaceName::new("default")?;
    let wanted = Wanted::new(std::slice::from_ref(&name))?;
    let (medium, _) = Medium::open(Arc::new(FileBlocks::open(path)?), &wanted)?;
    medium.volume(&name).context("the disk has no such volume")
}
