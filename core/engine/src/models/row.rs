//! Rows: `FD`, then the row's key, then nothing (the row's head) or the name of a column (a cell).
//!
//! ```text
//! in the log     FD | bytes of the row, u32 big-endian | row
//! in the engine  FD | row, 00 written as 00 FF | 00 00 | column
//! ```
//!
//! The log's form is the public one. The engine's own keeps rows in the order of their bytes, so a
//! prefix or a range of rows is one range of keys; by length first it would be one for every
//! length. A row's head comes before its cells, and no row's keys lie between another's.

use super::object;
use crate::memtable::{STORAGE_KEY_MAX, index_bytes};
use alloc::vec::Vec;
use unison_base::limits::{COLUMN_NAME_MAX, KEY_MAX};

/// First byte of every key in storage form.
pub(crate) const PREFIX: u8 = 0xFD;
/// Bytes before the row in the log's form.
pub(crate) const LOG_HEAD_BYTES: usize = 5;

const ESCAPED: u8 = 0xFF;
const END: [u8; 2] = [0, 0];

/// Room for the longest key of a cell within the limits.
const _: () = assert!(1 + 2 * KEY_MAX + END.len() + COLUMN_NAME_MAX <= STORAGE_KEY_MAX);

/// The keys of one row, or of a large object, which has cells in the same way: made once, then one
/// cell after the other.
pub(crate) struct RowKeys {
    bytes: Vec<u8>,
    head: usize,
}

impl RowKeys {
    pub(crate) fn new(row: &[u8]) -> Self {
        Self::of(PREFIX, row)
    }

    /// The same for another model with cells.
    pub(super) fn of(prefix: u8, row: &[u8]) -> Self {
        let mut bytes = start_of(prefix, row);
        bytes.extend_from_slice(&END);
        Self { head: bytes.len(), bytes }
    }

    /// Key of the row's head.
    pub(crate) fn head(&self) -> &[u8] {
        self.bytes.get(..self.head).unwrap_or_default()
    }

    /// Key of a cell.
    pub(crate) fn cell(&mut self, column: &[u8]) -> &[u8] {
        self.bytes.truncate(self.head);
        self.bytes.extend_from_slice(column);
        &self.bytes
    }
}

/// What the keys of all rows that begin with these bytes begin with.
pub(crate) fn start(row: &[u8]) -> Vec<u8> {
    start_of(PREFIX, row)
}

pub(super) fn start_of(prefix: u8, row: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(row.len() + 16);
    bytes.push(prefix);
    for part in row.split_inclusive(|byte| *byte == 0) {
        bytes.extend_from_slice(part);
        if part.ends_with(&[0]) {
            bytes.push(ESCAPED);
        }
    }
    bytes
}

/// Bytes of the key of a row's head.
pub(crate) fn head_bytes(row: &[u8]) -> usize {
    let zeros = row.iter().filter(|byte| **byte == 0).count();
    1 + row.len() + zeros + END.len()
}

/// Whether the key of a row with a head of so many bytes has a place for a column of this name. One
/// without a name would meet the head.
pub(crate) fn has_place(head_bytes: usize, name: &str) -> bool {
    !name.is_empty() && head_bytes.saturating_add(name.len()) <= STORAGE_KEY_MAX
}

/// What a change of a row takes in the index, with the names of its columns, bytes. Counts no
/// further than `limit` is passed.
pub(crate) fn index_bytes_of<'a>(
    head_bytes: usize,
    mut names: impl Iterator<Item = &'a str>,
    limit: usize,
) -> usize {
    let head = index_bytes(head_bytes);
    let counted = names.try_fold(head, |sum, name| {
        let sum = head.saturating_add(name.len()).saturating_add(sum);
        if sum > limit { Err(sum) } else { Ok(sum) }
    });
    counted.unwrap_or_else(|passed| passed)
}

/// The row of a key in the log's form; `None` when it belongs to another model or is too long.
pub(crate) fn from_log(key: &[u8]) -> Option<&[u8]> {
    let (head, row) = key.split_first_chunk::<LOG_HEAD_BYTES>()?;
    let [prefix, length @ ..] = *head;
    let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
    (prefix == PREFIX && length == row.len() && !row.is_empty()).then_some(row)
}

/// The first bytes of a row's key in the log's form.
pub(crate) fn log_head(row_bytes: usize) -> [u8; LOG_HEAD_BYTES] {
    let [a, b, c, d] = u32::try_from(row_bytes).unwrap_or(u32::MAX).to_be_bytes();
    [PREFIX, a, b, c, d]
}

/// Head and column of a key in the engine's form, of a row or a large object; the column of a head is
/// empty.
pub(crate) fn split(key: &[u8]) -> Option<(&[u8], &[u8])> {
    if !matches!(key.first(), Some(&(PREFIX | object::PREFIX))) {
        return None;
    }
    let mut at = 1;
    loop {
        match key.get(at..)? {
            [0, 0, ..] => return key.split_at_checked(at + END.len()),
            [0, ..] => at += 2,
            _ => at += 1,
        }
    }
}

/// The row of a head's key.
pub(crate) fn row_of(head: &[u8]) -> Vec<u8> {
    let escaped = head.get(1..head.len().saturating_sub(END.len())).unwrap_or_default();
    let mut row = Vec::with_capacity(escaped.len());
    let mut bytes = escaped.iter();
    while let Some(&byte) = bytes.next() {
        row.push(byte);
        if byte == 0 {
            bytes.next();
        }
    }
    row
}

#[cfg(test)]
mod tests;
