//! What a version takes over from the one before it in the same memtable.

use super::{Entry, RowChange};
use crate::expiry::Expiry;
use unison_base::Lsn;

/// A version of a key that this memtable knows as `before`. `watermark` is that of expiry at the new
/// version.
pub(super) fn onto(entry: Entry, before: Entry, watermark: u64) -> Entry {
    match (entry, before) {
        (Entry::Row { change, cleared, expiry }, Entry::Row { .. }) => {
            head(change, cleared, expiry, before)
        }
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

fn head(change: RowChange, cleared: Lsn, expiry: Option<Expiry>, before: Entry) -> Entry {
    let Entry::Row { change: last, cleared: known, expiry: old } = before else { return before };
    Entry::Row {
        change: if change == RowChange::Kept { last } else { change },
        cleared: cleared.max(known),
        expiry: expiry.or(old),
    }
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
