//! What expiry does to the tree in a flush: keys that expire at another time, and the removal of what
//! has expired.

use super::{TreeEntry, TreeValue, TreeWrite};
use crate::errors::{TreeError, TreeTable};
use crate::expiry::{Expiry, index_end, index_start, indexed};
use crate::models::row;
use alloc::vec::Vec;
use redb::ReadableTable;
use unison_base::Lsn;

/// Most keys that are taken out of the index at a time, to be removed in their own order.
const KEYS_AT_A_TIME: usize = 8 << 10;

/// A change of when a key expires, whose value stays.
pub(crate) struct NewExpiry {
    pub(crate) lsn: Lsn,
    pub(crate) expiry: Expiry,
    /// The watermark at the change: what had expired by then is gone.
    pub(crate) watermark: u64,
}

/// When the first of what is in the tree expires; `u64::MAX` when nothing does.
pub(super) fn earliest(
    data: &impl ReadableTable<&'static [u8], &'static [u8]>,
) -> Result<u64, TreeError> {
    let (start, end) = (index_start(0), index_end(u64::MAX));
    let first = data.range(start.as_slice()..end.as_slice())?.next().transpose()?;
    let found = first.and_then(|(key, _)| Some(indexed(key.value())?.0));
    Ok(found.map_or(u64::MAX, |expiry| expiry.0))
}

impl TreeWrite<'_> {
    /// When a key expires that is in the tree.
    pub(crate) fn expiry_of(&mut self, key: &[u8]) -> Result<Option<Expiry>, TreeError> {
        let Some(found) = self.data()?.get(key)? else { return Ok(None) };
        let entry = TreeEntry::decode(found.value());
        Ok(Some(entry.ok_or(TreeError::Corrupt { table: TreeTable::Data })?.expiry))
    }

    /// Changes when a key expires, if it is there and had not expired by then.
    pub(crate) fn expire(&mut self, key: &[u8], new: &NewExpiry) -> Result<(), TreeError> {
        let Some(found) = self.data()?.get(key)? else { return Ok(()) };
        let bytes = found.value().to_vec();
        drop(found);
        let old = TreeEntry::decode(&bytes).ok_or(TreeError::Corrupt { table: TreeTable::Data })?;
        if old.expiry.is_past(new.watermark) {
            return self.remove(key);
        }
        self.put(key, &TreeEntry { lsn: new.lsn, expiry: new.expiry, value: old.value })
    }

    /// Puts a row's head into the tree.
    pub(crate) fn put_head(
        &mut self,
        head: &[u8],
        lsn: Lsn,
        expiry: Expiry,
    ) -> Result<(), TreeError> {
        self.put(head, &TreeEntry { lsn, expiry, value: TreeValue::Inline(&[]) })
    }

    /// Removes what has expired by the watermark, the earliest first, until that took as many keys as
    /// it may: the rest stays hidden until the next time. Returns how many it took.
    pub(crate) fn remove_expired(
        &mut self,
        watermark: u64,
        keys_max: usize,
    ) -> Result<usize, TreeError> {
        let mut taken = 0_usize;
        while taken < keys_max {
            let at_a_time = keys_max.saturating_sub(taken).min(KEYS_AT_A_TIME);
            let mut expired = self.take_expired(watermark, at_a_time)?;
            if expired.is_empty() {
                break;
            }
            // Neighbours lie in the same pages.
            expired.sort_unstable_by(|one, other| one.1.cmp(&other.1));
            for (expiry, key) in expired {
                let removed = self.remove_one(&key, expiry)?;
                taken = taken.saturating_add(removed.max(1));
            }
        }
        Ok(taken)
    }

    /// Removes a key, or a row with all its cells. Returns how many keys that were.
    fn remove_one(&mut self, key: &[u8], indexed: Expiry) -> Result<usize, TreeError> {
        if row::split(key).is_some() {
            return Ok(usize::try_from(self.remove_row(key)?).unwrap_or(usize::MAX));
        }
        self.remove_indexed(key, indexed)?;
        Ok(1)
    }

    /// Takes the earliest out of the index.
    fn take_expired(
        &mut self,
        watermark: u64,
        keys_max: usize,
    ) -> Result<Vec<(Expiry, Vec<u8>)>, TreeError> {
        let (start, end) = (index_start(0), index_end(watermark));
        let data = self.data_and_index()?;
        let expired = data.extract_from_if(start.as_slice()..end.as_slice(), |_, _| true)?;
        let keys = expired.take(keys_max).map(|item| {
            let (key, _) = item?;
            let (expiry, key) =
                indexed(key.value()).ok_or(TreeError::Corrupt { table: TreeTable::Data })?;
            Ok((expiry, key.to_vec()))
        });
        keys.collect()
    }
}
