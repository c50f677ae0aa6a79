//! Keys in storage form, short ones without a pointer to follow.

use alloc::boxed::Box;
use core::cmp::Ordering;
use unison_base::Lsn;

/// Longest key that lies inside the node itself, bytes.
const INLINE_BYTES: usize = 22;

/// A key in storage form.
#[derive(Clone)]
pub(crate) struct StorageKey(Bytes);

#[derive(Clone)]
enum Bytes {
    Inline { length: u8, bytes: [u8; INLINE_BYTES] },
    Heap(Box<[u8]>),
}

const _: () = assert!(size_of::<StorageKey>() == 24);

impl StorageKey {
    /// A key of a model: its one-byte prefix, then what the user gave.
    pub(crate) fn prefixed(prefix: u8, user: &[u8]) -> Self {
        let mut bytes = [0; INLINE_BYTES];
        match (u8::try_from(user.len() + 1), bytes.get_mut(..=user.len())) {
            (Ok(length), Some([first, rest @ ..])) => {
                *first = prefix;
                rest.copy_from_slice(user);
                Self(Bytes::Inline { length, bytes })
            }
            _ => Self(Bytes::Heap(core::iter::once(prefix).chain(user.iter().copied()).collect())),
        }
    }

    /// A key that is in storage form already.
    pub(crate) fn from_storage(key: &[u8]) -> Self {
        let mut bytes = [0; INLINE_BYTES];
        match (u8::try_from(key.len()), bytes.get_mut(..key.len())) {
            (Ok(length), Some(target)) => {
                target.copy_from_slice(key);
                Self(Bytes::Inline { length, bytes })
            }
            _ => Self(Bytes::Heap(key.into())),
        }
    }

    /// The key.
    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Bytes::Inline { length, bytes } => bytes.get(..usize::from(*length)).unwrap_or(bytes),
            Bytes::Heap(bytes) => bytes,
        }
    }

    /// Bytes outside the node.
    pub(crate) fn heap_bytes(&self) -> usize {
        match &self.0 {
            Bytes::Inline { .. } => 0,
            Bytes::Heap(bytes) => bytes.len(),
        }
    }
}

/// One version of a key. Sorts by key, then the newest version first, so that the first entry at or
/// behind `(key, lsn)` is what a reader at `lsn` sees.
#[derive(Clone)]
pub(crate) struct VersionedKey {
    pub(crate) key: StorageKey,
    pub(crate) lsn: Lsn,
}

impl Ord for VersionedKey {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        let keys = self.key.as_bytes().cmp(other.key.as_bytes());
        keys.then_with(|| other.lsn.cmp(&self.lsn))
    }
}

impl PartialOrd for VersionedKey {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for VersionedKey {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for VersionedKey {}
