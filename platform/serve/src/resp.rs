//! The RESP server: RESP2 and RESP3 over TCP, for the clients and tools of Redis. The protocol itself
//! is in `unison-resp`.
//!
//! ```text
//! socket -> Parser -> Session::handle -+- write -> Run --commit--> replies in order -> Output -> socket
//!                                      +- read, anything else: after the run before it
//! ```
//!
//! Everything a client has sent is taken together: writes that follow each other become one run,
//! staged at once and acknowledged once, and all replies leave with one write to the socket.

mod audience;
mod clients;
mod connection;
mod run;
mod server;
mod session;
mod table;

pub use server::RespServer;
