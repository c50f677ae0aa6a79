//! The floor: what the machine itself takes to append and to sync, with no database around it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use unison_base::frame;

/// A preallocated file that is written from front to back.
pub(crate) struct RawLog {
    file: File,
    offset: u64,
    bytes: u64,
}

impl RawLog {
    /// Makes and reserves `bytes` bytes at `path`, as a segment is.
    pub(crate) fn create(path: &Path, bytes: u64) -> anyhow::Result<Self> {
        let file = File::options().create_new(true).read(true).write(true).open(path)?;
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes)?;
        file.sync_all()?;
        Ok(Self { file, offset: 0, bytes })
    }

    /// One write.
    pub(crate) fn append(&mut self, group: &[u8]) -> anyhow::Result<()> {
        if self.offset + group.len() as u64 > self.bytes {
            self.offset = 0;
        }
        self.file.write_all_at(group, self.offset)?;
        self.offset += group.len() as u64;
        Ok(())
    }

    /// One sync.
    pub(crate) fn sync(&self) -> anyhow::Result<()> {
        Ok(self.file.sync_data()?)
    }
}

/// A group of `records` frames of about `payload_bytes`, as the log would write it.
pub(crate) fn group(records: usize, payload_bytes: usize) -> Vec<u8> {
    let framed = frame::frame_bytes(payload_bytes).unwrap_or(payload_bytes);
    vec![0xA5; records * framed + frame::TERMINATOR_BYTES]
}
