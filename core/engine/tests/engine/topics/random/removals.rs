//! Messages that are deleted or trimmed.

use super::{PATTERNS, Run, TOPICS};
use crate::topics::model::{Known, Moment};
use unison_base::Lsn;
use unison_engine::{MessageId, Operation, Pressure, TrimBefore, Write, WriteError};

impl Run {
    pub(super) fn delete(&mut self) {
        let Some(last) = self.model.messages.last() else { return };
        let lsn = Lsn(last.shown.id.lsn.0.saturating_sub(self.prng.below(12)));
        let id = MessageId { lsn, index: u32::try_from(self.prng.below(3)).unwrap() };
        let now = Moment { lsn: Lsn::MAX, now_ms: self.now_ms };
        let now_ms = self.now_ms;
        self.learn_all_trims();
        let is_there = self.model.find(id, now).is_some();
        match self.engine().stage(&Write::new(Operation::DeleteMessage(id)), now_ms) {
            Ok(written) => {
                assert!(is_there, "{id:?}");
                self.model.find(id, now).unwrap().removed = Some(written.lsn);
                self.happened.deleted += 1;
            }
            Err(WriteError::Busy(Pressure::Full { .. })) => self.happened.busy += 1,
            Err(error) => {
                assert_eq!(error, WriteError::NoMessage { lsn, index: id.index });
                assert!(!is_there, "{id:?}");
            }
        }
    }

    pub(super) fn trim(&mut self, is_pattern: bool) {
        let text = self.pick(if is_pattern { &PATTERNS } else { &TOPICS });
        let before_ms = match self.prng.below(3) {
            0 => u64::MAX,
            _ => (self.now_ms + 20).saturating_sub(self.prng.below(400)),
        };
        let of_stream =
            |known: &Known| known.shown.topic == text && known.shown.is_pattern == is_pattern;
        let trim = TrimBefore { topics: &[text, "never/used"], before_ms };
        if !self.model.messages.iter().any(of_stream) {
            return;
        }
        let operation =
            if is_pattern { Operation::TrimPatterns(trim) } else { Operation::Trim(trim) };
        let Some(lsn) = self.write(operation) else { return };
        self.asked_trims.insert(lsn);
        let bound = (before_ms, Lsn::ZERO).min((self.engine().hlc().millis(), lsn));
        for known in self.model.messages.iter_mut().filter(|known| of_stream(known)) {
            if (known.shown.time_ms, known.shown.id.lsn) < bound {
                known.removed.get_or_insert(lsn);
                self.happened.trimmed += 1;
            }
        }
    }
}
