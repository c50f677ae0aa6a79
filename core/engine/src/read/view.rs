//! One state of the memtables and the tree, replaced as a whole.

use super::own::is_own;
use super::value::{Found, Place};
use crate::errors::ReadError;
use crate::expiry::{At, Expiry};
use crate::memtable::{Entry, Memtable, Numbers, RowChange};
use crate::models::topic::number::pair_bytes;
use crate::tree::{TreeEntry, TreeValue, TreeView};
use alloc::sync::Arc;
use alloc::vec::Vec;
use unison_base::Lsn;
use unison_ports::SegmentStore;
use unison_walfs::Slice;

/// What a reader searches, newest first.
pub(crate) struct View {
    /// The one that is written, then those that wait for a flush.
    pub(crate) active: Arc<Memtable>,
    /// Newest first.
    pub(crate) frozen: Vec<Arc<Memtable>>,
    pub(crate) tree: Arc<TreeView>,
    /// Of a transaction's own view: the one that it was made from, which is held so that what the tree
    /// points to stays.
    #[expect(dead_code, reason = "holds, and is not looked at")]
    beneath: Option<Arc<View>>,
}

impl View {
    pub(crate) fn new(
        active: Arc<Memtable>,
        frozen: Vec<Arc<Memtable>>,
        tree: Arc<TreeView>,
    ) -> Self {
        Self { active, frozen, tree, beneath: None }
    }

    /// What a transaction sees: its own changes before everything there is.
    pub(crate) fn within(own: Arc<Memtable>, view: &Arc<Self>) -> Self {
        let frozen = view.memtables().map(Arc::clone).collect();
        let (tree, beneath) = (Arc::clone(&view.tree), Some(Arc::clone(view)));
        Self { active: own, frozen, tree, beneath }
    }

    pub(crate) fn memtables(&self) -> impl Iterator<Item = &Arc<Memtable>> {
        core::iter::once(&self.active).chain(&self.frozen)
    }

    /// Newest LSN of which this view holds everything, given the watermark read after the view was
    /// taken: when the view has been replaced in between, what came later is not in it.
    #[inline]
    pub(crate) fn bound(&self, applied: Lsn) -> Lsn {
        applied.min(self.active.last())
    }

    /// Oldest LSN whose state this view still tells.
    pub(crate) fn oldest(&self) -> Lsn {
        self.tree.checkpoint.lsn
    }

    /// The watermark of expiry at an LSN, milliseconds since 1970.
    pub(crate) fn watermark(&self, lsn: Lsn) -> u64 {
        let raised = self.memtables().find_map(|memtable| memtable.watermark_at(lsn));
        raised.unwrap_or(self.tree.checkpoint.expired_to)
    }

    /// The same moment, with the watermark for a clock where it is later.
    pub(crate) fn by_the_later_clock(&self, at: At) -> At {
        At { now_ms: at.now_ms.max(self.watermark(at.lsn)), ..at }
    }

    /// When the first of all that expires does; `u64::MAX` when nothing does. What was written over
    /// counts too.
    pub(crate) fn earliest_expiry(&self) -> u64 {
        let memory = self.memtables().map(|memtable| memtable.earliest_expiry()).min();
        memory.unwrap_or(u64::MAX).min(self.tree.earliest_expiry)
    }

    /// True when what expires then is gone at that moment.
    #[inline]
    pub(crate) fn is_past(&self, expiry: Expiry, at: At) -> bool {
        expiry.is_set() && (expiry.is_past(at.now_ms) || expiry.is_past(self.watermark(at.lsn)))
    }

    /// The newest version of a key; `None` when it is removed or expired or nothing is known of it.
    #[inline]
    pub(crate) fn find<S: SegmentStore>(
        &self,
        key: &[u8],
        at: At,
    ) -> Result<Option<Found<S>>, ReadError> {
        let found = self.find_unless_removed(key, at.lsn)?;
        Ok(found.filter(|found| !self.is_past(found.expiry, at)))
    }

    #[inline]
    fn find_unless_removed<S: SegmentStore>(
        &self,
        key: &[u8],
        lsn: Lsn,
    ) -> Result<Option<Found<S>>, ReadError> {
        let mut changed: Option<NewExpiry> = None;
        for memtable in self.memtables() {
            match memtable.find(key, lsn) {
                None => {}
                Some((lsn, Entry::Value(location, expiry))) => {
                    let found = Found { lsn, expiry, place: Place::Log(location) };
                    return Ok(NewExpiry::of(found, changed));
                }
                Some((lsn, Entry::Expire { expiry, watermark })) => {
                    // What a transaction says happens at its commit, so by the watermark of then.
                    let watermark = if is_own(lsn) { self.watermark(lsn) } else { watermark };
                    let older = NewExpiry { lsn, expiry, watermark };
                    match NewExpiry::onto(older, changed) {
                        Some(both) => changed = Some(both),
                        None => return Ok(None),
                    }
                }
                Some((lsn, Entry::Object(summary))) => {
                    let place = Place::Inline(Slice::from(summary.encode().as_slice()));
                    return Ok(Some(Found { lsn, expiry: Expiry::NEVER, place }));
                }
                Some(_) => return Ok(None),
            }
        }
        Ok(self.tree.find(key, found)?.and_then(|found| NewExpiry::of(found, changed)))
    }

    /// The newest record at `at`, of those behind the checkpoint, before which nothing of a row is left:
    /// one that deleted it, or the one before it began anew. All of it that is in the tree is gone
    /// then. `None` when the row has expired.
    pub(crate) fn cleared(&self, head: &[u8], at: At) -> Result<Option<Lsn>, ReadError> {
        let Some(known) = self.remembered_row(head, at.lsn) else {
            return Ok((!self.is_flushed_past(head, at)?).then_some(Lsn::ZERO));
        };
        if self.is_past(known.expiry, at) {
            return Ok(None);
        }
        let first = At { lsn: known.first, now_ms: 0 };
        let begins_anew = !known.is_whole() && self.is_flushed_past(head, first)?;
        Ok(Some(if begins_anew { known.first.prev() } else { known.cleared }))
    }

    /// Whether anything that is in the tree has expired at a moment.
    fn is_any_flushed_past(&self, at: At) -> bool {
        let earliest = self.tree.earliest_expiry;
        earliest < u64::MAX && self.is_past(Expiry(earliest), at)
    }

    /// Whether a row that is in the tree has expired at a moment.
    fn is_flushed_past(&self, head: &[u8], at: At) -> Result<bool, ReadError> {
        if !self.is_any_flushed_past(at) {
            return Ok(false);
        }
        let expiry = self.tree.find(head, |entry| entry.expiry)?.unwrap_or_default();
        Ok(self.is_past(expiry, at))
    }

    /// What is known of a row, from its head alone; `None` when it has expired or nothing is known.
    pub(crate) fn row(&self, head: &[u8], at: At) -> Result<Option<RowVersion>, ReadError> {
        let known = match self.remembered_row(head, at.lsn) {
            Some(known) if self.says_all(&known) => Some(known),
            Some(known) => Some(known.onto(self.flushed_row(head)?.as_ref(), self)),
            None => self.flushed_row(head)?,
        };
        Ok(known.filter(|known| !self.is_past(known.expiry, at)))
    }

    fn flushed_row(&self, head: &[u8]) -> Result<Option<RowVersion>, ReadError> {
        Ok(self.tree.find(head, |entry| RowVersion {
            lsn: entry.lsn,
            cleared: Lsn::ZERO,
            last: RowChange::Filled,
            expiry: entry.expiry,
            first: entry.lsn,
        })?)
    }

    /// True when the tree would not change what memory knows of a row.
    fn says_all(&self, known: &RowVersion) -> bool {
        let first = At { lsn: known.first, now_ms: 0 };
        known.is_whole() || known.last != RowChange::Kept && !self.is_any_flushed_past(first)
    }

    /// What memory knows of a row.
    fn remembered_row(&self, head: &[u8], lsn: Lsn) -> Option<RowVersion> {
        let mut known: Option<RowVersion> = None;
        for memtable in self.memtables() {
            let Some((lsn, Entry::Row { change, cleared, expiry, first })) =
                memtable.find(head, lsn)
            else {
                continue;
            };
            let older = RowVersion { lsn, cleared, last: change, expiry, first };
            let newest = known.map_or(older, |known| known.onto(Some(&older), self));
            known = Some(newest);
            if newest.is_whole() {
                break;
            }
        }
        known
    }
}

/// A row's newest change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowVersion {
    /// The record that made it.
    pub(crate) lsn: Lsn,
    /// Cells up to this record are gone.
    pub(crate) cleared: Lsn,
    /// What it was. A row that is in the tree and nowhere else has cells.
    pub(crate) last: RowChange,
    pub(crate) expiry: Expiry,
    /// The first change of those looked at: if the row had expired by the watermark there, it began
    /// anew.
    first: Lsn,
}

impl RowVersion {
    /// True when nothing older matters: behind a deletion that is so.
    fn is_whole(&self) -> bool {
        self.cleared > Lsn::ZERO
    }

    /// With what an older state says, or there is none.
    fn onto(self, older: Option<&Self>, view: &View) -> Self {
        let first = At { lsn: self.first, now_ms: 0 };
        let alive = older.filter(|older| !view.is_past(older.expiry, first));
        let (cleared, last) = match (older, alive) {
            (_, Some(older)) => (older.cleared, older.last),
            (Some(_), None) => (self.first.prev(), RowChange::Deleted),
            (None, None) => (Lsn::ZERO, RowChange::Deleted),
        };
        Self {
            cleared: self.cleared.max(cleared),
            last: if self.last == RowChange::Kept { last } else { self.last },
            first: alive.map_or(self.first, |older| older.first),
            ..self
        }
    }
}

/// A change of when a key expires, whose value an older version has.
#[derive(Clone, Copy)]
struct NewExpiry {
    lsn: Lsn,
    expiry: Expiry,
    /// What had expired by then has no value that could be kept.
    watermark: u64,
}

impl NewExpiry {
    /// A value, changed since or not.
    fn of<S: SegmentStore>(found: Found<S>, changed: Option<Self>) -> Option<Found<S>> {
        let Some(changed) = changed else { return Some(found) };
        let alive = !found.expiry.is_past(changed.watermark);
        alive.then(|| Found { lsn: changed.lsn, expiry: changed.expiry, ..found })
    }

    /// This change, and a newer one.
    fn onto(self, newer: Option<Self>) -> Option<Self> {
        let Some(newer) = newer else { return Some(self) };
        let alive = !self.expiry.is_past(newer.watermark);
        alive.then_some(Self { watermark: self.watermark, ..newer })
    }
}

/// Numbers as the value that the tree has for them.
pub(crate) fn held<S: SegmentStore>(numbers: Numbers) -> Place<S> {
    Place::Inline(Slice::from(pair_bytes(numbers.first, numbers.second).as_slice()))
}

/// An entry of the tree as something found.
pub(crate) fn found<S: SegmentStore>(entry: TreeEntry<'_>) -> Found<S> {
    let place = match entry.value {
        TreeValue::Inline(bytes) => Place::Inline(Slice::from(bytes)),
        TreeValue::InLog(location) => Place::Log(location),
    };
    Found { lsn: entry.lsn, expiry: entry.expiry, place }
}
