//! The records that one write will append.

use alloc::vec::Vec;
use unison_base::frame::{self, TERMINATOR_BYTES};

/// Memory kept between groups; a larger group gives the rest back.
const KEPT_BYTES: usize = 1 << 20;

/// Frames, one behind the other. The buffer keeps its length between groups, so that staging a
/// record writes its bytes once.
#[derive(Debug, Default)]
pub(crate) struct Group {
    buffer: Vec<u8>,
    used: usize,
    count: u64,
}

impl Group {
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
        self.used += frame::write_frame(payload, self.buffer.get_mut(self.used..)?)?;
        self.count += 1;
        Some(())
    }

    /// Takes frames that are encoded already.
    pub(crate) fn extend(&mut self, frames: &[u8], count: u64) -> Option<()> {
        self.reserve(frames.len())?;
        unison_base::bytes::put(&mut self.buffer, self.used, frames)?;
        self.used += frames.len();
        self.count += count;
        Some(())
    }

    /// The frames, and behind them the zeros that end every write, or as many as `room` lets.
    pub(crate) fn with_terminator(&mut self, room: u64) -> &[u8] {
        let behind = usize::try_from(room).unwrap_or(usize::MAX).saturating_sub(self.used);
        let end = self.used + behind.min(TERMINATOR_BYTES);
        if let Some(terminator) = self.buffer.get_mut(self.used..end) {
            terminator.fill(0);
        }
        self.buffer.get(..end).unwrap_or_default()
    }

    pub(crate) fn frames(&self) -> &[u8] {
        self.buffer.get(..self.used).unwrap_or_default()
    }

    pub(crate) fn clear(&mut self) {
        (self.used, self.count) = (0, 0);
        if self.buffer.len() > KEPT_BYTES {
            self.buffer.truncate(KEPT_BYTES);
            self.buffer.shrink_to_fit();
        }
    }

    fn reserve(&mut self, more: usize) -> Option<()> {
        let needed = self.used.checked_add(more)?.checked_add(TERMINATOR_BYTES)?;
        if needed > self.buffer.len() {
            self.buffer.resize(needed.next_power_of_two(), 0);
        }
        Some(())
    }
}
