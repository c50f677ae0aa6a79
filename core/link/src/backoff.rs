//! Delays between attempts: decorrelated jitter, without a last attempt.

use unison_base::prng::Prng;

/// Delays that grow at random from a least to a most.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    least_ms: u64,
    most_ms: u64,
    previous_ms: u64,
}

impl Backoff {
    pub(crate) fn new(least_ms: u32, most_ms: u32) -> Self {
        let least_ms = u64::from(least_ms.max(1));
        Self { least_ms, most_ms: u64::from(most_ms).max(least_ms), previous_ms: least_ms }
    }

    /// The next delay: between the least and three times the previous one.
    pub(crate) fn next_ms(&mut self, prng: &mut Prng) -> u64 {
        let drawn = prng.between(self.least_ms, self.previous_ms.saturating_mul(3));
        self.previous_ms = drawn.min(self.most_ms);
        self.previous_ms
    }

    /// After a success the next delay is a short one again.
    pub(crate) fn reset(&mut self) {
        self.previous_ms = self.least_ms;
    }
}

#[cfg(test)]
mod tests;
