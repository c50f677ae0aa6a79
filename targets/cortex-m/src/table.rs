//! The last value of every key, as far as there is room, of those that were written alone: transactions
//! and expiry mean nothing here.

use crate::record::{KEY_PREFIX, Kind, Record};
use heapless::Vec;
use heapless::index_map::FnvIndexMap;
use unison_base::Lsn;
use unison_base::checksum::Crc32c;

/// Keys that a table holds.
pub const KEYS_MAX: usize = 128;
/// Longest key that is kept, bytes, without its prefix.
pub const KEY_BYTES_MAX: usize = 32;
/// Bytes of a value that are kept.
pub const VALUE_BYTES_MAX: usize = 64;

/// What a table knows of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastValue {
    /// The record that set it.
    pub lsn: Lsn,
    /// Length of the value; above [`VALUE_BYTES_MAX`] only its beginning is here.
    pub length: u32,
    /// The value, or its beginning.
    pub bytes: Vec<u8, VALUE_BYTES_MAX>,
}

/// A table of a fixed size. A key for which there is no room is counted and left out.
#[derive(Debug, Default)]
pub struct LastValues {
    values: FnvIndexMap<Vec<u8, KEY_BYTES_MAX>, LastValue, KEYS_MAX>,
    left_out: u64,
    foreign: u64,
}

impl LastValues {
    /// An empty table.
    #[must_use]
    pub const fn new() -> Self {
        Self { values: FnvIndexMap::new(), left_out: 0, foreign: 0 }
    }

    /// Takes what a record says.
    pub fn apply(&mut self, record: &Record<'_>) {
        if record.kind == Kind::Foreign {
            self.foreign = self.foreign.saturating_add(1);
        }
        for entry in record.entries() {
            let Some((&KEY_PREFIX, key)) = entry.key.split_first() else {
                self.foreign = self.foreign.saturating_add(1);
                continue;
            };
            match Vec::from_slice(key) {
                Ok(key) if record.kind == Kind::Put => self.set(key, record.lsn, entry.value),
                Ok(key) => drop(self.values.swap_remove(&key)),
                Err(_) => self.left_out = self.left_out.saturating_add(1),
            }
        }
    }

    fn set(&mut self, key: Vec<u8, KEY_BYTES_MAX>, lsn: Lsn, value: &[u8]) {
        let kept = value.get(..value.len().min(VALUE_BYTES_MAX)).unwrap_or_default();
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        let value = LastValue { lsn, length, bytes: Vec::from_slice(kept).unwrap_or_default() };
        if self.values.insert(key, value).is_err() {
            self.left_out = self.left_out.saturating_add(1);
        }
    }

    /// What is known of a key.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&LastValue> {
        self.values.get(&Vec::from_slice(key).ok()?)
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// How often a key was left out, for want of room or for its length.
    #[must_use]
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Records and entries that mean something to others only.
    #[must_use]
    pub const fn foreign(&self) -> u64 {
        self.foreign
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.values.clear();
    }

    /// The same for the same keys with the same values of the same records, in whatever order they came.
    #[must_use]
    pub fn checksum(&self) -> u32 {
        self.values.iter().fold(0, |sum, (key, value)| {
            let mut crc = Crc32c::default();
            crc.update(key);
            crc.update(&value.lsn.0.to_le_bytes());
            crc.update(&value.length.to_le_bytes());
            crc.update(&value.bytes);
            sum ^ crc.finish()
        })
    }
}
