//! Hybrid logical clock: wall-clock milliseconds in the upper 48 bits, a counter in the lower 16.

/// A hybrid timestamp. Values below 2^48 come from logs that hold plain milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hlc(pub u64);

const COUNTER_BITS: u32 = 16;
const PLAIN_MILLIS_BOUND: u64 = 1 << 48;
/// The first milliseconds of which a timestamp is no plain one.
const MILLIS_MIN: u64 = PLAIN_MILLIS_BOUND >> COUNTER_BITS;

impl Hlc {
    /// The first timestamp of a millisecond. Times past the 48 bits saturate. Those of the first 49
    /// days of 1970, which a clock that was never set tells, are all the first one behind those days:
    /// theirs would read as plain milliseconds, years ahead of timestamps that come later.
    #[must_use]
    pub const fn from_millis(wall_ms: u64) -> Self {
        let bounded = match wall_ms {
            0..MILLIS_MIN => MILLIS_MIN,
            MILLIS_MIN..PLAIN_MILLIS_BOUND => wall_ms,
            PLAIN_MILLIS_BOUND.. => PLAIN_MILLIS_BOUND - 1,
        };
        Self(bounded << COUNTER_BITS)
    }

    /// Wall-clock milliseconds since 1970.
    #[must_use]
    pub const fn millis(self) -> u64 {
        if self.0 < PLAIN_MILLIS_BOUND { self.0 } else { self.0 >> COUNTER_BITS }
    }
}

/// Source of timestamps that never go back, whatever the wall clock does.
#[derive(Clone, Copy, Debug, Default)]
pub struct HlcClock {
    last: Hlc,
}

impl HlcClock {
    /// The newest timestamp given out or seen.
    #[must_use]
    pub const fn last(&self) -> Hlc {
        self.last
    }

    /// A timestamp above all given out or seen before. `wall_ms` is the caller's clock.
    pub fn tick(&mut self, wall_ms: u64) -> Hlc {
        let following = Hlc(self.last.0.saturating_add(1));
        self.last = following.max(Hlc::from_millis(wall_ms));
        self.last
    }

    /// Takes note of a timestamp from the log or from a peer.
    pub fn observe(&mut self, seen: Hlc) {
        let seen = if seen.0 < PLAIN_MILLIS_BOUND { Hlc::from_millis(seen.0) } else { seen };
        self.last = self.last.max(seen);
    }
}

#[cfg(test)]
mod tests {
    use super::{Hlc, HlcClock};

    #[test]
    fn a_clock_that_jumps_back_does_not_take_time_with_it() {
        let mut clock = HlcClock::default();
        let first = clock.tick(1_700_000_000_000);
        let second = clock.tick(0);
        assert!(second > first);
        assert_eq!(second.millis(), 1_700_000_000_000);
        clock.observe(Hlc::from_millis(1_800_000_000_000));
        assert_eq!(clock.tick(5).millis(), 1_800_000_000_000);
    }

    #[test]
    fn a_clock_that_was_never_set_is_not_ahead_of_one_that_is() {
        let mut clock = HlcClock::default();
        let mut last = 0;
        for wall_ms in [0, 5, 36_000_000, (1 << 32) - 1, 1 << 32, 1_700_000_000_000, u64::MAX] {
            let millis = clock.tick(wall_ms).millis();
            assert!(
                millis >= last && (millis == wall_ms || millis <= 1 << 32 || wall_ms >> 48 > 0)
            );
            last = millis;
        }
    }

    #[test]
    fn plain_milliseconds_of_a_foreign_log_are_read_as_such() {
        assert_eq!(Hlc(1_700_000_000_000).millis(), 1_700_000_000_000);
        assert_eq!(Hlc::from_millis(1_700_000_000_000).millis(), 1_700_000_000_000);
    }

    #[test]
    fn more_than_a_counter_of_ticks_within_a_millisecond_stay_ordered() {
        let mut clock = HlcClock::default();
        let mut last = clock.tick(1_700_000_000_000);
        for _ in 0..70_000 {
            let next = clock.tick(1_700_000_000_000);
            assert!(next > last);
            last = next;
        }
    }
}
