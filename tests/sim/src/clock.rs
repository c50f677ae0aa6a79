//! A clock that stands still until it is moved.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use unison_ports::Clock;

/// Clones show the same time.
#[derive(Clone, Debug, Default)]
pub struct SimClock(Arc<Times>);

#[derive(Debug, Default)]
struct Times {
    wall_ms: AtomicU64,
    monotonic_ms: AtomicU64,
}

impl SimClock {
    /// A clock at `wall_ms` since 1970, its monotonic time at 0.
    #[must_use]
    pub fn at(wall_ms: u64) -> Self {
        let clock = Self::default();
        clock.set_wall_ms(wall_ms);
        clock
    }

    /// Lets time pass on both clocks.
    pub fn advance_ms(&self, passed_ms: u64) {
        self.0.monotonic_ms.fetch_add(passed_ms, Ordering::SeqCst);
        self.0.wall_ms.fetch_add(passed_ms, Ordering::SeqCst);
    }

    /// Sets the wall clock, forwards or backwards; the monotonic one goes on.
    pub fn set_wall_ms(&self, wall_ms: u64) {
        self.0.wall_ms.store(wall_ms, Ordering::SeqCst);
    }
}

impl Clock for SimClock {
    fn wall_ms(&self) -> u64 {
        self.0.wall_ms.load(Ordering::SeqCst)
    }

    fn monotonic_ms(&self) -> u64 {
        self.0.monotonic_ms.load(Ordering::SeqCst)
    }
}
