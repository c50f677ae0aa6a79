//! The device, and what is known about its cache.

use crate::block::BlockDevice;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use spin::Mutex;
use unison_ports::IoError;

/// A device that remembers whether it has writes to flush, and whether a flush ever failed.
pub(super) struct Disk<D> {
    device: Arc<D>,
    unflushed: AtomicBool,
    /// Why nothing that is written can be trusted any more (A3).
    failed: Mutex<Option<IoError>>,
}

impl<D: BlockDevice> Disk<D> {
    pub(super) fn new(device: Arc<D>) -> Self {
        Self { device, unflushed: AtomicBool::new(false), failed: Mutex::new(None) }
    }

    pub(super) fn sectors(&self) -> u64 {
        self.device.sectors()
    }

    pub(super) fn read(&self, sector: u64, buffer: &mut [u8]) -> Result<(), IoError> {
        self.device.read(sector, buffer)
    }

    /// Writes whole sectors; not durable before [`flush`](Self::flush).
    pub(super) fn write(&self, sector: u64, bytes: &[u8]) -> Result<(), IoError> {
        let written = self.device.write(sector, bytes);
        // Behind the write: a flush that runs meanwhile does not count for it.
        self.unflushed.store(true, Ordering::Release);
        written
    }

    /// Makes every write that returned durable; costs nothing when there is none. After a failure
    /// every later call fails the same way, because a later success would prove nothing (A3).
    pub(super) fn flush(&self) -> Result<(), IoError> {
        let mut failed = self.failed.lock();
        if let Some(error) = *failed {
            return Err(error);
        }
        if self.unflushed.swap(false, Ordering::AcqRel) {
            self.device.flush().inspect_err(|&error| *failed = Some(error))?;
        }
        Ok(())
    }

    /// Why no flush succeeds any more.
    pub(super) fn failure(&self) -> Option<IoError> {
        *self.failed.lock()
    }

    /// From now on no flush succeeds: what is on the disk is known again once it is opened again.
    pub(super) fn condemn(&self, error: IoError) {
        self.failed.lock().get_or_insert(error);
    }
}
