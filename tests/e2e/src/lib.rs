//! Real processes, real clients, real kills: what the end-to-end tests share.

#![forbid(unsafe_code)]

pub mod clients;
pub mod curl;
pub mod node;
pub mod process;
pub mod relay;
pub mod resp;
