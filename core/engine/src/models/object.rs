//! Large objects: `FF`, then the object's key, then nothing (its head) or the place of a cell.
//!
//! ```text
//! in the log     FF | bytes of the key, u32 big-endian | key | 00 00 00 00
//! in the engine  FF | key, 00 written as 00 FF | 00 00              head, as a row's
//!                ... | 00                                           summary: bytes, checksum, chunks
//!                ... | 01 | offset of the chunk, u64 big-endian     chunk
//! ```
//!
//! So an object is a row whose columns are its chunks: a new one takes the old one's place by deleting
//! that row, and the chunk at an offset is one look at an ordered range, however long chunks are.

use super::row::{RowKeys, start_of};
use crate::memtable::{ObjectSummary, index_bytes};
use alloc::vec::Vec;
use unison_base::bytes::{put, u32_at, u64_at};

/// First byte of every key in storage form.
pub(crate) const PREFIX: u8 = 0xFF;
/// Bytes of a summary in the tree.
pub(crate) const SUMMARY_BYTES: usize = 16;
/// What stands behind an object's key in the log.
pub(crate) const LOG_TAIL: [u8; 4] = [0; 4];

const SUMMARY: [u8; 1] = [0];
const CHUNK: u8 = 1;
/// Bytes of a key in the log beside the user's.
const LOG_BYTES: usize = 1 + 4 + LOG_TAIL.len();

/// The keys of one object.
pub(crate) fn keys(object: &[u8]) -> RowKeys {
    RowKeys::of(PREFIX, object)
}

/// What the keys of all objects that begin with these bytes begin with.
pub(crate) fn start(object: &[u8]) -> Vec<u8> {
    start_of(PREFIX, object)
}

/// The cell of the summary.
pub(crate) const fn summary_cell() -> &'static [u8] {
    &SUMMARY
}

/// The cell of the chunk that begins at `offset`.
pub(crate) fn chunk_cell(offset: u64) -> [u8; 9] {
    let [a, b, c, d, e, f, g, h] = offset.to_be_bytes();
    [CHUNK, a, b, c, d, e, f, g, h]
}

/// Where the chunk of a cell begins; `None` for the summary.
pub(crate) fn chunk_offset(cell: &[u8]) -> Option<u64> {
    let offset = cell.strip_prefix(&[CHUNK])?;
    Some(u64::from_be_bytes(offset.try_into().ok()?))
}

/// The object of a key in the log's form; `None` when it belongs to another model.
pub(crate) fn from_log(key: &[u8]) -> Option<&[u8]> {
    let (head, rest) = key.split_first_chunk::<5>()?;
    let [prefix, length @ ..] = *head;
    let object = rest.strip_suffix(&LOG_TAIL)?;
    let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
    (prefix == PREFIX && length == object.len() && !object.is_empty()).then_some(object)
}

/// An object's key in the log's form.
pub(crate) fn to_log(object: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(object.len() + LOG_BYTES);
    key.push(PREFIX);
    key.extend_from_slice(&u32::try_from(object.len()).unwrap_or(u32::MAX).to_be_bytes());
    key.extend_from_slice(object);
    key.extend_from_slice(&LOG_TAIL);
    key
}

/// What a chunk takes in the index, bytes, by its object's key in the log.
pub(crate) fn index_bytes_of(key: &[u8]) -> usize {
    let zeros = key.iter().filter(|byte| **byte == 0).count();
    index_bytes(key.len().saturating_add(zeros))
}

impl ObjectSummary {
    /// `None` when the bytes are no summary.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let whole = bytes.first_chunk::<SUMMARY_BYTES>()?;
        Some(Self {
            bytes: u64_at(whole, 0)?,
            checksum: u32_at(whole, 8)?,
            chunks: u32_at(whole, 12)?,
        })
    }

    pub(crate) fn encode(&self) -> [u8; SUMMARY_BYTES] {
        let mut bytes = [0; SUMMARY_BYTES];
        let _ = put(&mut bytes, 0, &self.bytes.to_le_bytes());
        let words = [self.checksum, self.chunks];
        let _ = put(&mut bytes, 8, words.map(u32::to_le_bytes).as_flattened());
        bytes
    }
}

#[cfg(test)]
mod tests;
