//! The ids of topics and patterns, and which of them are new.

use super::Operation;
use super::topics::NewMessage;
use crate::apply::definition_index_bytes;
use crate::engine::Engine;
use crate::errors::{ReadError, WriteError};
use crate::memtable::StorageKey;
use crate::models::topic::key::{self, KeyKind};
use crate::read::{last_id, numbers};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use unison_base::Lsn;
use unison_base::limits::{INDEX_BYTES_MAX, PATTERNS_MAX};
use unison_ports::SegmentStore;

/// Ids of what messages are published to, and what of that is new.
#[derive(Default)]
pub(super) struct Streams<'a> {
    pub(super) ids: Vec<u64>,
    pub(super) new: Vec<(u64, &'a str)>,
    /// What defining the new ones takes in the index, bytes.
    pub(super) index_bytes: usize,
}

impl<'a> Streams<'a> {
    fn define(&mut self, id: u64, text: &'a str) {
        self.new.push((id, text));
        self.index_bytes = self.index_bytes.saturating_add(definition_index_bytes(text));
    }
}

impl<S: SegmentStore> Engine<S> {
    /// The ids of topics or patterns, and which of them are to be defined: what is there is not, nor
    /// what the transaction itself has defined. What an open one names has the same id to others, so
    /// whichever comes to be first, there is one stream.
    pub(super) fn streams<'a>(
        &mut self,
        operation: &Operation<'_>,
        messages: &[NewMessage<'a>],
        within: Option<&StorageKey>,
    ) -> Result<Streams<'a>, WriteError> {
        let kind = match operation {
            Operation::Publish(_) => KeyKind::Name,
            _ => KeyKind::Text,
        };
        let (mut streams, mut added) = (Streams::default(), BTreeMap::new());
        let mut taken = 0;
        for message in messages {
            let text = message.topic;
            let known = match added.get(text) {
                Some(id) => Some(*id),
                None => self.stream_within(kind, text, within)?,
            };
            let id = match known {
                Some(id) => id,
                None => {
                    let id = self.new_stream(kind, text, &mut taken)?;
                    added.insert(text, id);
                    streams.define(id, text);
                    id
                }
            };
            streams.ids.push(id);
        }
        self.check_streams(kind, &streams)?;
        Ok(streams)
    }

    fn check_streams(&self, kind: KeyKind, streams: &Streams<'_>) -> Result<(), WriteError> {
        let (bytes, limit) = (streams.index_bytes, INDEX_BYTES_MAX);
        if bytes > limit {
            return Err(WriteError::IndexBytes { bytes, limit });
        }
        if kind != KeyKind::Text {
            return Ok(());
        }
        let known = self.shared.patterns.with(|patterns| patterns.len());
        let patterns = known.saturating_add(self.transactions.patterns());
        if patterns.saturating_add(streams.new.len()) > PATTERNS_MAX {
            return Err(WriteError::Patterns { limit: PATTERNS_MAX });
        }
        Ok(())
    }

    /// The id of a topic or pattern, staged ones included, and those that the transaction has defined.
    fn stream_within(
        &self,
        kind: KeyKind,
        text: &str,
        within: Option<&StorageKey>,
    ) -> Result<Option<u64>, ReadError> {
        let open = within.and_then(|id| self.transactions.get(id));
        let own = open.and_then(|open| open.stream_of(&key::name(kind, text)));
        if own.is_some() { Ok(own) } else { self.stream_of(kind, text) }
    }

    /// The id of a topic or pattern, staged ones included.
    pub(super) fn stream_of(&self, kind: KeyKind, text: &str) -> Result<Option<u64>, ReadError> {
        let found =
            self.shared.view.with(|view| numbers(view, &key::name(kind, text), Lsn::MAX))?;
        Ok(found.map(|(_, id, _)| id))
    }

    /// The id of what is not there yet: the one that open transactions know it by, or the next one
    /// behind so many that were `taken`.
    fn new_stream(
        &mut self,
        kind: KeyKind,
        text: &str,
        taken: &mut usize,
    ) -> Result<u64, WriteError> {
        if let Some(id) = self.transactions.stream_of(&key::name(kind, text)) {
            return Ok(id);
        }
        let id = self.next_stream_id(*taken)?;
        *taken += 1;
        Ok(id)
    }

    /// A log may have given away the highest ids of all: then there are no more.
    fn next_stream_id(&mut self, taken: usize) -> Result<u64, WriteError> {
        let next = match self.topics.next_id {
            Some(next) => next,
            None => {
                let last = last_id(self.shared.view.load(), &self.shared.log)?;
                let next = last.max(self.transactions.last_stream()).saturating_add(1);
                *self.topics.next_id.insert(next)
            }
        };
        let id = next.saturating_add(u64::try_from(taken).unwrap_or(u64::MAX));
        // The id behind it has to be a number too.
        if id < u64::MAX { Ok(id) } else { Err(WriteError::StreamIds) }
    }
}
