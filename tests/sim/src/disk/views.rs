//! Copies that a handle keeps, so that it can lend them for as long as it lives.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

const BUCKETS: usize = 28;

type Slot = OnceLock<Box<[u8]>>;

/// An arena that only grows: bucket `n` has room for `2^n` copies.
pub(super) struct Views {
    buckets: [OnceLock<Box<[Slot]>>; BUCKETS],
    next: AtomicUsize,
}

impl Default for Views {
    fn default() -> Self {
        Self { buckets: [const { OnceLock::new() }; BUCKETS], next: AtomicUsize::new(1) }
    }
}

impl fmt::Debug for Views {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} views", self.next.load(Ordering::Relaxed) - 1)
    }
}

impl Views {
    /// Keeps a copy; `None` when there are more than anybody should take.
    pub(super) fn keep(&self, bytes: Box<[u8]>) -> Option<&[u8]> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let bucket = usize::try_from(number.ilog2()).ok()?;
        let room = 1 << bucket;
        let slots = self.buckets.get(bucket)?;
        let slots = slots.get_or_init(|| (0..room).map(|_| Slot::new()).collect());
        Some(slots.get(number - room)?.get_or_init(|| bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::Views;

    #[test]
    fn every_copy_stays_what_it_was() {
        let views = Views::default();
        let kept: Vec<_> = (0..1000_u32)
            .map(|number| views.keep(number.to_le_bytes().to_vec().into()).unwrap())
            .collect();
        for (number, bytes) in (0..1000_u32).zip(kept) {
            assert_eq!(bytes, number.to_le_bytes());
        }
    }
}
