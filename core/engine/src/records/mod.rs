//! Records: what a frame of the log holds. The fields are described in `schemas/records.md`.
//!
//! Records are written by an encoder that knows the one shape a KV record has, and read by the code
//! that flatc generates, after its verifier has seen every table.

mod decode;
mod encode;

pub(crate) use decode::{Kind, Record, decode, key_values};
pub(crate) use encode::{Encoder, Head, Span};

#[cfg(test)]
mod tests;
