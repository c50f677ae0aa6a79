//! Records without a heap: the fields are described in `schemas/records.md`.
//!
//! The code that flatc generates needs an allocator as soon as it is linked, so the few fields that a
//! microcontroller wants are read by hand, every length checked.

mod decode;
mod encode;
mod flat;

pub use decode::{Entry, Kind, Record, RecordError, decode};
pub use encode::{Head, RECORD_OVERHEAD_BYTES, put_record};

/// First byte of every key of a key-value entry.
pub const KEY_PREFIX: u8 = 0xFE;
