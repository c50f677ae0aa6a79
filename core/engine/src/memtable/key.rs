//! Keys in storage form, short ones without an allocation.

use alloc::boxed::Box;
use core::borrow::Borrow;
use core::cmp::Ordering;

/// Longest key that needs no memory of its own, bytes.
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
}

impl Borrow<[u8]> for StorageKey {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq for StorageKey {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for StorageKey {}

impl PartialOrd for StorageKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for StorageKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}
