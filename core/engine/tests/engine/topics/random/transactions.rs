//! Messages in transactions.

use super::{Known, PATTERNS, Run, Shown, TOPICS};
use crate::topics::message;
use unison_base::TxnId;
use unison_engine::{MessageId, NewMessage, Operation, Write};

impl Run {
    /// Messages in several records between those of others, committed or not.
    pub(super) fn transaction(&mut self) {
        self.happened.transactions += 1;
        let id = TxnId(self.prng.next_u64().to_le_bytes().repeat(2).try_into().unwrap());
        let now_ms = self.now_ms;
        if self.engine().stage(&Write::new(Operation::Begin).within(id), now_ms).is_err() {
            return;
        }
        let mut pending = Vec::new();
        for _ in 0..self.prng.between(1, 4) {
            let patterns = self.prng.chance(30);
            if self.prng.chance(30) {
                self.publish(false);
            }
            if self.prng.chance(20) {
                self.flush();
            }
            pending.extend(self.publish_within(id, patterns));
        }
        let (commits, now_ms) = (self.prng.chance(70), self.now_ms);
        let end = if commits { Operation::Commit(&[]) } else { Operation::Abort };
        let Ok(written) = self.engine().stage(&Write::new(end).within(id), now_ms) else { return };
        let time_ms = self.engine().hlc().millis();
        for (index, mut known) in (0..).zip(pending).filter(|_| commits) {
            known.shown.id = MessageId { lsn: written.lsn, index };
            known.shown.time_ms = time_ms;
            self.model.messages.push(known);
        }
    }

    /// Messages that are seen after the commit; a new topic is there at once.
    fn publish_within(&mut self, id: TxnId, is_pattern: bool) -> Vec<Known> {
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
        let now_ms = self.now_ms;
        let Ok(written) = self.engine().stage(&Write::new(operation).within(id), now_ms) else {
            return Vec::new();
        };
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
        let known = texts.iter().map(known).collect();
        if !is_pattern {
            for text in &texts {
                self.model.topics.entry((*text).into()).or_insert(written.lsn.prev());
            }
        }
        known
    }
}
