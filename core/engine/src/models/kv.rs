//! Keys and values: `FE`, then the user's key.

use crate::memtable::StorageKey;
use unison_base::limits::KEY_MAX;

/// First byte of every key in storage form.
pub(crate) const PREFIX: u8 = 0xFE;

/// Storage form of a user's key; `None` when it is empty or longer than the limit.
#[inline]
pub(crate) fn storage_key(user: &[u8]) -> Option<StorageKey> {
    (!user.is_empty() && user.len() <= KEY_MAX).then(|| StorageKey::prefixed(PREFIX, user))
}

/// The user's key of a storage key; `None` when it belongs to another model.
pub(crate) fn user_key(storage: &[u8]) -> Option<&[u8]> {
    storage.split_first().and_then(|(&prefix, user)| (prefix == PREFIX).then_some(user))
}
