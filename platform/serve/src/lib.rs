//! Servers over tokio: RESP, HTTP, metrics, health, configuration.

#![forbid(unsafe_code)]
#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

pub mod config;
pub mod resp;

/// The namespace that every node has.
pub const DEFAULT_NAMESPACE: &str = "default";
