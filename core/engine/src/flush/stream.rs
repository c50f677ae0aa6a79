//! The stream of messages that a flush is in: what a trim took is removed from the tree, and not put
//! into it.

use crate::errors::TreeError;
use crate::expiry::Expiry;
use crate::memtable::{Join, Numbers, Version};
use crate::models::topic::key::{self, KeyKind};
use crate::models::topic::number::pair_bytes;
use crate::tree::{TreeEntry, TreeValue, TreeWrite};
use alloc::vec::Vec;
use unison_base::Lsn;

/// The bound of the newest trim that a flush met: keys of that stream below it are gone.
#[derive(Default)]
pub(super) struct Trimmed {
    stream: Vec<u8>,
    bound: Vec<u8>,
}

impl Trimmed {
    /// Whether a key went with its stream.
    pub(super) fn is_gone(&self, key: &[u8]) -> bool {
        key < self.bound.as_slice() && key.starts_with(&self.stream)
    }

    /// Puts two numbers into the tree, or does what they say.
    pub(super) fn numbers(
        &mut self,
        version: &Version,
        numbers: Numbers,
        tree: &mut TreeWrite<'_>,
    ) -> Result<(), TreeError> {
        let key = version.key.as_bytes();
        match numbers.join {
            Join::Replace => {
                let bytes = pair_bytes(numbers.first, numbers.second);
                let (lsn, value) = (version.lsn, TreeValue::Inline(&bytes));
                tree.put(key, &TreeEntry { lsn, expiry: Expiry::NEVER, value })
            }
            Join::Raise => self.trim(key, numbers, tree),
        }
    }

    fn trim(
        &mut self,
        head: &[u8],
        numbers: Numbers,
        tree: &mut TreeWrite<'_>,
    ) -> Result<(), TreeError> {
        let Some(stream) = key::id_of(KeyKind::Message, head) else { return Ok(()) };
        self.stream = head.into();
        self.bound = key::from_record(stream, numbers.first, Lsn(numbers.second));
        tree.remove_range(head, &self.bound)
    }
}
