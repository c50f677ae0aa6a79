//! The entries of golden records, each a FlatBuffer of its own.

use flatbuffers::{FlatBufferBuilder, WIPOffset};
use unison_schemas::{
    ColumnData, ColumnDataArgs, EventEntry, EventEntryArgs, Header, HeaderArgs, KeyEpochEntry,
    KeyEpochEntryArgs, KeyValueEntry, KeyValueEntryArgs, MessageDeleteEntry,
    MessageDeleteEntryArgs, MessageEntry, MessageEntryArgs, RowUpdateEntry, RowUpdateEntryArgs,
    StreamDefineEntry, StreamDefineEntryArgs, TopicRule, TopicRuleArgs, TopicSettingsEntry,
    TopicSettingsEntryArgs, TrimEntry, TrimEntryArgs,
};

/// What an entry should say.
pub(crate) enum Entry {
    KeyValue { key: &'static [u8], value: Option<&'static [u8]>, expires_at: u64 },
    Row { key: &'static [u8], columns: &'static [(&'static str, &'static [u8])], expires_at: u64 },
    Event { id: &'static str, kind: &'static str, at: u64, payload: &'static [u8] },
    Stream { id: u64, name: &'static str },
    Message { stream: u64, expires_at: u64, flags: u8, headers: Headers, payload: &'static [u8] },
    MessageDelete { stream: u64, time: u64, lsn: u64, index: u32 },
    Trim { stream: u64, time: u64, lsn: u64 },
    Settings { ttl: u64, compression: u8, encryption: u8, rules: Rules },
    KeyEpoch { epoch: u64, key_id: &'static [u8], nonce: &'static [u8], wrapped: &'static [u8] },
    Opaque(&'static [u8]),
}

type Headers = &'static [(&'static str, &'static [u8])];
/// Filter, time to live, how many messages are kept.
type Rules = &'static [(&'static str, u64, u32)];

pub(crate) fn encode_entry(entry: &Entry) -> Vec<u8> {
    let mut builder = FlatBufferBuilder::new();
    match *entry {
        Entry::KeyValue { key, value, expires_at } => {
            let value = value.map(|value| builder.create_vector(value));
            let key = Some(builder.create_vector(key));
            let args = KeyValueEntryArgs { key, value, expires_at };
            let root = KeyValueEntry::create(&mut builder, &args);
            builder.finish_minimal(root);
        }
        Entry::Row { key, columns, expires_at } => {
            let columns: Vec<_> = columns
                .iter()
                .map(|&(name, value)| {
                    let name = Some(builder.create_string(name));
                    let value = Some(builder.create_vector(value));
                    ColumnData::create(&mut builder, &ColumnDataArgs { name, value })
                })
                .collect();
            let columns = Some(builder.create_vector(&columns));
            let key = Some(builder.create_vector(key));
            let args = RowUpdateEntryArgs { key, columns, expires_at };
            let root = RowUpdateEntry::create(&mut builder, &args);
            builder.finish_minimal(root);
        }
        Entry::Event { id, kind, at, payload } => {
            let args = EventEntryArgs {
                event_id: Some(builder.create_string(id)),
                event_type: Some(builder.create_string(kind)),
                occurred_at: at,
                payload: Some(builder.create_vector(payload)),
                metadata: None,
            };
            let root = EventEntry::create(&mut builder, &args);
            builder.finish_minimal(root);
        }
        Entry::Stream { id, name } => {
            let name = Some(builder.create_string(name));
            let root = StreamDefineEntry::create(&mut builder, &StreamDefineEntryArgs { id, name });
            builder.finish_minimal(root);
        }
        Entry::Message { stream, expires_at, flags, headers, payload } => {
            let headers = (!headers.is_empty()).then(|| encode_headers(&mut builder, headers));
            let payload = Some(builder.create_vector(payload));
            let args = MessageEntryArgs { stream, expires_at, flags, headers, payload };
            let root = MessageEntry::create(&mut builder, &args);
            builder.finish_minimal(root);
        }
        Entry::MessageDelete { stream, time, lsn, index } => {
            let args = MessageDeleteEntryArgs { stream, time, lsn, index };
            let root = MessageDeleteEntry::create(&mut builder, &args);
            builder.finish_minimal(root);
        }
        Entry::Trim { stream, time, lsn } => {
            let root = TrimEntry::create(&mut builder, &TrimEntryArgs { stream, time, lsn });
            builder.finish_minimal(root);
        }
        Entry::Settings { ttl, compression, encryption, rules } => {
            let rules = (!rules.is_empty()).then(|| encode_rules(&mut builder, rules));
            let args = TopicSettingsEntryArgs { ttl, compression, encryption, rules };
            let root = TopicSettingsEntry::create(&mut builder, &args);
            builder.finish_minimal(root);
        }
        Entry::KeyEpoch { epoch, key_id, nonce, wrapped } => {
            let [key_id, nonce, wrapped] =
                [key_id, nonce, wrapped].map(|bytes| Some(builder.create_vector(bytes)));
            let args = KeyEpochEntryArgs { epoch, key_id, nonce, wrapped };
            let root = KeyEpochEntry::create(&mut builder, &args);
            builder.finish_minimal(root);
        }
        Entry::Opaque(bytes) => return bytes.to_vec(),
    }
    builder.finished_data().to_vec()
}

fn encode_headers<'a>(
    builder: &mut FlatBufferBuilder<'a>,
    headers: Headers,
) -> WIPOffset<flatbuffers::Vector<'a, flatbuffers::ForwardsUOffset<Header<'a>>>> {
    let headers: Vec<_> = headers
        .iter()
        .map(|&(name, value)| {
            let name = Some(builder.create_string(name));
            let value = Some(builder.create_vector(value));
            Header::create(builder, &HeaderArgs { name, value })
        })
        .collect();
    builder.create_vector(&headers)
}

fn encode_rules<'a>(
    builder: &mut FlatBufferBuilder<'a>,
    rules: Rules,
) -> WIPOffset<flatbuffers::Vector<'a, flatbuffers::ForwardsUOffset<TopicRule<'a>>>> {
    let rules: Vec<_> = rules
        .iter()
        .map(|&(filter, ttl, keep_last)| {
            let filter = Some(builder.create_string(filter));
            TopicRule::create(builder, &TopicRuleArgs { filter, ttl, keep_last })
        })
        .collect();
    builder.create_vector(&rules)
}

pub(crate) fn check_entry(bytes: &[u8], expected: &Entry) {
    match *expected {
        Entry::KeyValue { key, value, expires_at } => {
            let entry = flatbuffers::root::<KeyValueEntry<'_>>(bytes).expect("a key-value entry");
            assert_eq!(entry.key().expect("a key").bytes(), key);
            assert_eq!(entry.value().map(|value| value.bytes()), value);
            assert_eq!(entry.expires_at(), expires_at);
        }
        Entry::Row { key, columns, expires_at } => {
            let entry = flatbuffers::root::<RowUpdateEntry<'_>>(bytes).expect("a row entry");
            assert_eq!(entry.key().expect("a key").bytes(), key);
            let found = entry.columns().expect("columns");
            let found: Vec<_> = found
                .iter()
                .map(|column| {
                    let value = column.value().expect("a value");
                    (column.name().expect("a name"), value.bytes())
                })
                .collect();
            assert_eq!(found, columns);
            assert_eq!(entry.expires_at(), expires_at);
        }
        Entry::Event { id, kind, at, payload } => {
            let entry = flatbuffers::root::<EventEntry<'_>>(bytes).expect("an event entry");
            assert_eq!((entry.event_id(), entry.event_type()), (Some(id), Some(kind)));
            assert_eq!(entry.occurred_at(), at);
            assert_eq!(entry.payload().expect("a payload").bytes(), payload);
        }
        Entry::Stream { id, name } => {
            let entry = flatbuffers::root::<StreamDefineEntry<'_>>(bytes).expect("a definition");
            assert_eq!((entry.id(), entry.name()), (id, Some(name)));
        }
        Entry::Message { stream, expires_at, flags, headers, payload } => {
            let entry = flatbuffers::root::<MessageEntry<'_>>(bytes).expect("a message");
            let numbers = (entry.stream(), entry.expires_at(), entry.flags());
            assert_eq!(numbers, (stream, expires_at, flags));
            assert_eq!(entry.payload().expect("a payload").bytes(), payload);
            let found = entry.headers().into_iter().flatten().map(|header| {
                (header.name().expect("a name"), header.value().expect("a value").bytes())
            });
            assert_eq!(found.collect::<Vec<_>>(), headers);
        }
        Entry::MessageDelete { stream, time, lsn, index } => {
            let entry = flatbuffers::root::<MessageDeleteEntry<'_>>(bytes).expect("a deletion");
            let found = (entry.stream(), entry.time(), entry.lsn(), entry.index());
            assert_eq!(found, (stream, time, lsn, index));
        }
        Entry::Trim { stream, time, lsn } => {
            let entry = flatbuffers::root::<TrimEntry<'_>>(bytes).expect("a trim");
            assert_eq!((entry.stream(), entry.time(), entry.lsn()), (stream, time, lsn));
        }
        Entry::Settings { ttl, compression, encryption, rules } => {
            let entry = flatbuffers::root::<TopicSettingsEntry<'_>>(bytes).expect("settings");
            let found = (entry.ttl(), entry.compression(), entry.encryption());
            assert_eq!(found, (ttl, compression, encryption));
            let found = entry.rules().into_iter().flatten();
            let found =
                found.map(|rule| (rule.filter().expect("a filter"), rule.ttl(), rule.keep_last()));
            assert_eq!(found.collect::<Vec<_>>(), rules);
        }
        Entry::KeyEpoch { epoch, key_id, nonce, wrapped } => {
            let entry = flatbuffers::root::<KeyEpochEntry<'_>>(bytes).expect("a key epoch");
            assert_eq!(entry.epoch(), epoch);
            let parts = [entry.key_id(), entry.nonce(), entry.wrapped()];
            assert_eq!(parts.map(|part| part.expect("bytes").bytes()), [key_id, nonce, wrapped]);
        }
        Entry::Opaque(opaque) => assert_eq!(bytes, opaque),
    }
}
