//! The table of open transactions: on a leader, on a follower and in a replay the same, for it is
//! made from records alone.

use super::open::Open;
use super::step::{At, Sink, Version};
use crate::memtable::StorageKey;
use crate::records::TypeOfChange;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use unison_base::Lsn;

/// Ends of transactions that are remembered, so that whoever asks again is told.
const ENDINGS_MAX: usize = 1_024;

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Committed,
    Aborted,
    TimedOut,
    /// A condition of its commit did not hold.
    Conflict,
    /// A record of it could not be written.
    Failed,
}

/// Transactions that have a beginning and no end.
#[derive(Default)]
pub(crate) struct Transactions {
    open: BTreeMap<StorageKey, Open>,
    /// Committed by records that may not be appended yet.
    committing: Vec<(StorageKey, At, Open)>,
    endings: VecDeque<(StorageKey, Ending)>,
}

impl Transactions {
    pub(super) fn begin(&mut self, id: StorageKey, at: At) {
        self.open.insert(id, Open::new(at));
    }

    pub(super) fn prepare(&mut self, id: &StorageKey, at: At, change: Option<TypeOfChange>) {
        if let Some(open) = self.open.get_mut(id) {
            open.prepare(at, change);
        }
    }

    pub(super) fn put(&mut self, id: &StorageKey, key: &[u8], version: &Version) {
        if let Some(open) = self.open.get_mut(id) {
            open.put(key, version);
        }
    }

    /// Of one that is not whole nothing happens; like a record that nobody understands it is counted.
    pub(super) fn commit(&mut self, id: &StorageKey, at: At, sink: &mut Sink<'_>) {
        match self.open.remove(id) {
            Some(mut open) if !open.is_broken => {
                open.apply(&at, sink);
                self.committing.push((id.clone(), at, open));
            }
            _ => sink.memtable.add_skipped(1),
        }
    }

    pub(super) fn abort(&mut self, id: &StorageKey) {
        self.open.remove(id);
    }

    pub(crate) fn get(&self, id: &StorageKey) -> Option<&Open> {
        self.open.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &StorageKey) -> Option<&mut Open> {
        self.open.get_mut(id)
    }

    /// How many are open.
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// What all take in the index, bytes.
    pub(crate) fn index_bytes(&self) -> usize {
        self.open.values().map(Open::index_bytes).sum()
    }

    /// The first record of the oldest one.
    pub(crate) fn oldest(&self) -> Option<Lsn> {
        self.open.values().map(|open| open.begun.lsn).min()
    }

    /// Those of which nothing may happen any more, and those that `is_over` says it of.
    pub(crate) fn due(&self, is_over: impl Fn(&Open) -> bool) -> Vec<StorageKey> {
        let due = self.open.iter().filter(|(_, open)| open.is_broken || is_over(open));
        due.map(|(id, _)| id.clone()).collect()
    }

    /// Records are missing: none that was open there can be whole.
    pub(crate) fn break_all(&mut self) {
        self.open.values_mut().for_each(Open::break_up);
    }

    /// Everything so far is in the log.
    pub(crate) fn appended(&mut self) {
        self.committing.clear();
    }

    /// Records above `appended` never came to be: what had its end there has none, and what had
    /// changes there is not whole.
    pub(crate) fn undo(&mut self, appended: Lsn) {
        for (id, at, mut open) in core::mem::take(&mut self.committing) {
            if at.lsn > appended {
                self.endings.retain(|(ended, _)| *ended != id);
                open.break_up();
                self.open.insert(id, open);
            }
        }
        let begun_there = self.open.iter().filter(|(_, open)| open.begun.lsn > appended);
        let lost: Vec<_> = begun_there.map(|(id, _)| id.clone()).collect();
        for id in lost {
            self.open.remove(&id);
            self.remember(id, Ending::Failed);
        }
        for open in self.open.values_mut().filter(|open| open.last.lsn > appended) {
            open.break_up();
        }
    }

    /// Remembers how one ended.
    pub(crate) fn remember(&mut self, id: StorageKey, ending: Ending) {
        self.endings.truncate(ENDINGS_MAX - 1);
        self.endings.push_front((id, ending));
    }

    pub(crate) fn ending(&self, id: &StorageKey) -> Option<Ending> {
        self.endings.iter().find(|(ended, _)| ended == id).map(|&(_, ending)| ending)
    }

    /// Ends one that no record will end.
    pub(crate) fn forget(&mut self, id: &StorageKey) {
        self.open.remove(id);
    }

    /// Forgets everything: the records that say it are read again.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}
