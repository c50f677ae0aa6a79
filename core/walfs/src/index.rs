//! A sparse index from LSN to place: one entry for a fixed number of bytes, not for a record.

use alloc::boxed::Box;
use unison_base::atomic::{AtomicU64, Ordering};

const GRANULE_BYTES_MIN: u64 = 16 << 10;
const ENTRIES_MAX: u64 = 512;

/// Where the first frame of every granule starts. Written by one, read by many, never locked.
///
/// An entry packs a frame's ordinal (upper half) and offset (lower half); 0 is none, as no frame
/// lies at offset 0.
#[derive(Debug)]
pub(crate) struct SparseIndex {
    entries: Box<[AtomicU64]>,
    granule_bytes: u64,
}

impl SparseIndex {
    pub(crate) fn new(segment_bytes: u64) -> Self {
        let granule_bytes =
            (segment_bytes / ENTRIES_MAX).next_power_of_two().max(GRANULE_BYTES_MIN);
        let entries = (0..=segment_bytes / granule_bytes).map(|_| AtomicU64::new(0)).collect();
        Self { entries, granule_bytes }
    }

    /// Notes that the frame with `ordinal` in its extent starts at `offset`. Only the first of a
    /// granule is kept.
    pub(crate) fn note(&self, ordinal: u64, offset: u64) {
        let (Ok(ordinal), Ok(short)) = (u32::try_from(ordinal), u32::try_from(offset)) else {
            return;
        };
        let entry = usize::try_from(offset / self.granule_bytes).unwrap_or(usize::MAX);
        if let Some(entry) = self.entries.get(entry)
            && entry.load(Ordering::Relaxed) == 0
        {
            entry.store(u64::from(ordinal) << 32 | u64::from(short), Ordering::Release);
        }
    }

    /// Ordinal and offset of the nearest noted frame at or before `ordinal`.
    pub(crate) fn before(&self, ordinal: u64) -> Option<(u64, u64)> {
        let unpack = |entry: &AtomicU64| {
            let packed = entry.load(Ordering::Acquire);
            (packed != 0).then_some((packed >> 32, packed & u64::from(u32::MAX)))
        };
        // Granules inside one large frame stay empty, so a plain binary search would not do.
        let reached = |entry: &AtomicU64| unpack(entry).is_some_and(|(noted, _)| noted <= ordinal);
        self.entries.iter().rev().find(|entry| reached(entry)).and_then(unpack)
    }
}

#[cfg(test)]
mod tests;
