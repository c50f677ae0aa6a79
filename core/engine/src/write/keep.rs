//! What rules keep of topics: messages above the newest so many go through the log, by trims of many
//! streams at a time.
//!
//! A read shows no more than the rule says, so nobody waits for a trim. A stream is due for one when it
//! got half as many messages as it keeps, so a trim's walk costs two looks for a message; and when it is
//! published to for the first time since the engine was opened, for what was published before is not
//! known.

use crate::engine::Engine;
use crate::errors::{ReadError, WriteError};
use crate::expiry::At;
use crate::models::topic::key;
use crate::read::{KeysLeft, Pin, has_any, kept_from, trimmed_to};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use unison_base::Lsn;
use unison_ports::SegmentStore;
use unison_schemas::{EntryType, OperationType};
use unison_walfs::LogRole;

/// Streams of which it is known how many messages they got; when there are more, all are forgotten.
const COUNTED_MAX: usize = 64 << 10;
/// Fewer new messages than this make no stream due.
const NEW_MIN: u32 = 16;
/// Most streams that one record trims. So many that are due are not left waiting.
const TRIM_STREAMS_MAX: usize = 256;
/// Most messages that are walked over at a time, beside those of one stream: writers wait meanwhile. More
/// than the largest batch of messages makes due, so that trims keep up.
const WALKED_MAX: u32 = 64 << 10;

/// The streams that a rule keeps the newest messages of.
#[derive(Default)]
pub(super) struct Keeping {
    /// By stream: how many it keeps, and how many it got since it was trimmed.
    counted: BTreeMap<u64, (u32, u32)>,
    due: BTreeSet<u64>,
    /// The next one is the first that is due from here on: each has its turn.
    turn: u64,
    /// Due, but they could not be read: they hold up no others, and no message waits for them.
    unreadable: BTreeSet<u64>,
    /// One that is due got too many to wait any longer.
    urgent: bool,
    /// Streams were forgotten that may have got some.
    forgotten: bool,
    /// Trimmed by records that may not be appended yet.
    staged: Vec<u64>,
}

impl Keeping {
    /// Takes note of a message of a stream that keeps the newest `keep`.
    pub(super) fn published(&mut self, stream: u64, keep: u32) {
        if self.counted.len() >= COUNTED_MAX && !self.counted.contains_key(&stream) {
            self.counted.clear();
            self.due.clear();
            self.unreadable.clear();
            self.forgotten = true;
        }
        let allowed = (keep / 2).max(NEW_MIN);
        let unknown = if self.forgotten { allowed } else { 2 * allowed };
        let (kept, new) = self.counted.entry(stream).or_insert((keep, unknown));
        *kept = keep;
        *new = new.saturating_add(1);
        if *new > allowed {
            self.due.insert(stream);
        }
        self.urgent |= *new > 2 * allowed || self.due.len() >= TRIM_STREAMS_MAX;
    }

    /// Whether the next message has to wait for a trim.
    pub(super) fn is_urgent(&self) -> bool {
        self.urgent
    }

    fn has_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// What is due, with how many messages each keeps, as much as one record trims, until `left` messages
    /// are to be walked over.
    fn take_due(&mut self, left: &mut u32) -> Vec<(u64, u32)> {
        let mut taken = Vec::new();
        while taken.len() < TRIM_STREAMS_MAX
            && *left > 0
            && let Some(stream) = self.pop_due()
        {
            if let Some((keep, new)) = self.counted.get_mut(&stream) {
                *new = 0;
                *left = left.saturating_sub(keep.saturating_add(1));
                taken.push((stream, *keep));
            }
        }
        self.urgent &= !self.due.is_empty();
        taken
    }

    fn pop_due(&mut self) -> Option<u64> {
        let next = self.due.range(self.turn..).next().or_else(|| self.due.first());
        let stream = next.copied()?;
        self.due.remove(&stream);
        self.turn = stream.saturating_add(1);
        Some(stream)
    }

    /// What could not be read is due again.
    fn look_again(&mut self) {
        self.due.append(&mut self.unreadable);
    }

    /// Streams that were taken are not trimmed: the next trim takes them. A message does not wait for
    /// that before so many came again.
    fn give_back(&mut self, streams: impl IntoIterator<Item = u64>) {
        self.due.extend(streams);
    }

    /// Everything so far is in the log.
    pub(super) fn appended(&mut self) {
        self.staged.clear();
    }

    /// What is not in the log yet never will be.
    pub(super) fn take_back(&mut self) {
        let staged = core::mem::take(&mut self.staged);
        self.give_back(staged);
    }

    /// Everything has to be counted anew.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

impl<S: SegmentStore> Engine<S> {
    /// Trims topics that have more messages than their rule keeps, when they got many since the last
    /// time, until that took long. Returns how many; the records are staged. What cannot be read is left
    /// for the next call. On a follower the leader does it.
    ///
    /// # Errors
    /// As [`stage`](Self::stage); what is left is trimmed by the next call.
    pub fn trim_topics(&mut self, now_ms: u64) -> Result<usize, WriteError> {
        if self.options.role == LogRole::Follower {
            return Ok(0);
        }
        self.topics.keeping.look_again();
        if !self.topics.keeping.has_due() {
            return Ok(0);
        }
        self.accepting()?;
        self.trim_some(now_ms)
    }

    /// Trims what is due, until so much was walked over that the rest can wait for the next call.
    pub(super) fn trim_some(&mut self, now_ms: u64) -> Result<usize, WriteError> {
        let (mut trimmed, mut left) = (0, WALKED_MAX);
        while left > 0 && self.topics.keeping.has_due() {
            trimmed += self.trim_due(&mut left, now_ms)?;
        }
        Ok(trimmed)
    }

    fn trim_due(&mut self, left: &mut u32, now_ms: u64) -> Result<usize, WriteError> {
        let (view, log) = (self.shared.view.load(), self.shared.log.clone());
        let pin = Arc::new(Pin { view, log });
        let keeping = &mut self.topics.keeping;
        let mut trims = Vec::new();
        for (stream, keep) in keeping.take_due(left) {
            match bound(&pin, stream, keep) {
                Ok(bound) => trims.extend(bound.map(|bound| (stream, bound))),
                Err(_) => {
                    keeping.unreadable.insert(stream);
                }
            }
        }
        let trimmed = self.stage_trims(&trims, now_ms);
        let streams = trims.into_iter().map(|(stream, _)| stream);
        match trimmed {
            Ok(_) => self.topics.keeping.staged.extend(streams),
            Err(_) => self.topics.keeping.give_back(streams),
        }
        trimmed
    }

    fn stage_trims(
        &mut self,
        trims: &[(u64, (u64, Lsn))],
        now_ms: u64,
    ) -> Result<usize, WriteError> {
        if trims.is_empty() {
            return Ok(0);
        }
        let kind = (OperationType::Trim, EntryType::Event);
        self.begin_record(kind, None, trims.len(), now_ms);
        for (stream, bound) in trims {
            self.topics.entries.trim(&mut self.encoder, *stream, *bound);
        }
        self.encoder.finish();
        self.stage_encoded(now_ms)?;
        Ok(trims.len())
    }
}

/// Time and LSN of the record with which the newest `keep` messages of a stream begin; `None` when no
/// older record has any.
fn bound<S: SegmentStore>(
    pin: &Arc<Pin<S>>,
    stream: u64,
    keep: u32,
) -> Result<Option<(u64, Lsn)>, ReadError> {
    let at = At::newest(0);
    let low = trimmed_to(&pin.view, stream, Lsn::MAX)?;
    let first = kept_from(pin, (stream, at), (low.clone(), keep), &mut KeysLeft::unlimited())?;
    let Some((_, first)) = key::message_of(&first) else { return Ok(None) };
    let bound = key::from_record(stream, first.time_ms, first.lsn);
    let older = has_any(pin, at, (low, bound))?;
    Ok(older.then_some((first.time_ms, first.lsn)))
}

#[cfg(test)]
mod tests {
    use super::{COUNTED_MAX, Keeping, WALKED_MAX};

    #[test]
    fn what_is_due_is_walked_over_in_parts_however_much_its_topics_keep() {
        let mut keeping = Keeping::default();
        (0..10).for_each(|stream| keeping.published(stream, WALKED_MAX / 2));
        for (taken, due) in [(2, true), (2, true), (2, true), (2, true), (2, false)] {
            assert!(keeping.is_urgent());
            let mut left = WALKED_MAX;
            assert_eq!(keeping.take_due(&mut left).len(), taken);
            assert_eq!((left, keeping.has_due()), (0, due));
        }
        assert!(!keeping.is_urgent());
    }

    #[test]
    fn one_that_cannot_be_read_has_its_turn_again_behind_all_others() {
        let mut keeping = Keeping::default();
        for (stream, keep) in [(1, WALKED_MAX), (2, 5), (3, WALKED_MAX)] {
            keeping.published(stream, keep);
        }
        for first in [&[(1, WALKED_MAX)][..], &[(2, 5), (3, WALKED_MAX)], &[(1, WALKED_MAX)]] {
            let mut left = WALKED_MAX;
            assert_eq!(keeping.take_due(&mut left), first);
            keeping.unreadable.insert(1);
            keeping.look_again();
        }
        assert!(!keeping.is_urgent());
    }

    #[test]
    fn what_is_forgotten_is_not_due() {
        let mut keeping = Keeping::default();
        (0..=COUNTED_MAX as u64).for_each(|stream| keeping.published(stream, 1));
        assert_eq!((keeping.counted.len(), keeping.due.len()), (1, 1));
    }
}
