//! Trims that one transaction could not finish: how far each goes, until another one has removed the rest.

use super::write::TreeWrite;
use super::{TreeEntry, TreeValue, TreeView};
use crate::errors::{TreeError, TreeTable};
use crate::expiry::Expiry;
use crate::models::successor;
use crate::models::topic::key::{self, KeyKind};
use crate::models::topic::number::{pair_bytes, pair_of};
use alloc::vec::Vec;
use core::ops::Bound;
use redb::ReadableTable;
use unison_base::Lsn;

/// Messages of a stream before a time and an LSN are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trim {
    pub(crate) stream: u64,
    pub(crate) before: (u64, Lsn),
}

impl Trim {
    fn of(key: &[u8], entry: &TreeEntry<'_>) -> Option<Self> {
        let stream = key::id_of(KeyKind::Trim, key)?;
        let (time_ms, lsn) = entry.inline().and_then(pair_of)?;
        Some(Self { stream, before: (time_ms, Lsn(lsn)) })
    }

    /// The first key that is not gone.
    pub(crate) fn bound(&self) -> Vec<u8> {
        key::from_record(self.stream, self.before.0, self.before.1)
    }
}

const CORRUPT: TreeError = TreeError::Corrupt { table: TreeTable::Data };

impl TreeView {
    /// The unfinished trim of a stream.
    pub(crate) fn trim(&self, stream: u64) -> Result<Option<Trim>, TreeError> {
        if !self.has_trims {
            return Ok(None);
        }
        let key = key::by_id(KeyKind::Trim, stream);
        let found = self.find(&key, |entry| Trim::of(&key, &entry))?;
        found.map(|trim| trim.ok_or(CORRUPT)).transpose()
    }

    pub(super) fn finds_trims(&self) -> Result<bool, TreeError> {
        let first = KeyKind::Trim.prefix();
        let end = successor(&first);
        let trims = self.range(Bound::Included(&first), Bound::Excluded(&end))?;
        Ok(trims.and_then(|mut trims| trims.next()).transpose()?.is_some())
    }
}

impl TreeWrite<'_> {
    /// Removes what a trim takes, no more than `keys_max`. What it left is taken by
    /// [`finish_trims`](Self::finish_trims). Returns how many it took.
    pub(crate) fn trim(&mut self, trim: &Trim, keys_max: usize) -> Result<usize, TreeError> {
        self.remove_range(&key::stream(trim.stream), &trim.bound(), keys_max)
    }

    /// Writes down trims that are not finished.
    pub(crate) fn keep_trims(&mut self, trims: &[Trim], lsn: Lsn) -> Result<(), TreeError> {
        for trim in trims {
            let key = key::by_id(KeyKind::Trim, trim.stream);
            let known = self.data()?.get(key.as_slice())?;
            let known = known.and_then(|found| Trim::of(&key, &TreeEntry::decode(found.value())?));
            let (time_ms, before) =
                known.map_or(trim.before, |known| known.before.max(trim.before));
            let bytes = pair_bytes(time_ms, before.0);
            let (expiry, value) = (Expiry::NEVER, TreeValue::Inline(&bytes));
            self.put(&key, &TreeEntry { lsn, expiry, value })?;
        }
        Ok(())
    }

    /// Goes on with trims that were not finished, until that took as many keys as it may. Returns how
    /// many it took.
    pub(crate) fn finish_trims(&mut self, keys_max: usize) -> Result<usize, TreeError> {
        let mut taken = 0_usize;
        while taken < keys_max {
            let Some(trim) = self.first_trim()? else { break };
            taken = taken.saturating_add(self.trim(&trim, keys_max.saturating_sub(taken))?);
            if taken < keys_max {
                self.remove(&key::by_id(KeyKind::Trim, trim.stream))?;
                taken = taken.saturating_add(1);
            }
        }
        Ok(taken)
    }

    fn first_trim(&mut self) -> Result<Option<Trim>, TreeError> {
        let first = KeyKind::Trim.prefix();
        let end = successor(&first);
        let mut trims = self.data()?.range(first.as_slice()..end.as_slice())?;
        let Some((key, entry)) = trims.next().transpose()? else { return Ok(None) };
        let entry = TreeEntry::decode(entry.value()).ok_or(CORRUPT)?;
        Trim::of(key.value(), &entry).ok_or(CORRUPT).map(Some)
    }
}
