//! Definitions, messages, deletions and trims of verified records.

use super::Kind;
use super::Span;
use super::decode::{Record, entries, nested, span, verify_entries};
use crate::errors::RecordError;
use crate::models::topic::key::MessagePosition;
use crate::seal::FLAG_RETAINED;
use unison_base::Lsn;
use unison_schemas::{
    KeyEpochEntry, LogRecord, MessageDeleteEntry, MessageEntry, OperationType, StreamDefineEntry,
    TopicSettingsEntry, TrimEntry, TxnState,
};

pub(super) fn is_of_topics(operation: OperationType) -> bool {
    (OperationType::TopicDefine..=OperationType::Trim).contains(&operation)
        || [OperationType::TopicSettings, OperationType::KeyEpoch].contains(&operation)
}

/// Of topics, a transaction holds messages and what they are published to.
pub(super) fn kind_of_topics(operation: OperationType, state: TxnState) -> Kind {
    match operation {
        OperationType::Publish => Kind::Publish,
        OperationType::PatternPublish => Kind::PublishPatterns,
        OperationType::TopicDefine => Kind::DefineTopics,
        OperationType::PatternDefine => Kind::DefinePatterns,
        _ if state != TxnState::None => Kind::Foreign,
        OperationType::MessageDelete => Kind::DeleteMessages,
        OperationType::Trim => Kind::Trim,
        OperationType::TopicSettings => Kind::SetTopics,
        OperationType::KeyEpoch => Kind::NewEpoch,
        _ => Kind::Foreign,
    }
}

pub(super) fn verify_topics(table: &LogRecord<'_>) -> Result<(), RecordError> {
    match table.operation_type() {
        OperationType::Publish | OperationType::PatternPublish => {
            verify_entries::<MessageEntry<'_>>(table)
        }
        OperationType::MessageDelete => verify_entries::<MessageDeleteEntry<'_>>(table),
        OperationType::Trim => verify_entries::<TrimEntry<'_>>(table),
        OperationType::TopicSettings => verify_entries::<TopicSettingsEntry<'_>>(table),
        OperationType::KeyEpoch => verify_entries::<KeyEpochEntry<'_>>(table),
        _ => verify_entries::<StreamDefineEntry<'_>>(table),
    }
}

/// Ids, with names or texts and their places in the record.
pub(crate) fn definitions<'a>(record: &Record<'a>) -> impl Iterator<Item = (u64, &'a str, Span)> {
    let payload = record.payload;
    entries(&record.table).filter_map(move |entry| {
        let entry = nested::<StreamDefineEntry<'_>>(entry)?;
        let name = entry.name()?;
        Some((entry.id(), name, span(payload, name.as_bytes())))
    })
}

/// A message in a record or in a value.
pub(crate) struct MessageEntryRef<'a> {
    pub(crate) stream: u64,
    pub(crate) expires_at: u64,
    pub(crate) retained: bool,
    pub(crate) flags: u8,
    table: MessageEntry<'a>,
}

impl<'a> MessageEntryRef<'a> {
    fn new(table: MessageEntry<'a>) -> Self {
        Self {
            stream: table.stream(),
            expires_at: table.expires_at(),
            retained: table.flags() & FLAG_RETAINED != 0,
            flags: table.flags(),
            table,
        }
    }

    /// The payload, or what stands in its place: see [`crate::seal`].
    pub(crate) fn payload(&self) -> &'a [u8] {
        self.table.payload().map(|payload| payload.bytes()).unwrap_or_default()
    }

    /// Names and values.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        self.table.headers().into_iter().flatten().map(|header| {
            let value = header.value().map(|value| value.bytes()).unwrap_or_default();
            (header.name().unwrap_or_default(), value)
        })
    }
}

/// The messages of a record, each with the bytes that are its value and their place.
pub(crate) fn messages<'a>(
    record: &Record<'a>,
) -> impl Iterator<Item = (MessageEntryRef<'a>, &'a [u8], Span)> {
    let payload = record.payload;
    entries(&record.table).filter_map(move |entry| {
        let message = MessageEntryRef::new(nested::<MessageEntry<'_>>(entry)?);
        Some((message, entry, span(payload, entry)))
    })
}

/// The message whose value these bytes are.
pub(crate) fn message_of_entry(bytes: &[u8]) -> Option<MessageEntryRef<'_>> {
    nested::<MessageEntry<'_>>(bytes).map(MessageEntryRef::new)
}

/// Streams and positions of the messages that a record deletes.
pub(crate) fn deletions<'a>(record: &Record<'a>) -> impl Iterator<Item = (u64, MessagePosition)> {
    entries(&record.table).filter_map(|entry| {
        let entry = nested::<MessageDeleteEntry<'_>>(entry)?;
        let (lsn, index) = (Lsn(entry.lsn()), entry.index());
        Some((entry.stream(), MessagePosition { time_ms: entry.time(), lsn, index }))
    })
}

/// Streams that a record trims, with time and LSN of the bound.
pub(crate) fn trims<'a>(record: &Record<'a>) -> impl Iterator<Item = (u64, u64, Lsn)> {
    entries(&record.table).filter_map(|entry| {
        let entry = nested::<TrimEntry<'_>>(entry)?;
        Some((entry.stream(), entry.time(), Lsn(entry.lsn())))
    })
}
