//! A node's two clocks: one that only drifts, and one that shows anything.

use unison_base::prng::Prng;

/// 2026-01-01, milliseconds since 1970.
const TODAY_MS: u64 = 1_767_225_600_000;
const FIFTY_YEARS_MS: u64 = 50 * 365 * 86_400_000;
/// A clock that jumps by the hour does so this often.
const JUMP_EVERY_MS: u64 = 20_000;
const HOUR_MS: u64 = 3_600_000;

/// What the wall clock shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Wall {
    /// The time.
    Right,
    /// The time since 1970 began when the run did: no battery.
    Epoch,
    /// Fifty years ahead.
    Ahead,
    /// Fifty years behind.
    Behind,
    /// The same moment, always.
    Frozen(u64),
    /// An hour forwards or backwards every few seconds.
    Jumping(u64),
}

/// Clocks of one node.
#[derive(Clone, Copy, Debug)]
pub(super) struct NodeClock {
    pub(super) wall: Wall,
    /// How much faster than true time the monotonic clock runs, parts per million.
    pub(super) drift_ppm: i64,
}

impl NodeClock {
    /// What it should show.
    pub(super) const fn right_ms(&self, now_ms: u64) -> u64 {
        TODAY_MS + now_ms
    }

    /// What the wall clock shows at a true time.
    pub(super) fn wall_ms(&self, now_ms: u64) -> u64 {
        let right = self.right_ms(now_ms);
        match self.wall {
            Wall::Right => right,
            Wall::Epoch => now_ms,
            Wall::Ahead => right + FIFTY_YEARS_MS,
            Wall::Behind => right - FIFTY_YEARS_MS,
            Wall::Frozen(at_ms) => at_ms,
            Wall::Jumping(seed) => {
                let hours = Prng::new(seed ^ (now_ms / JUMP_EVERY_MS)).below(48);
                (right + hours * HOUR_MS).saturating_sub(24 * HOUR_MS)
            }
        }
    }

    /// What the monotonic clock shows at a true time.
    pub(super) fn local_ms(&self, now_ms: u64) -> u64 {
        let drift = i64::try_from(now_ms).unwrap_or(i64::MAX) / 1_000 * self.drift_ppm / 1_000;
        now_ms.saturating_add_signed(drift)
    }

    /// The first true time, not before `now_ms`, at which the monotonic clock shows `local_ms`.
    pub(super) fn true_ms(&self, local_ms: u64, now_ms: u64) -> u64 {
        let mut at_ms = now_ms.max(local_ms.saturating_sub(local_ms / 50));
        while self.local_ms(at_ms) < local_ms {
            at_ms += (local_ms - self.local_ms(at_ms)).div_ceil(2).max(1);
        }
        at_ms
    }
}

#[cfg(test)]
mod tests {
    use super::{NodeClock, Wall};

    #[test]
    fn a_deadline_is_met_at_the_first_moment_that_shows_it() {
        for drift_ppm in [-10_000, -137, 0, 250, 10_000] {
            let clock = NodeClock { wall: Wall::Right, drift_ppm };
            for local_ms in [0, 1, 999, 1_000, 123_456, 10_000_000] {
                let at_ms = clock.true_ms(local_ms, 0);
                assert!(clock.local_ms(at_ms) >= local_ms);
                assert!(clock.local_ms(at_ms) < local_ms + 25, "{drift_ppm} {local_ms}");
            }
        }
    }
}
