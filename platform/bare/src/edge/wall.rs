//! What time it is: a board without a clock learns it from the hub.

use unison_base::Hlc;

/// The hub's time, carried on by the board's monotonic clock. Before the hub has said anything it is
/// 1970.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WallClock {
    heard: Option<Heard>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    wall_ms: u64,
    at_ms: u64,
}

impl WallClock {
    /// Takes what the hub said at `at_ms`; true when it is the first time. A hub that does not know
    /// says 1970.
    pub(crate) fn heard(&mut self, hlc: Hlc, at_ms: u64) -> bool {
        let wall_ms = hlc.millis();
        if wall_ms == 0 {
            return false;
        }
        let first = self.heard.is_none();
        self.heard = Some(Heard { wall_ms, at_ms });
        first
    }

    /// Whether the time is the hub's.
    pub(crate) const fn is_set(&self) -> bool {
        self.heard.is_some()
    }

    /// Milliseconds since 1970.
    pub(crate) const fn wall_ms(&self, now_ms: u64) -> u64 {
        match self.heard {
            None => now_ms,
            Some(heard) => heard.wall_ms.saturating_add(now_ms.saturating_sub(heard.at_ms)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::WallClock;
    use unison_base::Hlc;

    #[test]
    fn it_is_1970_until_the_hub_says_something_else() {
        let mut clock = WallClock::default();
        assert_eq!((clock.is_set(), clock.wall_ms(5)), (false, 5));
        assert!(!clock.heard(Hlc::default(), 6));
        assert!(!clock.is_set());
        assert!(clock.heard(Hlc::from_millis(1_700_000_000_000), 10));
        assert_eq!(clock.wall_ms(35), 1_700_000_000_025);
        assert!(!clock.heard(Hlc::from_millis(1_700_000_000_100), 40));
        assert_eq!(clock.wall_ms(39), 1_700_000_000_100);
    }
}
