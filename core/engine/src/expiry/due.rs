//! When the next of what memory knows expires: the earliest times, more coarsely the more there are.

use alloc::collections::BTreeSet;

/// Most times that are kept apart.
const TIMES_MAX: usize = 4 << 10;

/// Times at which something may expire. It may have been overwritten since, or flushed: then looking
/// costs one record that expires nothing.
#[derive(Clone, Debug)]
pub(crate) struct Due {
    /// Times divided by two to the power of `shift`, rounded down.
    times: BTreeSet<u64>,
    shift: u32,
}

impl Due {
    pub(crate) const fn new() -> Self {
        Self { times: BTreeSet::new(), shift: 0 }
    }

    /// Takes note of a time, milliseconds since 1970.
    pub(crate) fn add(&mut self, ms: u64) {
        self.times.insert(ms >> self.shift);
        while self.times.len() > TIMES_MAX {
            self.shift += 1;
            self.times = self.times.iter().map(|time| time >> 1).collect();
        }
    }

    /// Forgets what has expired at `watermark_ms`.
    pub(crate) fn pass(&mut self, watermark_ms: u64) {
        // Of the times that are rounded to the same one some may be later.
        let kept = watermark_ms.saturating_add(1) >> self.shift;
        if self.times.first().is_some_and(|earliest| *earliest < kept) {
            self.times = self.times.split_off(&kept);
        }
        if self.times.is_empty() {
            self.shift = 0;
        }
    }

    /// Not later than the earliest time that is behind the watermark.
    pub(crate) fn next(&self, watermark_ms: u64) -> Option<u64> {
        let behind = watermark_ms.saturating_add(1);
        let earliest = self.times.range(behind >> self.shift..).next()? << self.shift;
        Some(earliest.max(behind))
    }
}
