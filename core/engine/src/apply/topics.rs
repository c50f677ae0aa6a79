//! Records of topics: what they put under which keys, on a leader, on a follower and in a replay.

use super::step::Content;
use super::{Incoming, located, within_limit};
use crate::engine::Engine;
use crate::errors::TreeError;
use crate::expiry::Expiry;
use crate::memtable::{Entry, Join, Numbers, index_bytes};
use crate::models::topic::key::{self, FIXED_KEY_MAX, KeyKind, MessagePosition};
use crate::models::topic::name::{TopicFilter, check_topic};
use crate::models::topic::patterns::Patterns;
use crate::models::topic::settings::Rules;
use crate::read::{Pin, load_patterns, load_rules};
use crate::records::{
    Kind, MessageEntryRef, Record, Span, definitions, deletions, key_epoch, messages, settings,
    trims,
};
use alloc::sync::Arc;
use alloc::vec::Vec;
use unison_base::limits::{BATCH_OPERATIONS_MAX, INDEX_BYTES_MAX};
use unison_base::{Lsn, Position};
use unison_ports::SegmentStore;

/// What a message takes in the index at most, bytes: itself, and as a retained one.
pub(crate) const MESSAGE_INDEX_BYTES: usize = 2 * index_bytes(FIXED_KEY_MAX);
/// So a batch of messages never meets the index's limit.
const _: () = assert!(BATCH_OPERATIONS_MAX * MESSAGE_INDEX_BYTES <= INDEX_BYTES_MAX);

/// A pattern that a record defined.
pub(super) type Defined = (u64, TopicFilter);

impl Incoming {
    /// Takes the versions of a record of topics.
    pub(super) fn take_topics(&mut self, record: &Record<'_>, position: Position) {
        match record.kind {
            Kind::DefineTopics | Kind::DefinePatterns => self.take_definitions(record, position),
            Kind::Publish | Kind::PublishPatterns => self.take_messages(record, position),
            Kind::DeleteMessages => {
                for (stream, at) in deletions(record) {
                    self.push_key(&key::message(stream, &at), record.lsn(), Entry::Tombstone);
                }
            }
            Kind::SetTopics => self.take_settings(record, position),
            Kind::NewEpoch => self.take_epoch(record, position),
            _ => self.take_trims(record),
        }
    }

    /// A text that is no name or no pattern, and an id that there is not, mean something to others
    /// only. What a transaction defines is there from its commit on.
    fn take_definitions(&mut self, record: &Record<'_>, position: Position) {
        let mut foreign = false;
        for (id, text, span) in definitions(record) {
            let kinds = match record.kind {
                Kind::DefineTopics => {
                    check_topic(text).ok().map(|()| (KeyKind::Name, KeyKind::Topic))
                }
                _ => TopicFilter::new(text).ok().map(|pattern| {
                    if !self.in_transaction {
                        self.patterns.push((id, pattern));
                    }
                    (KeyKind::Text, KeyKind::Pattern)
                }),
            };
            let Some((by_name, by_id)) = kinds.filter(|_| id > 0) else {
                foreign = true;
                continue;
            };
            let number = Entry::Numbers(Numbers::new(id, 0));
            let (lsn, content) = (record.lsn(), Content::Definition);
            self.push(&key::name(by_name, text), lsn, number, content, &[]);
            let text = located(position, span, text.as_bytes(), Expiry::NEVER);
            self.push(&key::by_id(by_id, id), lsn, text, content, &[]);
        }
        self.skipped = self.skipped.saturating_add(u64::from(foreign));
    }

    fn take_messages(&mut self, record: &Record<'_>, position: Position) {
        let (time_ms, lsn) = (record.hlc().millis(), record.lsn());
        for (index, (message, bytes, span)) in (0..).zip(messages(record)) {
            let body = located(position, span, bytes, Expiry(message.expires_at));
            let MessageEntryRef { stream, retained, .. } = message;
            if self.in_transaction {
                let payload = message.payload();
                let payload_bytes = u32::try_from(payload.len()).unwrap_or(u32::MAX);
                let content = Content::Message { retained, payload_bytes };
                self.push(&key::stream(stream), lsn, body, content, payload);
                continue;
            }
            let at = MessagePosition { time_ms, lsn, index };
            for (key, entry) in message_versions(&at, &Pending { stream, retained, body }) {
                self.push_key(&key, lsn, entry);
            }
        }
    }

    /// A trim takes nothing that is newer than itself, whatever it says.
    fn take_trims(&mut self, record: &Record<'_>) {
        let own = (record.hlc().millis(), record.lsn());
        for (stream, time_ms, lsn) in trims(record) {
            let (first, lsn) = (time_ms, lsn).min(own);
            let bound = Numbers { first, second: lsn.0, join: Join::Raise };
            self.push_key(&key::stream(stream), record.lsn(), Entry::Numbers(bound));
        }
    }

    /// Settings that break a limit mean something to others only.
    fn take_settings(&mut self, record: &Record<'_>, position: Position) {
        let Some((said, bytes, span)) = settings(record) else { return self.skip() };
        let value = located(position, span, bytes, Expiry::NEVER);
        self.push_key(&KeyKind::Settings.prefix(), record.lsn(), value);
        self.settings = Some(Rules::new(record.lsn(), said));
    }

    fn take_epoch(&mut self, record: &Record<'_>, position: Position) {
        let Some((wrapped, bytes, span)) = key_epoch(record) else { return self.skip() };
        let value = located(position, span, bytes, Expiry::NEVER);
        self.push_key(&key::by_id(KeyKind::KeyEpoch, wrapped.epoch), record.lsn(), value);
    }

    fn has_defined(&self) -> bool {
        !self.defined.is_empty()
    }

    /// Patterns and settings of what was put into the memtable are found out in another way.
    pub(super) fn forget_defined(&mut self) {
        self.defined.clear();
        self.set = None;
    }

    /// Patterns of what was put into the memtable.
    fn take_defined(&mut self) -> Vec<Defined> {
        core::mem::take(&mut self.defined)
    }
}

/// The pattern that a version of a key of its text defines.
pub(super) fn pattern_of(key: &[u8], entry: Entry) -> Option<Defined> {
    let Entry::Numbers(numbers) = entry else { return None };
    let text = key::text(KeyKind::Text, key)?;
    Some((numbers.first, TopicFilter::new(&text).ok()?))
}

/// A message of which it is not known yet where in its stream it will lie.
pub(super) struct Pending {
    pub(super) stream: u64,
    pub(super) retained: bool,
    pub(super) body: Entry,
}

/// What a message puts under which keys, once it is known which record commits it.
pub(super) fn message_versions(
    at: &MessagePosition,
    message: &Pending,
) -> impl Iterator<Item = (Vec<u8>, Entry)> {
    let Pending { stream, retained, body } = *message;
    let retained = retained.then(|| {
        let numbers = Numbers::new(at.time_ms, u64::from(at.index));
        (key::by_id(KeyKind::Retained, stream), Entry::Numbers(numbers))
    });
    core::iter::once((key::message(stream, at), body)).chain(retained)
}

/// Keys of what the tree may point to in a record of topics, with places in the record.
pub(crate) fn values_of(record: &Record<'_>) -> Vec<(Vec<u8>, Span)> {
    let (time_ms, lsn) = (record.hlc().millis(), record.lsn());
    match record.kind {
        Kind::Publish | Kind::PublishPatterns => (0..)
            .zip(messages(record))
            .map(|(index, (message, _, span))| {
                let at = MessagePosition { time_ms, lsn, index };
                (key::message(message.stream, &at), span)
            })
            .collect(),
        Kind::DefineTopics | Kind::DefinePatterns => {
            let topics = record.kind == Kind::DefineTopics;
            let kind = if topics { KeyKind::Topic } else { KeyKind::Pattern };
            definitions(record).map(|(id, _, span)| (key::by_id(kind, id), span)).collect()
        }
        Kind::NewEpoch => {
            let epoch = key_epoch(record).into_iter();
            epoch.map(|(key, _, span)| (key::by_id(KeyKind::KeyEpoch, key.epoch), span)).collect()
        }
        Kind::SetTopics => {
            let said = settings(record).into_iter();
            said.map(|(_, _, span)| (KeyKind::Settings.prefix().into(), span)).collect()
        }
        _ => Vec::new(),
    }
}

/// What a record of topics takes in the index, bytes, counted no further than the limit is passed.
pub(super) fn record_index_bytes(record: &Record<'_>) -> usize {
    match record.kind {
        Kind::DefineTopics | Kind::DefinePatterns => {
            within_limit(definitions(record).map(|(_, text, _)| definition_index_bytes(text)))
        }
        Kind::Publish | Kind::PublishPatterns => {
            within_limit(messages(record).map(|_| MESSAGE_INDEX_BYTES))
        }
        Kind::SetTopics | Kind::NewEpoch => index_bytes(FIXED_KEY_MAX),
        Kind::DeleteMessages => within_limit(deletions(record).map(|_| index_bytes(FIXED_KEY_MAX))),
        _ => within_limit(trims(record).map(|_| index_bytes(FIXED_KEY_MAX))),
    }
}

/// What a definition takes in the index, bytes.
pub(crate) const fn definition_index_bytes(text: &str) -> usize {
    index_bytes(key::name_bytes(text)).saturating_add(index_bytes(FIXED_KEY_MAX))
}

impl<S: SegmentStore> Engine<S> {
    /// Lets readers know the patterns and settings of the records that were applied.
    pub(crate) fn learn_topics(&mut self) {
        if let Some(rules) = self.incoming.set.take() {
            self.shared.rules.store(Arc::new(Ok(Arc::new(rules))));
            self.topics.set();
        }
        if self.incoming.has_defined() {
            let mut patterns = Patterns::clone(&self.shared.patterns.load());
            for (id, pattern) in self.incoming.take_defined() {
                patterns.insert(id, pattern);
            }
            self.shared.patterns.store(Arc::new(patterns));
            self.topics.defined();
        }
    }

    /// Finds out anew which patterns, settings and ids there are, after opening and when records have
    /// gone.
    pub(crate) fn reload_topics(&mut self) -> Result<(), TreeError> {
        let (view, log) = (self.shared.view.load(), self.shared.log.clone());
        let pin = Arc::new(Pin { view, log });
        let patterns = load_patterns(&pin)?;
        self.shared.patterns.store(Arc::new(patterns));
        self.shared.rules.store(Arc::new(load_rules(&pin, Lsn::MAX)));
        self.topics.forget();
        Ok(())
    }
}
