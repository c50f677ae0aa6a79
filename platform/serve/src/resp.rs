//! The RESP server: RESP2 and RESP3 over TCP, for the clients and tools of Redis.

pub mod glob;
pub mod output;
pub mod parse;
