//! One write transaction: entries in key order, what died by them, and the checkpoint.

use super::expire::earliest;
use super::run::Run;
use super::times::IndexChanges;
use super::{CHECKPOINT_KEY, Checkpoint, DATA, META, SEGMENTS, TreeEntry, checkpoint_of};
use crate::errors::{TreeError, TreeTable};
use crate::expiry::Expiry;
use crate::models::{kv, row, successor};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Bound;
use redb::{ReadableTable, Table, WriteTransaction};
use unison_base::SegmentId;

pub(super) type DataTable<'t> = Table<'t, &'static [u8], &'static [u8]>;

/// The tables of a write transaction, with the books that go with them.
pub(crate) struct TreeWrite<'t> {
    transaction: &'t WriteTransaction,
    data: DataTable<'t>,
    /// Entries that are not in `data` yet, and changes of the expiry index.
    run: Run,
    times: IndexChanges,
    books: Books,
    encoded: Vec<u8>,
    /// When the first of what was in the tree before expires.
    earliest_expiry: u64,
}

impl<'t> TreeWrite<'t> {
    pub(crate) fn new(transaction: &'t WriteTransaction) -> Result<Self, TreeError> {
        let checkpoint = checkpoint_of(&transaction.open_table(META)?)?;
        let data = transaction.open_table(DATA)?;
        let earliest_expiry = earliest(&data)?;
        let books = Books { checkpoint, live: BTreeMap::new() };
        let (run, times, encoded) = (Run::default(), IndexChanges::default(), Vec::new());
        Ok(Self { transaction, data, run, times, books, encoded, earliest_expiry })
    }

    /// When the first of what was in the tree before this transaction expires; `u64::MAX` when nothing
    /// did.
    pub(crate) fn earliest_expiry(&self) -> u64 {
        self.earliest_expiry
    }

    /// What the tree stood for when this transaction began, with the keys that it now has.
    ///
    /// # Errors
    /// What the tree says.
    pub(crate) fn checkpoint(&mut self) -> Result<Checkpoint, TreeError> {
        self.end_run()?;
        Ok(self.books.checkpoint)
    }

    /// The table, with everything that was put.
    pub(super) fn data(&mut self) -> Result<&mut DataTable<'t>, TreeError> {
        self.end_run()?;
        Ok(&mut self.data)
    }

    /// The table and its expiry index, with everything that was put.
    pub(super) fn data_and_index(&mut self) -> Result<&mut DataTable<'t>, TreeError> {
        self.end_run()?;
        self.times.make(&mut self.data)?;
        Ok(&mut self.data)
    }

    /// Sets the entry of a key.
    pub(crate) fn put(&mut self, key: &[u8], entry: &TreeEntry<'_>) -> Result<(), TreeError> {
        if self.run.is_full() || !self.run.is_followed_by(key) {
            self.end_run()?;
        }
        entry.encode(&mut self.encoded);
        self.run.push(key, &self.encoded);
        Ok(())
    }

    /// Puts what is gathered into the table.
    fn end_run(&mut self) -> Result<(), TreeError> {
        if self.run.is_empty() {
            return Ok(());
        }
        let (books, times) = (&mut self.books, &mut self.times);
        self.run.put_into(&mut self.data, |key, value, replaced| {
            let (live, expiry) = books_of(value)?;
            let (live_before, expiry_before) = match replaced {
                Some(old) => books_of(old)?,
                None => {
                    books.count(key, 1);
                    Default::default()
                }
            };
            books.account(live, 1);
            books.account(live_before, -1);
            times.move_key(key, expiry_before, expiry);
            Ok(())
        })?;
        self.run.clear();
        Ok(())
    }

    /// Removes a key if it is there.
    pub(crate) fn remove(&mut self, key: &[u8]) -> Result<(), TreeError> {
        self.remove_indexed(key, Expiry::NEVER)
    }

    /// The same for a key that has left the expiry index at that time.
    pub(super) fn remove_indexed(&mut self, key: &[u8], left: Expiry) -> Result<(), TreeError> {
        let (live, expiry) = match self.data()?.remove(key)? {
            Some(old) => books_of(old.value())?,
            None => return Ok(()),
        };
        self.books.count(key, -1);
        self.books.account(live, -1);
        if expiry != left {
            self.times.move_key(key, expiry, Expiry::NEVER);
        }
        Ok(())
    }

    /// Removes a row, its head and all its cells. Returns how many keys there were.
    pub(crate) fn remove_row(&mut self, head: &[u8]) -> Result<u64, TreeError> {
        let end = successor(head);
        let range = (Bound::Included(head), Bound::Excluded(end.as_slice()));
        let (mut heads, mut keys, mut expiry) = (0, 0_u64, Expiry::NEVER);
        self.end_run()?;
        for removed in self.data.extract_from_if(range, |_, _| true)? {
            let (key, entry) = removed?;
            let (live, expires) = books_of(entry.value())?;
            if key.value().len() == head.len() {
                (heads, expiry) = (u64::from(head.first() == Some(&row::PREFIX)), expires);
            }
            keys = keys.saturating_add(1);
            self.books.account(live, -1);
        }
        let rows = &mut self.books.checkpoint.rows;
        *rows = rows.saturating_sub(heads);
        self.times.move_key(head, expiry, Expiry::NEVER);
        Ok(keys)
    }

    /// Removes the keys from `start` to before `end`, of a model that counts none, the lowest first, and
    /// no more than `keys_max`. Returns how many.
    pub(crate) fn remove_range(
        &mut self,
        start: &[u8],
        end: &[u8],
        keys_max: usize,
    ) -> Result<usize, TreeError> {
        if start >= end {
            return Ok(0);
        }
        self.end_run()?;
        let range = (Bound::Included(start), Bound::Excluded(end));
        let mut keys = 0_usize;
        for removed in self.data.extract_from_if(range, |_, _| true)?.take(keys_max) {
            let (key, entry) = removed?;
            let (live, expiry) = books_of(entry.value())?;
            self.books.account(live, -1);
            self.times.move_key(key.value(), expiry, Expiry::NEVER);
            keys = keys.saturating_add(1);
        }
        Ok(keys)
    }

    /// Whether a row has cells.
    pub(crate) fn has_cells(&mut self, head: &[u8]) -> Result<bool, TreeError> {
        let end = successor(head);
        let range = (Bound::Excluded(head), Bound::Excluded(end.as_slice()));
        Ok(self.data()?.range(range)?.next().transpose()?.is_some())
    }

    /// Writes the books; the caller commits.
    pub(crate) fn finish(mut self, checkpoint: &Checkpoint) -> Result<(), TreeError> {
        self.data_and_index()?;
        let mut segments = self.transaction.open_table(SEGMENTS)?;
        for (segment, change) in self.books.live {
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

/// What is counted of the entries in the table.
struct Books {
    checkpoint: Checkpoint,
    live: BTreeMap<SegmentId, i64>,
}

impl Books {
    /// Keys and rows are counted, cells are not.
    fn count(&mut self, key: &[u8], change: i64) {
        let counted = match row::split(key) {
            _ if kv::user_key(key).is_some() => &mut self.checkpoint.keys,
            Some((head, [])) if head.first() == Some(&row::PREFIX) => &mut self.checkpoint.rows,
            _ => return,
        };
        *counted = counted.saturating_add_signed(change);
    }

    fn account(&mut self, part: Option<(SegmentId, u64)>, sign: i64) {
        if let Some((segment, bytes)) = part {
            // A value has at most 4 GiB, so the signed number holds it.
            let change = i64::try_from(bytes).unwrap_or(i64::MAX).saturating_mul(sign);
            let sum = self.live.entry(segment).or_default();
            *sum = sum.saturating_add(change);
        }
    }
}

/// The segment that an entry keeps alive, and when it expires.
type BooksOf = (Option<(SegmentId, u64)>, Expiry);

fn books_of(bytes: &[u8]) -> Result<BooksOf, TreeError> {
    let entry = TreeEntry::decode(bytes).ok_or(TreeError::Corrupt { table: TreeTable::Data })?;
    Ok((entry.live(), entry.expiry))
}
