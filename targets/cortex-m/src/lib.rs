//! What a microcontroller without a heap does, as far as it is not hardware: a medium for segments, a
//! log of its own, a copy of a hub's log, and the last value of every key.
//!
//! ```text
//!  bytes of a leader ──▶ Tail: SmallFollower ──runs──▶ SmallLog ──▶ LastValues
//!  measurements ───────▶ Journal: put_record ────────▶ SmallLog
//!                                                        │ SegmentStore
//!                                          Medium: cells and slots ──▶ Device
//! ```
//!
//! Every buffer is the caller's and every table has a fixed size. It is tested on the host.

#![no_std]
#![forbid(unsafe_code)]
#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod journal;
pub mod medium;
pub mod record;
mod table;
mod tail;

pub use journal::{Journal, JournalError};
pub use table::{KEY_BYTES_MAX, KEYS_MAX, LastValue, LastValues, VALUE_BYTES_MAX};
pub use tail::{Buffers, RUN_BYTES, Tail, TailError, Told};
