//! The edge-node's platform where there is no operating system. Nothing here touches hardware: a
//! board gives a block device, a network device, a clock and randomness, so that all of it also
//! runs, and is tested, on a computer.

#![no_std]
#![forbid(unsafe_code)]
#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod block;
pub mod board;
pub mod edge;
pub mod medium;
pub mod net;
pub mod read_ahead;
