//! The index by time: `FB`, then the time, big-endian, then the key that expires, in storage form. A
//! row is there by its head.

use super::{Expiry, PREFIX};
use alloc::vec::Vec;
use unison_base::bytes::u64_at;

/// Bytes before the key.
const HEAD_BYTES: usize = 9;

/// The first key of those that expire at `ms` or later.
pub(crate) fn start(ms: u64) -> [u8; HEAD_BYTES] {
    let [a, b, c, d, e, f, g, h] = ms.to_be_bytes();
    [PREFIX, a, b, c, d, e, f, g, h]
}

/// The first key behind those that expire at `ms` or earlier.
pub(crate) fn end(ms: u64) -> [u8; HEAD_BYTES] {
    ms.checked_add(1).map_or([PREFIX + 1, 0, 0, 0, 0, 0, 0, 0, 0], start)
}

/// Appends the key of the index for a key that expires then.
pub(crate) fn put_index_key(target: &mut Vec<u8>, expiry: Expiry, key: &[u8]) {
    target.extend_from_slice(&start(expiry.0));
    target.extend_from_slice(key);
}

/// Time and key of a key of the index; `None` when it is none.
pub(crate) fn indexed(index_key: &[u8]) -> Option<(Expiry, &[u8])> {
    let (head, key) = index_key.split_at_checked(HEAD_BYTES)?;
    let ms = u64_at(head, 1)?.swap_bytes();
    (head.first() == Some(&PREFIX)).then_some((Expiry(ms), key))
}
