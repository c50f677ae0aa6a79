//! The table of open transactions: on a leader, on a follower and in a replay the same, for it is
//! made from records alone.

use super::open::Open;
use super::step::{At, Sink, Version};
use crate::memtable::{Memtable, StorageKey};
use crate::records::TypeOfChange;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use unison_base::Lsn;
use unison_base::limits::TRANSACTIONS_INDEX_BYTES_MAX;

/// What an open transaction takes in memory before it changes anything, bytes.
pub(crate) const OPEN_BYTES: usize = 512;
const _: () = assert!(size_of::<(StorageKey, Open)>() <= OPEN_BYTES);
/// What the table takes at most, bytes, whatever the log says: no leader of this version lets open
/// transactions take a quarter of it, and no follower half of it and one run.
const TABLE_BYTES_MAX: usize = 4 * TRANSACTIONS_INDEX_BYTES_MAX;

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
    /// Ended by records that may not be appended yet.
    ended: Vec<(StorageKey, At, Open)>,
    endings: VecDeque<(StorageKey, Ending)>,
    /// What all open ones take, bytes.
    index_bytes: usize,
    /// What their readers' forms of them take beside that, bytes. The bound on the table does not know
    /// it: it must say the same on every node, and only the node that writes has readers in them.
    own_bytes: usize,
}

impl Transactions {
    /// One that finds the table full, which only a hostile log makes it, is not known.
    pub(super) fn begin(&mut self, id: StorageKey, at: At) {
        self.take(&id);
        if self.index_bytes < TABLE_BYTES_MAX {
            self.insert(id, Open::new(at));
        }
    }

    fn insert(&mut self, id: StorageKey, open: Open) {
        self.own_bytes = self.own_bytes.saturating_add(open.own_bytes());
        self.index_bytes = self.index_bytes.saturating_add(OPEN_BYTES + open.index_bytes());
        self.open.insert(id, open);
    }

    fn take(&mut self, id: &StorageKey) -> Option<Open> {
        let open = self.open.remove(id)?;
        self.own_bytes = self.own_bytes.saturating_sub(open.own_bytes());
        self.index_bytes = self.index_bytes.saturating_sub(OPEN_BYTES + open.index_bytes());
        Some(open)
    }

    fn change(&mut self, id: &StorageKey, change: impl FnOnce(&mut Open)) {
        let Some(open) = self.open.get_mut(id) else { return };
        let others = self.index_bytes.saturating_sub(open.index_bytes());
        let others_own = self.own_bytes.saturating_sub(open.own_bytes());
        change(open);
        if others.saturating_add(open.index_bytes()) > TABLE_BYTES_MAX {
            open.break_up();
        }
        self.index_bytes = others.saturating_add(open.index_bytes());
        self.own_bytes = others_own.saturating_add(open.own_bytes());
    }

    /// One of them as a reader takes it; `None` when it has changed nothing.
    pub(crate) fn own(&mut self, id: &StorageKey) -> Option<Arc<Memtable>> {
        let mut own = None;
        self.change(id, |open| own = open.own());
        own
    }

    pub(super) fn prepare(&mut self, id: &StorageKey, at: At, change: Option<TypeOfChange>) {
        self.change(id, |open| open.prepare(at, change));
    }

    pub(super) fn put(&mut self, id: &StorageKey, key: &[u8], version: &Version) {
        self.change(id, |open| open.put(key, version));
    }

    /// Of one that is not whole nothing happens; like a record that nobody understands it is counted.
    pub(super) fn commit(&mut self, id: &StorageKey, at: At, sink: &mut Sink<'_>) {
        let Some(mut open) = self.take(id) else { return sink.memtable.add_skipped(1) };
        if open.is_broken {
            sink.memtable.add_skipped(1);
        } else {
            open.apply(&at, sink);
        }
        self.ended.push((id.clone(), at, open));
    }

    pub(super) fn abort(&mut self, id: &StorageKey, at: At) {
        let open = self.take(id).map(|open| (id.clone(), at, open));
        self.ended.extend(open);
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

    /// What all take until their end and will take in the index, bytes.
    pub(crate) fn index_bytes(&self) -> usize {
        self.index_bytes
    }

    /// What all take in memory, with what their readers need, bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.index_bytes.saturating_add(self.own_bytes)
    }

    /// What the commit of one will take in the index, bytes.
    pub(crate) fn index_bytes_of(&self, id: &StorageKey) -> usize {
        self.open.get(id).map_or(0, Open::index_bytes)
    }

    /// The id that one of them gives to a topic or a pattern, by the key of its name: others give it the
    /// same.
    pub(crate) fn stream_of(&self, name: &[u8]) -> Option<u64> {
        self.open.values().find_map(|open| open.stream_of(name))
    }

    /// The highest id that one of them gives to a topic or a pattern; 0 when none does.
    pub(crate) fn last_stream(&self) -> u64 {
        self.open.values().map(Open::last_stream).max().unwrap_or_default()
    }

    /// How many patterns they name, those that others know too counted again.
    pub(crate) fn patterns(&self) -> usize {
        self.open.values().map(Open::patterns).sum()
    }

    /// The first record of the oldest one.
    pub(crate) fn oldest(&self) -> Option<Lsn> {
        self.open.values().map(|open| open.begun.lsn).min()
    }

    /// Takes note of the leader's clock.
    pub(crate) fn tick(&mut self, now_ms: u64) {
        self.open.values_mut().for_each(|open| open.tick(now_ms));
    }

    /// Those of which nothing may happen any more, and those that `is_over` says it of.
    pub(crate) fn due(&self, is_over: impl Fn(&Open) -> bool) -> Vec<StorageKey> {
        let due = self.open.iter().filter(|(_, open)| open.is_broken || is_over(open));
        due.map(|(id, _)| id.clone()).collect()
    }

    /// Records are missing: none that was open there can be whole.
    pub(crate) fn break_all(&mut self) {
        self.open.values_mut().for_each(Open::break_up);
        self.index_bytes = self.open.len().saturating_mul(OPEN_BYTES);
        self.own_bytes = 0;
    }

    /// Everything so far is in the log.
    pub(crate) fn appended(&mut self) {
        self.ended.clear();
    }

    /// Records above `appended` never came to be: what had its end there, in whichever way, has none,
    /// and what had changes there is not whole.
    pub(crate) fn undo(&mut self, appended: Lsn) {
        for (id, at, mut open) in core::mem::take(&mut self.ended) {
            if at.lsn > appended {
                self.endings.retain(|(ended, _)| *ended != id);
                open.break_up();
                self.insert(id, open);
            }
        }
        let begun_there = self.open.iter().filter(|(_, open)| open.begun.lsn > appended);
        let lost: Vec<_> = begun_there.map(|(id, _)| id.clone()).collect();
        for id in lost {
            self.take(&id);
            self.remember(id, Ending::Failed);
        }
        let changed_there = self.open.iter().filter(|(_, open)| open.last.lsn > appended);
        let broken: Vec<_> = changed_there.map(|(id, _)| id.clone()).collect();
        for id in broken {
            self.change(&id, Open::break_up);
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

    /// Forgets everything: the records that say it are read again.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}
