//! RESP without I/O: what a client may ask, what it is answered, and what an answer reads. Shared by
//! the servers of every platform, which only move bytes and decide who may write.
//!
//! ```text
//! bytes -> Parser -> Command -> table::find -> what the platform does with the Verb -> Output -> bytes
//! ```
//!
//! ```
//! use unison_resp::output::Output;
//! use unison_resp::parse::Parser;
//! use unison_resp::table::{self, Verb};
//!
//! let (mut parser, mut output) = (Parser::default(), Output::default());
//! let input = b"*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n";
//! assert_eq!(parser.parse(input)?, Some(input.len()));
//! let command = parser.command(input);
//! let spec = table::find(command.argument(0)).unwrap();
//! assert!(spec.verb == Verb::Echo && spec.takes(command.len()));
//! output.bulk(command.argument(1));
//! assert_eq!(output.bytes(), b"$2\r\nhi\r\n");
//! # Ok::<(), unison_resp::parse::ProtocolError>(())
//! ```

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

pub mod cursors;
pub mod describe;
pub mod expiry;
pub mod glob;
pub mod greeting;
pub mod hash_scan;
pub mod hashes;
pub mod info;
pub mod output;
pub mod parse;
pub mod reads;
pub mod refusal;
pub mod scan;
pub mod subscriptions;
pub mod table;
pub mod transactions;

/// The version of Redis whose clients find what they expect.
pub const COMPATIBLE_VERSION: &str = "7.0.0";
