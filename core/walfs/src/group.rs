//! The records that one write will append.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;
use unison_base::frame::{self, TERMINATOR_BYTES};

/// Memory kept between groups; a larger group gives the rest back.
#[cfg(feature = "alloc")]
const KEPT_BYTES: usize = 1 << 20;

/// Where a group lies: memory that grows, or the caller's.
pub(crate) trait Memory: AsRef<[u8]> + AsMut<[u8]> {
    /// Makes it at least `bytes` long; false when it cannot be.
    fn reserve(&mut self, bytes: usize) -> bool;
    /// May give back what a rare large group took; called when nothing is in it.
    fn shrink(&mut self);
}

#[cfg(feature = "alloc")]
impl Memory for Vec<u8> {
    fn reserve(&mut self, bytes: usize) -> bool {
        if bytes > self.len() {
            self.resize(bytes.next_power_of_two(), 0);
        }
        true
    }

    fn shrink(&mut self) {
        if self.len() > KEPT_BYTES {
            self.truncate(KEPT_BYTES);
            self.shrink_to_fit();
        }
    }
}

impl Memory for &mut [u8] {
    fn reserve(&mut self, bytes: usize) -> bool {
        bytes <= self.len()
    }

    fn shrink(&mut self) {}
}

/// Frames, one behind the other. The buffer keeps its length between groups, so that staging a
/// record writes its bytes once.
#[derive(Debug, Default)]
pub(crate) struct Group<M> {
    buffer: M,
    used: usize,
    count: u64,
}

impl<M: Memory> Group<M> {
    pub(crate) const fn over(buffer: M) -> Self {
        Self { buffer, used: 0, count: 0 }
    }

    /// The memory, for other uses while nothing is staged.
    pub(crate) fn memory(&mut self) -> &mut [u8] {
        debug_assert!(self.is_empty());
        self.buffer.as_mut()
    }

    /// The largest frame that memory which does not grow can take.
    pub(crate) fn room_max(&self) -> usize {
        self.buffer.as_ref().len().saturating_sub(TERMINATOR_BYTES)
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.used
    }

    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a frame of `frame_bytes`, as computed for this payload.
    pub(crate) fn push(&mut self, payload: &[u8], frame_bytes: usize) -> Option<()> {
        self.reserve(frame_bytes)?;
        self.used += frame::write_frame(payload, self.buffer.as_mut().get_mut(self.used..)?)?;
        self.count += 1;
        Some(())
    }

    /// Takes frames that are encoded already.
    pub(crate) fn extend(&mut self, frames: &[u8], count: u64) -> Option<()> {
        self.reserve(frames.len())?;
        unison_base::bytes::put(self.buffer.as_mut(), self.used, frames)?;
        self.used += frames.len();
        self.count += count;
        Some(())
    }

    /// The frames, and behind them the zeros that end every write, or as many as `room` lets.
    pub(crate) fn with_terminator(&mut self, room: u64) -> &[u8] {
        let behind = usize::try_from(room).unwrap_or(usize::MAX).saturating_sub(self.used);
        let end = self.used + behind.min(TERMINATOR_BYTES);
        if let Some(terminator) = self.buffer.as_mut().get_mut(self.used..end) {
            terminator.fill(0);
        }
        self.buffer.as_ref().get(..end).unwrap_or_default()
    }

    pub(crate) fn frames(&self) -> &[u8] {
        self.buffer.as_ref().get(..self.used).unwrap_or_default()
    }

    pub(crate) fn clear(&mut self) {
        (self.used, self.count) = (0, 0);
        self.buffer.shrink();
    }

    fn reserve(&mut self, more: usize) -> Option<()> {
        let needed = self.used.checked_add(more)?.checked_add(TERMINATOR_BYTES)?;
        self.buffer.reserve(needed).then_some(())
    }
}
