//! The envelope of every message, and its bounds.
//!
//! ```text
//! | length u32 LE | kind u8 | body: postcard fields | check u32 LE | frames (Run only) |
//!                 '---------------- length bytes ----------------------------------- '
//! '------ covered by the check --------------------'
//! ```

use serde::{Deserialize, Serialize};
use unison_base::bytes::{array_at, put, u32_at};
use unison_base::checksum::crc32c;

/// Oldest protocol version spoken here.
pub const PROTOCOL_MIN: u16 = 1;
/// Newest protocol version spoken here.
pub const PROTOCOL_MAX: u16 = 1;
/// Bytes of length and kind.
pub const HEADER_BYTES: usize = 5;
/// Bytes of the check that ends every body: CRC-32C of all bytes before it, length included.
pub const CHECK_BYTES: usize = 4;
/// Longest body of any message, check included, frames not.
pub const BODY_MAX: usize = 1024;
/// Longest body of a Run, check included, frames not.
pub const RUN_BODY_MAX: usize = 64;
/// Kinds with this bit may be skipped by a node that does not know them.
pub const OPTIONAL: u8 = 0x80;
/// The least room `poll_transmit` must be given: every message without frames fits.
pub const TRANSMIT_BYTES_MIN: usize = HEADER_BYTES + BODY_MAX;

const LENGTH_BYTES: usize = 4;

/// The kinds of protocol version 1. Numbers 4 and 6 to 8 are reserved and not yet offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Follower: who I am and what I want.
    Hello = 1,
    /// Leader: who I am, and an answer for each namespace asked for.
    Welcome = 2,
    /// Leader: frames.
    Run = 3,
    /// Leader: a segment has ended.
    Seal = 5,
    /// Follower: what it holds, and how much more it takes.
    Ack = 9,
    /// Both: alive, and how far.
    Beat = 10,
    /// Both: the connection ends.
    Bye = 11,
    /// Follower: one namespace, from a cursor; first request, rewind and repeated request alike.
    Follow = 12,
}

impl Kind {
    /// The kind of a number; `None` for all others.
    #[must_use]
    pub const fn of(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Hello,
            2 => Self::Welcome,
            3 => Self::Run,
            5 => Self::Seal,
            9 => Self::Ack,
            10 => Self::Beat,
            11 => Self::Bye,
            12 => Self::Follow,
            _ => return None,
        })
    }

    /// Longest body, check included, frames not.
    #[must_use]
    pub const fn body_max(self) -> usize {
        match self {
            Self::Hello | Self::Welcome | Self::Beat => BODY_MAX,
            Self::Run | Self::Seal | Self::Ack => RUN_BODY_MAX,
            Self::Bye => 32,
            Self::Follow => 192,
        }
    }
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The length is below the smallest message.
    #[error("a message of {bytes} bytes is none")]
    TooShort {
        /// Length as sent.
        bytes: u32,
    },
    /// The length is above what this kind may have.
    #[error("a message of kind {kind} with {bytes} bytes, the limit is {limit}")]
    TooLong {
        /// Kind as sent.
        kind: u8,
        /// Length as sent.
        bytes: u32,
        /// Longest this node takes.
        limit: u32,
    },
    /// A kind that must be understood and is not.
    #[error("a message of unknown kind {kind}")]
    UnknownKind {
        /// Kind as sent.
        kind: u8,
    },
    /// A known kind that this side, or this moment, does not take.
    #[error("a message of kind {kind} out of place")]
    Unexpected {
        /// Kind as sent.
        kind: u8,
    },
    /// The bytes changed on their way.
    #[error("the check of a message of kind {kind} is wrong")]
    Check {
        /// Kind as sent.
        kind: u8,
    },
    /// The body is not what its kind has.
    #[error("the body of a message of kind {kind} is malformed")]
    Body {
        /// Kind as sent.
        kind: u8,
    },
}

/// The first five bytes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes behind the length.
    pub length: u32,
    /// Kind as sent.
    pub kind: u8,
}

impl Header {
    /// The header at the start of `bytes`; `None` while it is incomplete.
    #[must_use]
    pub fn peek(bytes: &[u8]) -> Option<Self> {
        let length = u32_at(bytes, 0)?;
        let [kind] = array_at(bytes, LENGTH_BYTES)?;
        Some(Self { length, kind })
    }

    /// Bytes of the whole message, bounded.
    ///
    /// # Errors
    /// [`WireError`] for lengths and kinds this node does not take. `run_bytes_max` bounds the
    /// frames of a Run.
    pub fn message_bytes(self, run_bytes_max: usize) -> Result<usize, WireError> {
        let body_max = match Kind::of(self.kind) {
            Some(Kind::Run) => RUN_BODY_MAX.saturating_add(run_bytes_max),
            Some(kind) => kind.body_max(),
            None if self.kind & OPTIONAL != 0 => BODY_MAX,
            None => return Err(WireError::UnknownKind { kind: self.kind }),
        };
        let bytes = usize::try_from(self.length).unwrap_or(usize::MAX);
        if bytes < 1 + CHECK_BYTES {
            return Err(WireError::TooShort { bytes: self.length });
        }
        if bytes > body_max.saturating_add(1) {
            let limit = u32::try_from(body_max.saturating_add(1)).unwrap_or(u32::MAX);
            return Err(WireError::TooLong { kind: self.kind, bytes: self.length, limit });
        }
        Ok(bytes.saturating_add(LENGTH_BYTES))
    }
}

/// Writes one message into the caller's bytes.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl<'a> Writer<'a> {
    /// Starts a message of `kind`; `None` when not even an empty one fits.
    #[must_use]
    pub fn begin(out: &'a mut [u8], kind: Kind) -> Option<Self> {
        let room = out.len().min(HEADER_BYTES + kind.body_max());
        let out = out.get_mut(..room).filter(|out| out.len() >= HEADER_BYTES + CHECK_BYTES)?;
        put(out, LENGTH_BYTES, &[kind as u8])?;
        Some(Self { out, at: HEADER_BYTES })
    }

    /// Adds a value, whole or not at all; false when it does not fit.
    pub fn put<T: Serialize>(&mut self, value: &T) -> bool {
        let end = self.out.len() - CHECK_BYTES;
        let Some(room) = self.out.get_mut(self.at..end) else { return false };
        let Ok(used) = postcard::to_slice(value, room).map(|used| used.len()) else { return false };
        self.at += used;
        true
    }

    /// Bytes so far, check included.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.at + CHECK_BYTES
    }

    /// Ends the message with its check; `frame_bytes` will follow it. Returns the bytes written.
    #[must_use]
    pub fn finish(self, frame_bytes: u32) -> Option<usize> {
        let total = self.bytes();
        let length = u32::try_from(total - LENGTH_BYTES).ok()?.checked_add(frame_bytes)?;
        put(self.out, 0, &length.to_le_bytes())?;
        let check = crc32c(self.out.get(..self.at)?);
        put(self.out, self.at, &check.to_le_bytes())?;
        Some(total)
    }
}

/// Reads the fields of one whole message without frames.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    kind: u8,
    fields: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Opens `message`, length and kind included, after its check.
    ///
    /// # Errors
    /// [`WireError::Check`] when a byte has changed.
    pub fn open(message: &'a [u8]) -> Result<Self, WireError> {
        let kind = Header::peek(message).map_or(0, |header| header.kind);
        let fault = WireError::Check { kind };
        let end = message.len().checked_sub(CHECK_BYTES).ok_or(fault)?;
        let fields = message.get(..end).ok_or(fault)?;
        let check = u32_at(message, end).ok_or(fault)?;
        if end < HEADER_BYTES || crc32c(fields) != check {
            return Err(fault);
        }
        Ok(Self { kind, fields, at: HEADER_BYTES })
    }

    /// The same message, to be read on from `at`, as [`Self::position`] gave it.
    #[must_use]
    pub const fn resume(message: &'a [u8], kind: u8, at: usize) -> Self {
        let fields = message.split_at(message.len().saturating_sub(CHECK_BYTES)).0;
        Self { kind, fields, at }
    }

    /// Bytes read, counted from the start of the message.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// True when all fields are read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.at >= self.fields.len()
    }

    /// The next value.
    ///
    /// # Errors
    /// [`WireError::Body`] when the bytes are no such value.
    pub fn take<T: Deserialize<'a>>(&mut self) -> Result<T, WireError> {
        let fault = WireError::Body { kind: self.kind };
        let rest = self.fields.get(self.at..).ok_or(fault)?;
        let (value, left) = postcard::take_from_bytes(rest).map_err(|_| fault)?;
        self.at = self.fields.len() - left.len();
        Ok(value)
    }

    /// The last value: nothing may follow it.
    ///
    /// # Errors
    /// [`WireError::Body`] when the bytes are no such value or more follow.
    pub fn only<T: Deserialize<'a>>(mut self) -> Result<T, WireError> {
        let value = self.take()?;
        if self.is_empty() { Ok(value) } else { Err(WireError::Body { kind: self.kind }) }
    }
}

#[cfg(test)]
mod tests;
