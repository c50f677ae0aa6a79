//! The settings of topics at an LSN, and what they keep of a stream of messages.

use super::entries::{Content, Entries};
use super::keys_left::KeysLeft;
use super::value::Pin;
use crate::errors::{ReadError, TreeError, TreeTable};
use crate::expiry::At;
use crate::memtable::Direction;
use crate::models::successor;
use crate::models::topic::key::{self, KeyKind, MessagePosition};
use crate::models::topic::settings::Rules;
use crate::records::settings_of_entry;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;
use unison_base::Lsn;
use unison_ports::SegmentStore;

/// Settings, or why they cannot be read.
pub(crate) type Known = Result<Arc<Rules>, ReadError>;

/// The settings at `lsn`.
pub(crate) fn load_rules<S: SegmentStore>(pin: &Arc<Pin<S>>, lsn: Lsn) -> Known {
    let at = At { lsn, now_ms: 0 };
    let Some(found) = pin.view.find(&KeyKind::Settings.prefix(), at)? else {
        return Ok(Arc::default());
    };
    let lsn = found.lsn;
    let bytes = found.lazy(pin).into_bytes()?;
    let corrupt = TreeError::Corrupt { table: TreeTable::Data };
    Ok(Arc::new(Rules::new(lsn, settings_of_entry(&bytes).ok_or(corrupt)?)))
}

/// The settings at `lsn`, when the newest ones are `known`.
pub(super) fn rules_at<S: SegmentStore>(pin: &Arc<Pin<S>>, known: &Known, lsn: Lsn) -> Known {
    let Ok(newest) = known else { return load_rules(pin, lsn) };
    if newest.lsn == Lsn::ZERO {
        return Ok(Arc::clone(newest));
    }
    let key = KeyKind::Settings.prefix();
    match pin.view.find::<S>(&key, At { lsn, now_ms: 0 })? {
        Some(found) if found.lsn == newest.lsn => Ok(Arc::clone(newest)),
        _ => load_rules(pin, lsn),
    }
}

/// The key of the message with which the newest `count` of a stream begin, all that are there counted
/// from `low` on; `low` when there are no more.
pub(crate) fn kept_from<S: SegmentStore>(
    pin: &Arc<Pin<S>>,
    (stream, at): (u64, At),
    (low, count): (Vec<u8>, u32),
    keys: &mut KeysLeft,
) -> Result<Vec<u8>, ReadError> {
    let end = successor(&key::stream(stream));
    let bounds = (Bound::Included(low.clone()), Bound::Excluded(end));
    let mut entries = Entries::new(Arc::clone(pin), at, bounds, Direction::Backward)?;
    let mut left = count;
    while let Some(version) = entries.step()? {
        keys.look()?;
        if let Content::Value(_) = version.content {
            left = left.saturating_sub(1);
            if left == 0 {
                return Ok(version.key().to_vec());
            }
        }
    }
    Ok(low)
}

/// Whether any message is there from `low` on and before `high`.
pub(crate) fn has_any<S: SegmentStore>(
    pin: &Arc<Pin<S>>,
    at: At,
    (low, high): (Vec<u8>, Vec<u8>),
) -> Result<bool, ReadError> {
    let bounds = (Bound::Included(low), Bound::Excluded(high));
    let mut entries = Entries::new(Arc::clone(pin), at, bounds, Direction::Forward)?;
    while let Some(version) = entries.step()? {
        if let Content::Value(_) = version.content {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a message is among the newest `count` of its stream.
pub(super) fn is_kept<S: SegmentStore>(
    pin: &Arc<Pin<S>>,
    (stream, at): (u64, At),
    (message, count): (&MessagePosition, u32),
    keys: &mut KeysLeft,
) -> Result<bool, ReadError> {
    let end = successor(&key::stream(stream));
    let bounds = (Bound::Excluded(key::message(stream, message)), Bound::Excluded(end));
    let mut entries = Entries::new(Arc::clone(pin), at, bounds, Direction::Forward)?;
    let mut newer = 0_u32;
    while newer < count
        && let Some(version) = entries.step()?
    {
        keys.look()?;
        newer = newer.saturating_add(u32::from(matches!(version.content, Content::Value(_))));
    }
    Ok(newer < count)
}
