//! Bounds on memory over all connections: of requests that are not complete yet, and of replies that
//! wait until their transaction is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Most bytes of incomplete requests at a time, those of small buffers not counted.
pub(crate) const INPUT_BYTES_MAX: usize = 256 << 20;

/// Most bytes of replies of transactions at a time, those of small ones not counted.
pub(crate) const REPLIES_BYTES_MAX: usize = 256 << 20;

/// The bytes there are.
#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicUsize,
    limit: usize,
}

/// A part of them; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), limit })
    }

    /// A share of nothing.
    pub(crate) fn share(self: &Arc<Self>) -> Share {
        Share { budget: Arc::clone(self), bytes: 0 }
    }
}

impl Share {
    /// Makes the share `bytes` large. False, and nothing changed, when it would take more than there
    /// is; making it smaller always succeeds.
    pub(crate) fn resize(&mut self, bytes: usize) -> bool {
        let (budget, before) = (&self.budget, self.bytes);
        if bytes == before {
            return true;
        }
        if bytes < before {
            budget.used.fetch_sub(before - bytes, Ordering::Relaxed);
            self.bytes = bytes;
            return true;
        }
        let taken = budget.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(bytes - before).filter(|used| *used <= budget.limit)
        });
        if taken.is_ok() {
            self.bytes = bytes;
        }
        taken.is_ok()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.resize(0);
    }
}

#[cfg(test)]
mod tests {
    use super::Budget;

    #[test]
    fn shares_never_exceed_the_budget_and_come_back() {
        let budget = Budget::new(100);
        let (mut first, mut second) = (budget.share(), budget.share());
        assert!(first.resize(60) && second.resize(40));
        assert!(!first.resize(61) && !second.resize(usize::MAX));
        assert!(first.resize(10) && second.resize(90));
        drop(second);
        assert!(first.resize(100));
    }
}
