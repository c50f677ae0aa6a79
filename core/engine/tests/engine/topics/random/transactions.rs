//! Messages in transactions that stay open while all else happens.

use super::{Known, PATTERNS, Run, Shown, TOPICS};
use crate::topics::message;
use unison_base::{Lsn, TxnId};
use unison_engine::{MessageId, NewMessage, Operation, TopicFilter, Write, WriteError};

const OPEN_MAX: usize = 3;

/// A transaction without its end.
pub(super) struct Open {
    id: TxnId,
    /// Time and identity are those of the commit.
    messages: Vec<Known>,
}

impl Run {
    pub(super) fn transaction(&mut self) {
        let choices = OPEN_MAX.min(self.open.len() + 1);
        let at = usize::try_from(self.prng.below(choices as u64)).unwrap();
        match self.prng.below(10) {
            _ if at == self.open.len() => self.begin(),
            0..5 => self.publish_within(at),
            5..9 => self.commit_one(at),
            _ => self.abort_one(at),
        }
    }

    fn stage_within(&mut self, id: TxnId, operation: Operation<'_>) -> Option<Lsn> {
        let now_ms = self.now_ms;
        match self.engine().stage(&Write::new(operation).within(id), now_ms) {
            Err(WriteError::Busy(_)) => None,
            written => Some(written.unwrap().lsn),
        }
    }

    fn begin(&mut self) {
        let id = TxnId(self.prng.next_u64().to_le_bytes().repeat(2).try_into().unwrap());
        if self.stage_within(id, Operation::Begin).is_some() {
            self.open.push(Open { id, messages: Vec::new() });
        }
    }

    fn commit_one(&mut self, at: usize) {
        let Some(lsn) = self.stage_within(self.open[at].id, Operation::Commit(&[])) else { return };
        let time_ms = self.engine().hlc().millis();
        for (index, mut known) in (0..).zip(self.open.swap_remove(at).messages) {
            known.shown.id = MessageId { lsn, index };
            known.shown.time_ms = time_ms;
            if !known.shown.is_pattern {
                self.model.topics.entry(known.shown.topic.clone()).or_insert(lsn);
            }
            self.model.messages.push(known);
        }
        self.happened.transactions += 1;
    }

    fn abort_one(&mut self, at: usize) {
        if self.stage_within(self.open[at].id, Operation::Abort).is_some() {
            self.open.swap_remove(at);
        }
    }

    /// Messages that are seen after the commit, and so are new topics.
    fn publish_within(&mut self, at: usize) {
        let is_pattern = self.prng.chance(30);
        let texts: Vec<&str> = (0..self.prng.between(1, 3))
            .map(|_| self.pick(if is_pattern { &PATTERNS } else { &TOPICS }))
            .collect();
        let retain = self.prng.chance(30);
        let payload = self.prng.next_u64().to_le_bytes();
        let messages: Vec<_> =
            texts.iter().map(|text| NewMessage { retain, ..message(text, &payload) }).collect();
        let operation = match is_pattern {
            true => Operation::PublishPattern(&messages),
            false => Operation::Publish(&messages),
        };
        if self.stage_within(self.open[at].id, operation).is_none() {
            return;
        }
        let written_ms = self.engine().hlc().millis();
        let watermark = self.model.watermarks.iter().map(|(_, ms)| *ms).max().unwrap_or(0);
        let ends = |text: &str| {
            let ttl_ms = self.model.ttl_ms(text, is_pattern)?;
            Some(written_ms.max(watermark) + ttl_ms)
        };
        let known = |text: &&str| Known {
            shown: Shown {
                topic: (*text).into(),
                is_pattern,
                time_ms: 0,
                id: MessageId::default(),
                expires_at: ends(text),
                headers: Vec::new(),
                payload: payload.to_vec(),
            },
            retain,
            removed: None,
        };
        let known: Vec<_> = texts.iter().map(known).collect();
        self.open[at].messages.extend(known);
    }

    /// Each transaction knows the topics that it names, and no other does.
    pub(super) fn look_within(&mut self, asked: &TopicFilter) {
        if self.open.is_empty() || self.prng.chance(60) {
            return;
        }
        // It sees trims that are staged: the model learns of them from what is visible.
        self.append_only();
        self.learn_trims();
        let now_ms = self.now_ms;
        for at in 0..self.open.len() {
            let id = self.open[at].id;
            let snapshot = self.engine().reader_within(id, now_ms).unwrap().snapshot();
            let own = self.open[at].messages.iter().filter(|known| !known.shown.is_pattern);
            let own: Vec<&str> = own.map(|known| known.shown.topic.as_str()).collect();
            self.model.check_within(&snapshot, asked, now_ms, &own);
        }
    }
}
