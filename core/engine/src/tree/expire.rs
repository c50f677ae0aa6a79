//! What expiry does to the tree in a flush: keys that expire at another time, and the removal of what
//! has expired.

use super::{TreeEntry, TreeValue, TreeWrite};
use crate::errors::{TreeError, TreeTable};
use crate::expiry::{Expiry, index_end, index_key, index_start, indexed};
use crate::models::row;
use alloc::vec::Vec;
use redb::ReadableTable;
use unison_base::Lsn;

/// Most keys that are looked up in the index at a time.
const KEYS_AT_A_TIME: usize = 256;

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
    pub(crate) fn expiry_of(&self, key: &[u8]) -> Result<Option<Expiry>, TreeError> {
        let Some(found) = self.data.get(key)? else { return Ok(None) };
        let entry = TreeEntry::decode(found.value());
        Ok(Some(entry.ok_or(TreeError::Corrupt { table: TreeTable::Data })?.expiry))
    }

    /// Changes when a key expires, if it is there and had not expired by then.
    pub(crate) fn expire(&mut self, key: &[u8], new: &NewExpiry) -> Result<(), TreeError> {
        let Some(found) = self.data.get(key)? else { return Ok(()) };
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
    /// one flush may: the rest stays hidden until the next one.
    pub(crate) fn remove_expired(
        &mut self,
        watermark: u64,
        keys_max: usize,
    ) -> Result<(), TreeError> {
        let mut left = keys_max;
        while left > 0 {
            let expired = self.expired(watermark, left.min(KEYS_AT_A_TIME))?;
            if expired.is_empty() {
                break;
            }
            for (expiry, key) in expired {
                let removed = self.remove_one(&key)?;
                // It has gone with its key, but for a tree that was damaged: that ends here too.
                self.data.remove(index_key(expiry, &key).as_slice())?;
                left = left.saturating_sub(removed.max(1));
            }
        }
        Ok(())
    }

    /// Removes a key, or a row with all its cells. Returns how many keys that were.
    fn remove_one(&mut self, key: &[u8]) -> Result<usize, TreeError> {
        if row::split(key).is_some() {
            return Ok(usize::try_from(self.remove_row(key)?).unwrap_or(usize::MAX));
        }
        self.remove(key)?;
        Ok(1)
    }

    fn expired(
        &self,
        watermark: u64,
        keys_max: usize,
    ) -> Result<Vec<(Expiry, Vec<u8>)>, TreeError> {
        let (start, end) = (index_start(0), index_end(watermark));
        let range = self.data.range(start.as_slice()..end.as_slice())?;
        let keys = range.take(keys_max).map(|item| {
            let (key, _) = item?;
            let (expiry, key) =
                indexed(key.value()).ok_or(TreeError::Corrupt { table: TreeTable::Data })?;
            Ok((expiry, key.to_vec()))
        });
        keys.collect()
    }
}
