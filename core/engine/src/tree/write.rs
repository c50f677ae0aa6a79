//! One write transaction: entries in key order, what died by them, and the checkpoint.

use super::expire::earliest;
use super::{CHECKPOINT_KEY, Checkpoint, DATA, META, SEGMENTS, TreeEntry, checkpoint_of};
use crate::errors::{TreeError, TreeTable};
use crate::expiry::{Expiry, index_key};
use crate::models::{kv, row, successor};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Bound;
use redb::{ReadableTable, Table, WriteTransaction};
use unison_base::SegmentId;

type DataTable<'t> = Table<'t, &'static [u8], &'static [u8]>;

/// The tables of a write transaction, with the books that go with them.
pub(crate) struct TreeWrite<'t> {
    transaction: &'t WriteTransaction,
    pub(super) data: DataTable<'t>,
    checkpoint: Checkpoint,
    live: BTreeMap<SegmentId, i64>,
    encoded: Vec<u8>,
    /// When the first of what was in the tree before expires.
    earliest_expiry: u64,
}

impl<'t> TreeWrite<'t> {
    pub(crate) fn new(transaction: &'t WriteTransaction) -> Result<Self, TreeError> {
        let checkpoint = checkpoint_of(&transaction.open_table(META)?)?;
        let data = transaction.open_table(DATA)?;
        let earliest_expiry = earliest(&data)?;
        let (live, encoded) = (BTreeMap::new(), Vec::new());
        Ok(Self { transaction, data, checkpoint, live, encoded, earliest_expiry })
    }

    /// When the first of what was in the tree before this transaction expires; `u64::MAX` when nothing
    /// did.
    pub(crate) fn earliest_expiry(&self) -> u64 {
        self.earliest_expiry
    }

    /// What the tree stood for when this transaction began, with the keys that it now has.
    pub(crate) fn checkpoint(&self) -> Checkpoint {
        self.checkpoint
    }

    /// Sets the entry of a key.
    pub(crate) fn put(&mut self, key: &[u8], entry: &TreeEntry<'_>) -> Result<(), TreeError> {
        entry.encode(&mut self.encoded);
        let replaced = match self.data.insert(key, self.encoded.as_slice())? {
            Some(old) => Some(books_of(old.value())?),
            None => None,
        };
        if replaced.is_none() {
            self.count(key, 1);
        }
        let (live, expiry) = replaced.unwrap_or_default();
        account(&mut self.live, entry.live(), 1);
        account(&mut self.live, live, -1);
        self.index(key, expiry, entry.expiry)
    }

    /// Moves a key in the expiry index.
    fn index(&mut self, key: &[u8], old: Expiry, new: Expiry) -> Result<(), TreeError> {
        if old == new {
            return Ok(());
        }
        if old.is_set() {
            self.data.remove(index_key(old, key).as_slice())?;
        }
        if new.is_set() {
            self.data.insert(index_key(new, key).as_slice(), [].as_slice())?;
        }
        Ok(())
    }

    /// Removes a key if it is there.
    pub(crate) fn remove(&mut self, key: &[u8]) -> Result<(), TreeError> {
        let (live, expiry) = match self.data.remove(key)? {
            Some(old) => books_of(old.value())?,
            None => return Ok(()),
        };
        self.count(key, -1);
        account(&mut self.live, live, -1);
        self.index(key, expiry, Expiry::NEVER)
    }

    /// Removes a row, its head and all its cells. Returns how many keys there were.
    pub(crate) fn remove_row(&mut self, head: &[u8]) -> Result<u64, TreeError> {
        let end = successor(head);
        let range = (Bound::Included(head), Bound::Excluded(end.as_slice()));
        let (mut heads, mut keys, mut expiry) = (0, 0_u64, Expiry::NEVER);
        for removed in self.data.extract_from_if(range, |_, _| true)? {
            let (key, entry) = removed?;
            let (live, expires) = books_of(entry.value())?;
            if key.value().len() == head.len() {
                (heads, expiry) = (u64::from(head.first() == Some(&row::PREFIX)), expires);
            }
            keys = keys.saturating_add(1);
            account(&mut self.live, live, -1);
        }
        self.checkpoint.rows = self.checkpoint.rows.saturating_sub(heads);
        self.index(head, expiry, Expiry::NEVER)?;
        Ok(keys)
    }

    /// Removes the keys from `start` to before `end`, of a model that counts none.
    pub(crate) fn remove_range(&mut self, start: &[u8], end: &[u8]) -> Result<(), TreeError> {
        if start >= end {
            return Ok(());
        }
        let range = (Bound::Included(start), Bound::Excluded(end));
        let mut expiring = Vec::new();
        for removed in self.data.extract_from_if(range, |_, _| true)? {
            let (key, entry) = removed?;
            let (live, expiry) = books_of(entry.value())?;
            account(&mut self.live, live, -1);
            if expiry.is_set() {
                expiring.push(index_key(expiry, key.value()));
            }
        }
        for key in expiring {
            self.data.remove(key.as_slice())?;
        }
        Ok(())
    }

    /// Whether a row has cells.
    pub(crate) fn has_cells(&self, head: &[u8]) -> Result<bool, TreeError> {
        let end = successor(head);
        let range = (Bound::Excluded(head), Bound::Excluded(end.as_slice()));
        Ok(self.data.range(range)?.next().transpose()?.is_some())
    }

    /// Keys and rows are counted, cells are not.
    fn count(&mut self, key: &[u8], change: i64) {
        let counted = match row::split(key) {
            _ if kv::user_key(key).is_some() => &mut self.checkpoint.keys,
            Some((head, [])) if head.first() == Some(&row::PREFIX) => &mut self.checkpoint.rows,
            _ => return,
        };
        *counted = counted.saturating_add_signed(change);
    }

    /// Writes the books; the caller commits.
    pub(crate) fn finish(self, checkpoint: &Checkpoint) -> Result<(), TreeError> {
        let mut segments = self.transaction.open_table(SEGMENTS)?;
        for (segment, change) in self.live {
            let before = segments.get(segment.0)?.map_or(0, |bytes| bytes.value());
            let after = before.saturating_add_signed(change);
            if after == 0 {
                segments.remove(segment.0)?;
            } else {
                segments.insert(segment.0, after)?;
            }
        }
        let mut meta = self.transaction.open_table(META)?;
        meta.insert(CHECKPOINT_KEY, checkpoint.encode().as_slice())?;
        Ok(())
    }
}

fn account(live: &mut BTreeMap<SegmentId, i64>, part: Option<(SegmentId, u64)>, sign: i64) {
    if let Some((segment, bytes)) = part {
        // A value has at most 4 GiB, so the signed number holds it.
        let change = i64::try_from(bytes).unwrap_or(i64::MAX).saturating_mul(sign);
        let sum = live.entry(segment).or_default();
        *sum = sum.saturating_add(change);
    }
}

/// What the books say of an entry: the segment that it keeps alive, and when it expires.
type Books = (Option<(SegmentId, u64)>, Expiry);

fn books_of(bytes: &[u8]) -> Result<Books, TreeError> {
    let entry = TreeEntry::decode(bytes).ok_or(TreeError::Corrupt { table: TreeTable::Data })?;
    Ok((entry.live(), entry.expiry))
}
