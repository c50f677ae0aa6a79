//! Real processes, real clients, real kills: what the end-to-end tests share.

pub mod process;
