//! The exact number of keys of the key-value model: what the tree counted at its checkpoint, corrected
//! by what memory knows and by what has expired since. Every key in memory costs one look into the
//! tree's keys, and so does every expired one that no flush has removed; no value is read.

use super::merge::MemtableMerge;
use super::view::View;
use crate::errors::{ReadError, TreeError, TreeTable};
use crate::expiry::{At, Expiry, indexed};
use crate::memtable::Direction;
use crate::models::kv;
use core::ops::Bound;
use unison_base::Lsn;
use unison_ports::SegmentStore;

/// The newest answer, kept until something changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    pub(crate) lsn: Lsn,
    pub(crate) keys: u64,
    /// For clocks from this one on, milliseconds since 1970.
    pub(crate) from_ms: u64,
    /// For clocks before this one: then the next key expires.
    pub(crate) until_ms: u64,
}

impl Counted {
    /// No answer.
    pub(crate) const fn nothing() -> Self {
        Self { lsn: Lsn::ZERO, keys: 0, from_ms: 0, until_ms: 0 }
    }

    /// Whether it answers at a moment.
    pub(crate) fn answers(&self, at: At) -> bool {
        self.lsn == at.lsn && (self.from_ms..self.until_ms).contains(&at.now_ms)
    }
}

/// `None` when `goes_on` said no.
pub(crate) fn count<S: SegmentStore>(
    view: &View,
    at: At,
    goes_on: &mut dyn FnMut() -> bool,
) -> Result<Option<Counted>, ReadError> {
    let at = view.by_the_later_clock(at);
    let mut counted = Counted {
        lsn: at.lsn,
        keys: view.tree.checkpoint.keys,
        from_ms: at.now_ms,
        until_ms: view.tree.next_expiry(at.now_ms)?.unwrap_or(u64::MAX),
    };
    let is_whole = correct_by_memory::<S>(view, at, &mut counted, goes_on)?
        && correct_by_expiry(view, at, &mut counted, goes_on)?;
    Ok(is_whole.then_some(counted))
}

fn correct_by_memory<S: SegmentStore>(
    view: &View,
    at: At,
    counted: &mut Counted,
    goes_on: &mut dyn FnMut() -> bool,
) -> Result<bool, ReadError> {
    let first = Bound::Included([kv::PREFIX].as_slice());
    let mut merge = MemtableMerge::new(view, at.lsn, first, Direction::Forward);
    while let Some(version) = merge.next() {
        if !goes_on() {
            return Ok(false);
        }
        let key = version.key.as_bytes();
        if kv::user_key(key).is_none() {
            break;
        }
        let before = view.tree.find(key, |_| ())?.is_some();
        let found = view.find::<S>(key, at)?;
        match (before, &found) {
            (false, Some(_)) => counted.keys = counted.keys.saturating_add(1),
            (true, None) => counted.keys = counted.keys.saturating_sub(1),
            _ => {}
        }
        if let Some(found) = found.filter(|found| found.expiry.is_set()) {
            counted.until_ms = counted.until_ms.min(found.expiry.0);
        }
    }
    Ok(true)
}

/// What the tree holds, has expired, and memory knows nothing of.
fn correct_by_expiry(
    view: &View,
    at: At,
    counted: &mut Counted,
    goes_on: &mut dyn FnMut() -> bool,
) -> Result<bool, ReadError> {
    if view.tree.earliest_expiry > at.now_ms {
        return Ok(true);
    }
    for expired in known_to_tree_only(view, at, (0, at.now_ms))? {
        if !goes_on() {
            return Ok(false);
        }
        counted.keys = counted.keys.saturating_sub(u64::from(expired?.is_some()));
    }
    Ok(true)
}

/// What the tree's index says expires in a time, both ends included: of each entry when, if it is a key
/// of which memory knows nothing.
pub(super) fn known_to_tree_only(
    view: &View,
    at: At,
    (from_ms, to_ms): (u64, u64),
) -> Result<impl Iterator<Item = Result<Option<Expiry>, ReadError>>, ReadError> {
    let index = view.tree.expiring(from_ms, to_ms)?.into_iter().flatten();
    Ok(index.map(move |item| {
        let (index_key, _) = item.map_err(TreeError::from)?;
        let (expiry, key) =
            indexed(index_key.value()).ok_or(TreeError::Corrupt { table: TreeTable::Data })?;
        let remembered = view.memtables().any(|memtable| memtable.find(key, at.lsn).is_some());
        Ok((kv::user_key(key).is_some() && !remembered).then_some(expiry))
    }))
}
