//! When the hub answers its clients, in the ways that `platform/linux` knows.

use unison_base::prng::Prng;

/// A hub that promises nothing syncs this often, so that its followers move on.
const NEVER_SYNC_EVERY_MS: u64 = 5_000;

/// When a write is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// Once it is synced.
    Always,
    /// Once it is appended; a sync is due so long after it.
    Interval(u64),
    /// The same, without a promise of when.
    Never,
}

impl Durability {
    pub(super) fn draw(prng: &mut Prng) -> Self {
        match prng.below(20) {
            0..14 => Self::Always,
            14..18 => Self::Interval(prng.between(50, 3_000)),
            _ => Self::Never,
        }
    }

    /// How long what is appended waits for its sync; `None` when it does not.
    pub(super) const fn sync_after_ms(self) -> Option<u64> {
        match self {
            Self::Always => None,
            Self::Interval(every_ms) => Some(every_ms),
            Self::Never => Some(NEVER_SYNC_EVERY_MS),
        }
    }
}
