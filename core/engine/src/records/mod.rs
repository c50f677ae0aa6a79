//! Records: what a frame of the log holds. The fields are described in `schemas/records.md`.
//!
//! Records are written by an encoder that knows the two shapes that they have (keys and values,
//! rows), and read by the code that flatc generates, after its verifier has seen every table.

mod decode;
mod decode_row;
mod decode_topic;
mod encode;
mod encode_row;
mod encode_topic;
mod key_epoch;
mod topic_settings;

pub(crate) use decode::{
    KeyValue, Kind, Part, Record, TypeOfChange, decode, key_values, watermark,
};
pub(crate) use decode_row::{RowEntry, rows};
pub(crate) use decode_topic::{
    MessageEntryRef, definitions, deletions, message_of_entry, messages, trims,
};
pub(crate) use encode::{Encoder, Head, IdBytes, InTransaction, Span};

pub(crate) use encode_topic::TopicEncoder;
pub(crate) use key_epoch::{key_epoch, key_epoch_of_entry};
pub(crate) use topic_settings::{settings, settings_of_entry};

#[cfg(test)]
mod row_tests;
#[cfg(test)]
mod tests;
