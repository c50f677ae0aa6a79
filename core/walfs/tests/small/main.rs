//! The log on the caller's buffers, on a disk in memory. Needs no allocation in the crate under test:
//! `cargo test --no-default-features` runs it too, but for the comparison with the other log.

mod another;
#[cfg(feature = "alloc")]
mod beside;
mod crash;
mod cuts;
mod follow;
mod full;
#[path = "../log/planted.rs"]
mod planted;
mod support;
mod write;
