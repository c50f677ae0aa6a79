//! Servers over tokio: RESP, HTTP, metrics, health; and the configuration of both binaries.
//!
//! ```text
//! config -> Listeners::open -> ports file -> Listeners::serve(Node) -> stop signal -> serve::stop
//! ```
//!
//! A [`node::Node`] is the store with everything its servers share; [`health::LinkHealth`] is where
//! the link's driver says how replication stands.

#![forbid(unsafe_code)]
#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod budget;
mod commit;
pub mod config;
pub mod health;
pub mod http;
pub mod link;
pub mod listen;
mod metrics;
pub mod node;
mod panics;
pub mod process;
mod report;
pub mod resp;
pub mod serve;
pub mod shutdown;
mod slow;
mod watch;
#[cfg(feature = "zeromq")]
mod zeromq;

/// The namespace that every node has.
pub const DEFAULT_NAMESPACE: &str = "default";
