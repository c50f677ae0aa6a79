//! A medium in memory, as it was in a file.

use crate::plan::MEDIUM_BYTES;
use spin::Mutex;
use unison_cortex_m::medium::Device;
use unison_ports::IoError;

/// The bytes of a medium.
#[derive(Debug)]
pub(crate) struct Image(Mutex<Vec<u8>>);

impl Image {
    /// Missing bytes are zeros.
    pub(crate) fn of(mut bytes: Vec<u8>) -> Self {
        bytes.resize(MEDIUM_BYTES, 0);
        Self(Mutex::new(bytes))
    }
}

fn range(offset: u64, length: usize) -> Option<std::ops::Range<usize>> {
    let start = usize::try_from(offset).ok()?;
    Some(start..start.checked_add(length)?)
}

impl Device for Image {
    fn bytes(&self) -> u64 {
        MEDIUM_BYTES as u64
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), IoError> {
        let bytes = self.0.lock();
        let found = range(offset, buffer.len()).and_then(|range| bytes.get(range));
        buffer.copy_from_slice(found.ok_or(IoError::OutOfBounds)?);
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), IoError> {
        let mut held = self.0.lock();
        let target = range(offset, bytes.len()).and_then(|range| held.get_mut(range));
        target.ok_or(IoError::OutOfBounds)?.copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&self) -> Result<(), IoError> {
        Ok(())
    }
}
