//! The link over TCP: tasks that lead, one thread that follows.

mod ending;
mod follow;
mod lead;
mod outbox;
mod replica;
mod source;

pub use follow::{FollowError, FollowOptions, follow};
pub use lead::{LeadOptions, lead};

use std::time::Instant;

/// Milliseconds since a connection's driver began: the link's monotonic time.
#[derive(Clone, Copy, Debug)]
struct Epoch(Instant);

impl Epoch {
    fn now() -> Self {
        Self(Instant::now())
    }

    fn now_ms(self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The moment of a deadline of the state machine.
    fn at(self, deadline_ms: u64) -> Instant {
        let ahead = deadline_ms.saturating_sub(self.now_ms());
        Instant::now() + std::time::Duration::from_millis(ahead)
    }
}
