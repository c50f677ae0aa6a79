//! One node: the link's state machines joined with the logs and engines they speak for.
//!
//! ```text
//!             bytes, time                              bytes, time
//!  socket ──────────────▶ FollowerSession ◀─ Replica    LeaderSession ◀────────────── socket
//!                              │  apply, seal, commit       │  cursor, next_run
//!                              ▼                            ▼
//!                            Engine                      LogReader
//! ```
//!
//! The driver of a connection moves bytes and tells the time; it knows neither records nor logs.
//! The same two types run over TCP on Linux, over a simulated link, and without an OS.

#![no_std]
#![forbid(unsafe_code)]
#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

extern crate alloc;

mod engine_replica;
mod follower;
mod leader;
mod replica;

pub use engine_replica::{EngineReplica, end_of_log, run_header};
pub use follower::{FollowerSession, Stepped};
pub use leader::{Admission, LeaderSession, Outgoing, ServedNamespace, Source};
pub use replica::{Progress, Replica, ReplicaError};
