//! Bytes that reached the block device under a directory, by the kernel's own count.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

const SECTOR_BYTES: u64 = 512;
const SECTORS_WRITTEN: usize = 6;

/// Bytes written to the device that holds `path` since it was attached; 0 where the kernel does not
/// say. Other processes count too, so a measurement wants a quiet machine.
pub(crate) fn bytes_written(path: &Path) -> u64 {
    let Ok(metadata) = std::fs::metadata(path) else { return 0 };
    let (major, minor) = (rustix::fs::major(metadata.dev()), rustix::fs::minor(metadata.dev()));
    std::fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat"))
        .ok()
        .and_then(|stat| stat.split_whitespace().nth(SECTORS_WRITTEN)?.parse::<u64>().ok())
        .map_or(0, |sectors| sectors * SECTOR_BYTES)
}

/// Waits until everything dirty has reached the device.
pub(crate) fn settle() {
    rustix::fs::sync();
}
