//! Entries of topics, made by the general builder: their tables have optional parts, and most of their
//! bytes are the payload.

use super::encode::Encoder;
use crate::models::topic::key::MessagePosition;
use crate::seal::Stored;
use flatbuffers::{FlatBufferBuilder, WIPOffset};
use unison_base::Lsn;
use unison_schemas::{
    Header, HeaderArgs, MessageDeleteEntry, MessageDeleteEntryArgs, MessageEntry, MessageEntryArgs,
    StreamDefineEntry, StreamDefineEntryArgs, TrimEntry, TrimEntryArgs,
};

/// A builder larger than this is given back after use.
const BUILDER_BYTES: usize = 256 << 10;

/// Adds entries of topics to a record.
#[derive(Default)]
pub(crate) struct TopicEncoder {
    pub(super) builder: FlatBufferBuilder<'static>,
}

impl TopicEncoder {
    /// A topic or a pattern gets an id.
    pub(crate) fn definition(&mut self, record: &mut Encoder, id: u64, name: &str) {
        let name = Some(self.builder.create_string(name));
        let args = StreamDefineEntryArgs { id, name };
        let root = StreamDefineEntry::create(&mut self.builder, &args);
        self.finish(record, root);
    }

    /// A message.
    pub(crate) fn message(&mut self, record: &mut Encoder, message: &Stored<'_>) {
        let builder = &mut self.builder;
        let payload = Some(builder.create_vector(&message.payload));
        let headers = (!message.headers.is_empty()).then(|| {
            let headers: alloc::vec::Vec<_> = message
                .headers
                .iter()
                .map(|(name, value)| {
                    let value = Some(builder.create_vector(value));
                    let name = Some(builder.create_string(name));
                    Header::create(builder, &HeaderArgs { name, value })
                })
                .collect();
            builder.create_vector(&headers)
        });
        let &Stored { stream, expires_at, flags, .. } = message;
        let args = MessageEntryArgs { stream, expires_at, flags, headers, payload };
        let root = MessageEntry::create(builder, &args);
        self.finish(record, root);
    }

    /// The end of a message.
    pub(crate) fn deletion(&mut self, record: &mut Encoder, stream: u64, at: &MessagePosition) {
        let (time, lsn, index) = (at.time_ms, at.lsn.0, at.index);
        let args = MessageDeleteEntryArgs { stream, time, lsn, index };
        let root = MessageDeleteEntry::create(&mut self.builder, &args);
        self.finish(record, root);
    }

    /// The end of everything in a stream before a time and an LSN.
    pub(crate) fn trim(&mut self, record: &mut Encoder, stream: u64, (time, lsn): (u64, Lsn)) {
        let args = TrimEntryArgs { stream, time, lsn: lsn.0 };
        let root = TrimEntry::create(&mut self.builder, &args);
        self.finish(record, root);
    }

    pub(super) fn finish<T>(&mut self, record: &mut Encoder, root: WIPOffset<T>) {
        self.builder.finish_minimal(root);
        let entry = self.builder.finished_data();
        let large = entry.len() > BUILDER_BYTES;
        record.nested(entry);
        if large {
            self.builder = FlatBufferBuilder::new();
        } else {
            self.builder.reset();
        }
    }
}
