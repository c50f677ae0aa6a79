//! An open segment.

use super::Medium;
use super::device::Device;
use unison_ports::IoError;

/// Handle of one segment. While it is open its slot is not used again.
#[derive(Debug)]
pub struct Segment<D: Device, const SLOTS: usize> {
    pub(super) medium: &'static Medium<D, SLOTS>,
    pub(super) slot: usize,
    pub(super) size: u64,
    pub(super) writable: bool,
}

impl<D: Device, const SLOTS: usize> Segment<D, SLOTS> {
    /// Where on the device a range of the segment lies.
    pub(super) fn place(&self, offset: u64, length: usize) -> Result<u64, IoError> {
        let end = offset.checked_add(length as u64).filter(|&end| end <= self.size);
        end.map(|_| self.medium.start_of(self.slot) + offset).ok_or(IoError::OutOfBounds)
    }
}

impl<D: Device, const SLOTS: usize> Drop for Segment<D, SLOTS> {
    fn drop(&mut self) {
        if let Some(slot) = self.medium.state.lock().slot_mut(self.slot) {
            slot.handles = slot.handles.saturating_sub(1);
        }
    }
}
