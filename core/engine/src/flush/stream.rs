//! The stream of messages that a flush is in: what a trim took is removed from the tree, and not put
//! into it.

use crate::errors::TreeError;
use crate::expiry::Expiry;
use crate::memtable::{Join, Numbers, Version};
use crate::models::topic::key::{self, KeyKind};
use crate::models::topic::number::pair_bytes;
use crate::tree::{TreeEntry, TreeValue, TreeWrite, Trim};
use alloc::vec::Vec;
use unison_base::Lsn;

/// What trims took: keys of the stream at hand below the bound are gone.
pub(super) struct Trimmed {
    stream: Vec<u8>,
    bound: Vec<u8>,
    /// How many keys may still be removed.
    left: usize,
    /// Trims of which a part is left.
    unfinished: Vec<Trim>,
}

impl Trimmed {
    /// Trims that may remove so many keys.
    pub(super) fn new(keys_max: usize) -> Self {
        Self { stream: Vec::new(), bound: Vec::new(), left: keys_max, unfinished: Vec::new() }
    }

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
        let trim = Trim { stream, before: (numbers.first, Lsn(numbers.second)) };
        self.stream = head.into();
        self.bound = trim.bound();
        self.left = self.left.saturating_sub(tree.trim(&trim, self.left)?);
        if self.left == 0 {
            self.unfinished.push(trim);
        }
        Ok(())
    }

    /// Writes down what is not finished. Returns how many keys may still be removed.
    pub(super) fn end(self, lsn: Lsn, tree: &mut TreeWrite<'_>) -> Result<usize, TreeError> {
        tree.keep_trims(&self.unfinished, lsn)?;
        Ok(self.left)
    }
}
