//! The machine around the database: clocks, entropy, and the data directory's lock and format.

mod data_dir;

pub use data_dir::{DataDirError, DataDirLock};

use rustix::rand::{GetRandomFlags, getrandom};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use unison_ports::{Clock, Entropy};

/// The system's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    #[must_use]
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    /// 0 while the system's clock stands before 1970.
    fn wall_ms(&self) -> u64 {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
    }

    fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// The kernel's generator. Blocks early at boot until it is seeded.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    /// # Panics
    /// When the kernel has no `getrandom` (before Linux 3.17): going on with bytes that can be
    /// guessed would be worse.
    fn fill(&self, buffer: &mut [u8]) {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match getrandom(rest, GetRandomFlags::empty()) {
                Ok(count) => filled += count,
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => panic!("the kernel gives no randomness: {errno}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{SystemClock, SystemEntropy};
    use unison_ports::{Clock, Entropy};

    #[test]
    fn the_wall_clock_is_past_2024_and_the_other_one_starts_at_zero() {
        let clock = SystemClock::new();
        assert!(clock.wall_ms() > 1_704_067_200_000);
        assert!(clock.monotonic_ms() < 60_000);
    }

    #[test]
    fn two_draws_differ_and_fill_every_byte() {
        let (mut first, mut second) = ([0; 1000], [0; 1000]);
        SystemEntropy.fill(&mut first);
        SystemEntropy.fill(&mut second);
        assert_ne!(first, second);
        assert!(first.windows(16).all(|window| window != [0; 16]));
    }
}
