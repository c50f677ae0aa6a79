//! What a version takes over from the one before it in the same memtable.

use super::{Entry, RowChange};
use crate::expiry::Expiry;

/// A version of a key that this memtable knows as `before`. `watermark` is that of expiry at the new
/// version.
pub(crate) fn onto(entry: Entry, before: Entry, watermark: u64) -> Entry {
    match (entry, before) {
        (Entry::Row { .. }, Entry::Row { .. }) => head(entry, before, watermark),
        (Entry::Expire { expiry, .. }, _) => value(expiry, before, watermark),
        _ => entry,
    }
}

/// A version of a key that this memtable does not know.
pub(super) fn first(entry: Entry, watermark: u64) -> Entry {
    match entry {
        Entry::Expire { expiry, .. } => Entry::Expire { expiry, watermark },
        _ => entry,
    }
}

/// The head of a row that has expired by the watermark begins anew: what came before is cleared.
fn head(entry: Entry, before: Entry, watermark: u64) -> Entry {
    let Entry::Row { change, cleared, expiry, first: lsn } = entry else { return entry };
    let Entry::Row { change: last, cleared: known, expiry: old, first } = before else {
        return entry;
    };
    let (last, known) = match old.is_past(watermark) {
        true => (RowChange::Deleted, lsn.prev()),
        false => (last, known),
    };
    let change = if change == RowChange::Kept { last } else { change };
    Entry::Row { change, cleared: cleared.max(known), expiry, first }
}

/// What has expired by the watermark has no value that could be kept.
fn value(expiry: Expiry, before: Entry, watermark: u64) -> Entry {
    match before {
        before if before.expiry().is_past(watermark) => Entry::Tombstone,
        Entry::Value(location, _) => Entry::Value(location, expiry),
        Entry::Expire { watermark, .. } => Entry::Expire { expiry, watermark },
        _ => Entry::Tombstone,
    }
}
