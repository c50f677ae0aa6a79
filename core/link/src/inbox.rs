//! Received bytes, in one bounded buffer, and where in them the next message is.

use crate::messages::Run;
use crate::wire::{BODY_MAX, HEADER_BYTES, Header, Kind, RUN_BODY_MAX, WireError};

/// Memory for received bytes: the caller's own, or a `Vec` that grows.
pub trait Memory: AsRef<[u8]> + AsMut<[u8]> {
    /// Makes it `bytes` long, keeping what is there; false when it cannot.
    fn grow(&mut self, bytes: usize) -> bool;
    /// May give back what is above `bytes`; called when nothing is kept in it.
    fn shrink(&mut self, bytes: usize);
}

impl Memory for &mut [u8] {
    fn grow(&mut self, bytes: usize) -> bool {
        bytes <= self.len()
    }
    fn shrink(&mut self, _bytes: usize) {}
}

impl<const N: usize> Memory for [u8; N] {
    fn grow(&mut self, bytes: usize) -> bool {
        bytes <= N
    }
    fn shrink(&mut self, _bytes: usize) {}
}

#[cfg(feature = "alloc")]
impl Memory for alloc::vec::Vec<u8> {
    fn grow(&mut self, bytes: usize) -> bool {
        let missing = bytes.saturating_sub(self.len());
        if self.try_reserve_exact(missing).is_err() {
            return false;
        }
        self.resize(bytes.max(self.len()), 0);
        true
    }
    fn shrink(&mut self, bytes: usize) {
        self.truncate(bytes);
        self.shrink_to(bytes);
    }
}

/// Bytes that any message without frames needs.
pub(crate) const INBOX_BYTES_MIN: usize = HEADER_BYTES + BODY_MAX;

#[derive(Clone, Debug)]
pub(crate) struct Inbox<M> {
    memory: M,
    idle_bytes: usize,
    run_bytes_max: usize,
    start: usize,
    end: usize,
}

/// What the bytes at hand make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// One whole message of so many bytes, at the start of [`Inbox::pending`].
    Message { kind: u8, bytes: usize },
    /// A part of a message of at least so many bytes.
    Part { bytes: usize },
    /// Nothing.
    Empty,
}

impl<M: Memory> Inbox<M> {
    /// `run_bytes_max` bounds the frames of one Run, and with it what the memory grows to.
    pub(crate) fn new(mut memory: M, run_bytes_max: usize) -> Option<Self> {
        if memory.as_ref().len() < INBOX_BYTES_MIN && !memory.grow(INBOX_BYTES_MIN) {
            return None;
        }
        let mut inbox = Self::over(memory);
        inbox.run_bytes_max = run_bytes_max;
        Some(inbox)
    }

    /// For messages without frames only.
    pub(crate) fn over(memory: M) -> Self {
        let idle_bytes = memory.as_ref().len();
        Self { memory, idle_bytes, run_bytes_max: 0, start: 0, end: 0 }
    }

    /// Room for received bytes; empty while whole messages fill it.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        self.memory.as_mut().get_mut(self.end..).unwrap_or_default()
    }

    pub(crate) fn filled(&mut self, bytes: usize) {
        self.end = self.end.saturating_add(bytes).min(self.memory.as_ref().len());
    }

    pub(crate) fn pending(&self) -> &[u8] {
        self.memory.as_ref().get(self.start..self.end).unwrap_or_default()
    }

    /// The bytes stay readable by [`Self::consumed`] until the next call that takes `&mut`.
    pub(crate) fn consume(&mut self, bytes: usize) {
        self.start = self.start.saturating_add(bytes).min(self.end);
    }

    /// The last bytes of the message that was consumed last.
    pub(crate) fn consumed(&self, bytes: usize) -> &[u8] {
        let from = self.start.saturating_sub(bytes);
        self.memory.as_ref().get(from..self.start).unwrap_or_default()
    }

    pub(crate) fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    /// Gives memory back that only a large message needed.
    pub(crate) fn rest(&mut self) {
        if self.start == self.end && self.memory.as_ref().len() > self.idle_bytes {
            self.clear();
            self.memory.shrink(self.idle_bytes);
        }
    }

    /// Looks at the next message. Its length is bounded, and a Run's head is checked, before room is
    /// made for it.
    pub(crate) fn next(&mut self) -> Result<Next, WireError> {
        let pending = self.pending();
        let Some(header) = Header::peek(pending) else {
            let next =
                if pending.is_empty() { Next::Empty } else { Next::Part { bytes: HEADER_BYTES } };
            return self.make_room(INBOX_BYTES_MIN, header_of_none()).map(|()| next);
        };
        let bytes = header.message_bytes(self.run_bytes_max)?;
        if pending.len() >= bytes {
            return Ok(Next::Message { kind: header.kind, bytes });
        }
        let head_bytes = HEADER_BYTES + RUN_BODY_MAX;
        if header.kind == Kind::Run as u8 && bytes > head_bytes {
            if pending.len() < head_bytes {
                self.make_room(head_bytes, header)?;
                return Ok(Next::Part { bytes: head_bytes });
            }
            Run::open(pending)?;
        }
        self.make_room(bytes, header)?;
        Ok(Next::Part { bytes })
    }

    fn make_room(&mut self, bytes: usize, header: Header) -> Result<(), WireError> {
        let length = self.memory.as_ref().len();
        if length.saturating_sub(self.start) >= bytes {
            return Ok(());
        }
        self.memory.as_mut().copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if length >= bytes || self.memory.grow(bytes) {
            return Ok(());
        }
        let limit = u32::try_from(length).unwrap_or(u32::MAX);
        Err(WireError::TooLong { kind: header.kind, bytes: header.length, limit })
    }
}

const fn header_of_none() -> Header {
    Header { length: 0, kind: 0 }
}

#[cfg(test)]
mod tests;
