//! What every other crate is made of: ids, the hybrid logical clock, limits, checksums, the frame
//! codec, and a seeded generator.
//!
//! Nothing here knows a clock, a disk or a socket. Without the `alloc` feature nothing allocates.

#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]
#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod bytes;
pub mod checksum;
pub mod frame;
pub mod hlc;
pub mod ids;
pub mod limits;
pub mod name;
pub mod prng;
#[cfg(feature = "alloc")]
pub mod published;

pub use hlc::{Hlc, HlcClock};
pub use ids::{LogId, Lsn, Position, SegmentId, TxnId};
pub use name::{NameError, NamespaceName};
/// Atomics that exist on every target, 64-bit ones on 32-bit boards included.
pub use portable_atomic as atomic;
#[cfg(feature = "alloc")]
pub use published::Published;
