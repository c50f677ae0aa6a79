//! Writes the one record that a microcontroller makes: a key and its value. Its bytes are those that
//! a hub would write.
//!
//! ```text
//!   0  root -> 28 | 4  vtable of the record, 24 bytes
//!  28  table: LSN @32, HLC @40, durable LSN + 1 @48, CRC-32 @56, entries @60 -> 76, kinds @64
//!  68  vtable of an entry | 76  one entry, at 84
//!  84  table of the entry | 92  length of what follows, a buffer of its own:
//!  96  root -> 12 | vtable of a key-value entry | 108  table: key -> 120, value
//! 120  key: length, FE, bytes, zeros to 4 | value: length, bytes
//! ```

use super::KEY_PREFIX;
use unison_base::bytes::put;
use unison_base::checksum::crc32;
use unison_base::{Hlc, Lsn};

/// Bytes of a record beside key and value, padding included.
pub const RECORD_OVERHEAD_BYTES: usize = KEY_AT + 4 + 1 + 3 + 4;

const NESTED_AT: usize = 96;
const KEY_AT: usize = 120;

/// Half-words that are the same in every record, each with its place.
const FIXED: [(usize, &[u16]); 5] = [
    (0, &[28, 0, 24, 40, 4, 12, 28, 36, 37, 38, 0, 0, 32, 20, 24]),
    (60, &[16]),
    (68, &[6, 8, 4, 0, 1, 0, 4, 0, 16, 0, 4]),
    (NESTED_AT, &[12, 0, 8, 12, 4, 8, 8, 0, 8]),
    (NESTED_AT + 18, &[0]),
];
const OPERATION_INSERT: u8 = 1;

/// What a record says about itself.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Its LSN.
    pub lsn: Lsn,
    /// When it is made.
    pub hlc: Hlc,
    /// The log's durable watermark.
    pub durable: Lsn,
}

/// Writes a record that sets `key` to `value`, and returns its length; `None` when it does not fit.
#[must_use]
pub fn put_record(out: &mut [u8], head: &Head, key: &[u8], value: &[u8]) -> Option<usize> {
    let key_bytes = key.len().checked_add(1)?;
    let value_at = KEY_AT.checked_add(4)?.checked_add(key_bytes)?.next_multiple_of(4);
    let length = value_at.checked_add(4)?.checked_add(value.len())?;
    let out = out.get_mut(..length)?;
    out.get_mut(..value_at)?.fill(0);
    for (at, words) in FIXED {
        for (index, word) in words.iter().enumerate() {
            put(out, at + 2 * index, &word.to_le_bytes())?;
        }
    }
    put(out, 32, &head.lsn.0.to_le_bytes())?;
    put(out, 40, &head.hlc.0.to_le_bytes())?;
    put(out, 48, &head.durable.0.saturating_add(1).to_le_bytes())?;
    put(out, 64, &[OPERATION_INSERT])?;
    put(out, 92, &word(length - NESTED_AT)?)?;
    put(out, 116, &word(value_at - 116)?)?;
    put(out, KEY_AT, &word(key_bytes)?)?;
    put(out, KEY_AT + 4, &[KEY_PREFIX])?;
    put(out, KEY_AT + 5, key)?;
    put(out, value_at, &word(value.len())?)?;
    put(out, value_at + 4, value)?;
    let crc = crc32(out.get(NESTED_AT..)?);
    put(out, 56, &crc.to_le_bytes())?;
    Some(length)
}

fn word(number: usize) -> Option<[u8; 4]> {
    Some(u32::try_from(number).ok()?.to_le_bytes())
}
