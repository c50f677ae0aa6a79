//! Writes to topics: their limits, the ids of what is new, and their records.

use super::keep::Keeping;
use super::{Operation, Written};
use crate::engine::Engine;
use crate::errors::WriteError;
use crate::memtable::StorageKey;
use crate::models::topic::key::{KeyKind, MessageId, MessagePosition};
use crate::models::topic::name::{TopicFilter, check_topic};
use crate::models::topic::settings::{
    self, Compression, Encryption, FOREVER, Rules, Target, TopicSettings,
};
use crate::read::{Known, message_by_id};
use crate::records::{Encoder, Head, InTransaction, TopicEncoder};
use crate::seal::{Closer, FLAG_RETAINED, Keyring, Sealer, Stored};
use alloc::vec::Vec;
use unison_base::Lsn;
use unison_base::frame::{OVERHEAD_BYTES, frame_bytes};
use unison_base::limits::{
    BATCH_BYTES_MAX, MESSAGE_HEADER_NAME_MAX, MESSAGE_HEADERS_BYTES_MAX, MESSAGE_HEADERS_MAX,
    VALUE_MAX,
};
use unison_ports::SegmentStore;
use unison_schemas::{EntryType, OperationType, TxnState};

/// A buffer larger than this is given back after use.
const BODY_KEPT_BYTES: usize = 256 << 10;
/// Bytes of a segment's header.
const FIRST_FRAME: u64 = 64;

/// A message on its way in. Its id is the LSN of the write and its place in it, from 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewMessage<'a> {
    /// The topic, or the pattern, that it is published to.
    pub topic: &'a str,
    /// The payload; may be empty.
    pub payload: &'a [u8],
    /// Names and values.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// After how many milliseconds it is gone; `None`: what the settings of topics say, which without
    /// any is [`FOREVER`].
    pub ttl_ms: Option<u64>,
    /// It becomes its topic's retained message. Means nothing for a pattern.
    pub retain: bool,
}

/// Which messages of which topics a trim takes.
#[derive(Clone, Copy, Debug)]
pub struct TrimBefore<'a> {
    /// The topics, or the patterns.
    pub topics: &'a [&'a str],
    /// Messages of an earlier time go, ms since 1970.
    pub before_ms: u64,
}

/// What writing to topics keeps between writes.
#[derive(Default)]
pub(crate) struct TopicWriter {
    pub(super) next_id: Option<u64>,
    /// Readers know of patterns and settings whose records may not be appended yet.
    staged_definitions: bool,
    pub(super) keeping: Keeping,
    /// What messages are sealed with since the log was opened.
    pub(super) sealer: Option<Sealer>,
    /// Headers and payload of a message on its way.
    body: Vec<u8>,
    /// The record of definitions that goes before a record of messages.
    definitions: Encoder,
    pub(super) entries: TopicEncoder,
}

impl TopicWriter {
    /// What was known of the log is looked up again.
    pub(crate) fn forget(&mut self) {
        self.next_id = None;
        self.staged_definitions = false;
        self.keeping.forget();
        self.sealer = None;
    }

    /// Takes note of new patterns or settings.
    pub(crate) fn defined(&mut self) {
        self.staged_definitions = true;
    }

    /// Takes note of new settings: what was due by the old ones is not.
    pub(crate) fn set(&mut self) {
        self.keeping.forget();
        self.defined();
    }

    /// Everything so far is in the log.
    pub(super) fn appended(&mut self) {
        self.staged_definitions = false;
        self.keeping.appended();
    }

    pub(super) fn has_staged_definitions(&self) -> bool {
        self.staged_definitions
    }
}

/// Refuses messages that break a limit.
pub(super) fn check(operation: &Operation<'_>) -> Result<(), WriteError> {
    let (messages, pattern) = match *operation {
        Operation::SetTopics(settings) => return Ok(settings::check(settings)?),
        Operation::Publish(messages) => (messages, false),
        Operation::PublishPattern(messages) => (messages, true),
        _ => return Ok(()),
    };
    let mut total = 0_usize;
    for message in messages {
        if pattern {
            TopicFilter::new(message.topic)?;
        } else {
            check_topic(message.topic)?;
        }
        total = total.saturating_add(check_message(message)?);
    }
    if messages.len() > 1 && total > BATCH_BYTES_MAX {
        return Err(WriteError::BatchBytes { bytes: total, limit: BATCH_BYTES_MAX });
    }
    Ok(())
}

/// What a message is published to.
fn target<'a>(operation: &Operation<'_>, message: &NewMessage<'a>) -> Target<'a> {
    match operation {
        Operation::Publish(_) => Target::Topic(message.topic),
        _ => Target::Pattern(message.topic),
    }
}

/// Bytes of a message that keeps the limits.
fn check_message(message: &NewMessage<'_>) -> Result<usize, WriteError> {
    let payload = message.payload.len();
    if payload > VALUE_MAX {
        return Err(WriteError::ValueLength { bytes: payload, limit: VALUE_MAX });
    }
    let names = 1..=MESSAGE_HEADER_NAME_MAX;
    let mut headers = 0_usize;
    for (name, value) in message.headers {
        headers = headers.saturating_add(name.len()).saturating_add(value.len());
        if !names.contains(&name.len()) {
            return Err(HEADERS);
        }
    }
    if message.headers.len() > MESSAGE_HEADERS_MAX || headers > MESSAGE_HEADERS_BYTES_MAX {
        return Err(HEADERS);
    }
    Ok(message.topic.len().saturating_add(payload).saturating_add(headers))
}

const HEADERS: WriteError = WriteError::Headers {
    headers: MESSAGE_HEADERS_MAX,
    name: MESSAGE_HEADER_NAME_MAX,
    bytes: MESSAGE_HEADERS_BYTES_MAX,
};

impl<S: SegmentStore> Engine<S> {
    /// Stages an operation on topics.
    pub(super) fn stage_topics(
        &mut self,
        operation: &Operation<'_>,
        now_ms: u64,
    ) -> Result<Written<S>, WriteError> {
        let lsn = match *operation {
            Operation::Publish(messages) | Operation::PublishPattern(messages) => {
                self.stage_messages(operation, messages, None, now_ms)?
            }
            Operation::DeleteMessage(id) => self.stage_deletion(operation, id, now_ms)?,
            Operation::Trim(trim) => self.stage_trim(operation, (KeyKind::Name, trim), now_ms)?,
            Operation::TrimPatterns(trim) => {
                self.stage_trim(operation, (KeyKind::Text, trim), now_ms)?
            }
            Operation::SetTopics(settings) => self.stage_settings(operation, settings, now_ms)?,
            _ => return Err(WriteError::EmptyBatch),
        };
        Ok(Written::plain(lsn))
    }

    /// Messages, and before them what of their topics is new: both or none, when one segment can hold
    /// both. In a transaction that belongs to it too: a topic is there from its commit on.
    pub(super) fn stage_messages(
        &mut self,
        operation: &Operation<'_>,
        messages: &[NewMessage<'_>],
        within: Option<&StorageKey>,
        now_ms: u64,
    ) -> Result<Lsn, WriteError> {
        let rules = self.shared.rules.with(Known::clone)?;
        if self.topics.keeping.is_urgent() {
            self.trim_some(now_ms)?;
        }
        self.ready_to_seal(&rules, now_ms)?;
        let streams = self.streams(operation, messages, within)?;
        if let Some(id) = within {
            self.has_room_within(id, operation.index_bytes().saturating_add(streams.index_bytes))?;
        }
        let transaction = within.map(|id| self.part(id, TxnState::Prepare));
        let defines = u64::from(!streams.new.is_empty());
        if defines > 0 {
            self.encode_definitions(operation, &streams.new, transaction, now_ms);
        }
        let lsn = self.log.next_lsn().plus(defines);
        let head = Head { transaction, ..self.topic_head(operation.kind().0, lsn, now_ms) };
        self.encode_messages(&head, &rules, (operation, messages), &streams.ids);
        self.check_record()?;
        if defines > 0 {
            let records = [self.topics.definitions.record(), self.encoder.record()];
            if !self.log.fits(&records.map(<[u8]>::len)) {
                self.begin_segment(now_ms)?;
            }
            core::mem::swap(&mut self.encoder, &mut self.topics.definitions);
            let staged = self.check_record().and_then(|()| self.stage_encoded(now_ms));
            core::mem::swap(&mut self.encoder, &mut self.topics.definitions);
            staged?;
            if let Some(place) = within.and_then(|id| self.part(id, TxnState::Prepare).previous) {
                self.encoder.follows(place);
            }
        }
        self.stage_encoded(now_ms)?;
        if rules.keeps() {
            for (message, id) in messages.iter().zip(&streams.ids) {
                if let Some(keep) = rules.keep_last(target(operation, message)) {
                    self.topics.keeping.published(*id, keep);
                }
            }
        }
        Ok(head.lsn)
    }

    fn stage_settings(
        &mut self,
        operation: &Operation<'_>,
        settings: &TopicSettings,
        now_ms: u64,
    ) -> Result<Lsn, WriteError> {
        if settings.encryption != Encryption::None && !self.shared.keys.with(Keyring::can_seal) {
            return Err(WriteError::NoKey);
        }
        let head = self.topic_head(operation.kind().0, self.log.next_lsn(), now_ms);
        self.encoder.begin(&head, 1);
        self.topics.entries.settings(&mut self.encoder, settings);
        self.encoder.finish();
        self.check_record()?;
        self.stage_encoded(now_ms)?;
        Ok(head.lsn)
    }

    fn topic_head(&mut self, operation: OperationType, lsn: Lsn, now_ms: u64) -> Head {
        Head {
            lsn,
            hlc: self.clock.tick(now_ms),
            durable: self.log.durable(),
            operation,
            entry: EntryType::Event,
            transaction: None,
        }
    }

    fn encode_definitions(
        &mut self,
        operation: &Operation<'_>,
        new: &[(u64, &str)],
        transaction: Option<InTransaction>,
        now_ms: u64,
    ) {
        let kind = match operation {
            Operation::Publish(_) => OperationType::TopicDefine,
            _ => OperationType::PatternDefine,
        };
        let head = self.topic_head(kind, self.log.next_lsn(), now_ms);
        let head = Head { transaction, ..head };
        let TopicWriter { definitions, entries, next_id, .. } = &mut self.topics;
        definitions.begin(&head, new.len());
        for (id, name) in new {
            entries.definition(definitions, *id, name);
            *next_id = next_id.map(|next| next.max(id.saturating_add(1)));
        }
        definitions.finish();
    }

    fn encode_messages(
        &mut self,
        head: &Head,
        rules: &Rules,
        (operation, messages): (&Operation<'_>, &[NewMessage<'_>]),
        ids: &[u64],
    ) {
        self.encoder.begin(head, messages.len());
        let (time_ms, lsn) = (head.hlc.millis(), head.lsn);
        // What expires by the watermark is never seen.
        let written_ms = time_ms.max(self.active.watermark());
        let TopicWriter { entries, sealer, body, .. } = &mut self.topics;
        let seals = rules.settings().encryption != Encryption::None;
        let mut closer = Closer {
            compresses: rules.settings().compression == Compression::Lz4,
            sealer: sealer.as_ref().filter(|_| seals),
            scratch: body,
        };
        for (index, (message, id)) in (0..).zip(messages.iter().zip(ids)) {
            // 0 says never.
            let ends = |ttl_ms: u64| written_ms.saturating_add(ttl_ms).max(1);
            let ttl_ms = message.ttl_ms.or_else(|| rules.ttl_ms(target(operation, message)));
            let mut stored = Stored {
                stream: *id,
                expires_at: ttl_ms.filter(|ttl_ms| *ttl_ms != FOREVER).map_or(0, ends),
                flags: if message.retain { FLAG_RETAINED } else { 0 },
                headers: message.headers,
                payload: message.payload.into(),
            };
            let at = MessagePosition { time_ms, lsn, index };
            closer.close(&mut stored, &at, head.transaction.is_none());
            entries.message(&mut self.encoder, &stored);
        }
        body.clear();
        body.shrink_to(BODY_KEPT_BYTES);
        self.encoder.finish();
    }

    /// Refuses the record in the encoder when no segment could hold it.
    fn check_record(&self) -> Result<(), WriteError> {
        let bytes = self.encoder.record().len();
        let room = self.options.segment_bytes.saturating_sub(FIRST_FRAME);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        match frame_bytes(bytes) {
            Some(frame) if frame <= room => Ok(()),
            _ => {
                let limit = room.saturating_sub(OVERHEAD_BYTES);
                Err(WriteError::RecordTooLarge { bytes, limit })
            }
        }
    }

    fn stage_deletion(
        &mut self,
        operation: &Operation<'_>,
        id: MessageId,
        now_ms: u64,
    ) -> Result<Lsn, WriteError> {
        if id.lsn > self.log.appended() {
            self.append_staged()?;
        }
        let found =
            self.shared.view.with(|view| message_by_id(view, &self.shared.log, (id, now_ms)))?;
        let MessageId { lsn, index } = id;
        let (stream, time_ms) = found.ok_or(WriteError::NoMessage { lsn, index })?;
        let head = self.topic_head(operation.kind().0, self.log.next_lsn(), now_ms);
        self.encoder.begin(&head, 1);
        let at = MessagePosition { time_ms, lsn, index };
        self.topics.entries.deletion(&mut self.encoder, stream, &at);
        self.encoder.finish();
        self.stage_encoded(now_ms)?;
        Ok(head.lsn)
    }

    /// Topics that are not there are passed over.
    fn stage_trim(
        &mut self,
        operation: &Operation<'_>,
        (kind, trim): (KeyKind, TrimBefore<'_>),
        now_ms: u64,
    ) -> Result<Lsn, WriteError> {
        let mut ids = Vec::with_capacity(trim.topics.len());
        for text in trim.topics {
            ids.extend(self.stream_of(kind, text)?);
        }
        if ids.is_empty() {
            return Err(WriteError::NoTopic);
        }
        let head = self.topic_head(operation.kind().0, self.log.next_lsn(), now_ms);
        let bound = (trim.before_ms, Lsn::ZERO).min((head.hlc.millis(), head.lsn));
        self.encoder.begin(&head, ids.len());
        for id in ids {
            self.topics.entries.trim(&mut self.encoder, id, bound);
        }
        self.encoder.finish();
        self.check_record()?;
        self.stage_encoded(now_ms)?;
        Ok(head.lsn)
    }
}
