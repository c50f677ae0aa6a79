//! The record of the key of an epoch.

use super::Span;
use super::decode::{Record, entries, nested, span};
use super::encode::Encoder;
use super::encode_topic::TopicEncoder;
use crate::seal::Wrapped;
use unison_schemas::{KeyEpochEntry, KeyEpochEntryArgs};

impl TopicEncoder {
    /// The key of an epoch.
    pub(crate) fn key_epoch(&mut self, record: &mut Encoder, key: &Wrapped) {
        let builder = &mut self.builder;
        let parts = [&key.key.0[..], &key.nonce, &key.wrapped];
        let [key_id, nonce, wrapped] = parts.map(|part| Some(builder.create_vector(part)));
        let args = KeyEpochEntryArgs { epoch: key.epoch, key_id, nonce, wrapped };
        let root = KeyEpochEntry::create(builder, &args);
        self.finish(record, root);
    }
}

/// The wrapped key of a record, with the bytes that are its value and their place; `None` when it is
/// none.
pub(crate) fn key_epoch<'a>(record: &Record<'a>) -> Option<(Wrapped, &'a [u8], Span)> {
    let entry = entries(&record.table).next()?;
    Some((key_epoch_of_entry(entry)?, entry, span(record.payload, entry)))
}

/// The wrapped key whose value these bytes are.
pub(crate) fn key_epoch_of_entry(bytes: &[u8]) -> Option<Wrapped> {
    let table = nested::<KeyEpochEntry<'_>>(bytes)?;
    let [key, nonce, wrapped] = [table.key_id()?, table.nonce()?, table.wrapped()?];
    Wrapped::of(table.epoch(), key.bytes(), nonce.bytes(), wrapped.bytes())
}
