//! Records: what a frame of the log holds. The fields are described in `schemas/records.md`.
//!
//! Records are written by an encoder that knows the two shapes that they have (keys and values,
//! rows), and read by the code that flatc generates, after its verifier has seen every table.

mod decode;
mod decode_row;
mod encode;
mod encode_row;

pub(crate) use decode::{KeyValue, Kind, Record, decode, key_values, watermark};
pub(crate) use decode_row::{RowEntry, rows};
pub(crate) use encode::{Encoder, Head, Span};

#[cfg(test)]
mod row_tests;
#[cfg(test)]
mod tests;
