//! Randomness that repeats.

use std::sync::{Mutex, PoisonError};
use unison_base::prng::Prng;
use unison_ports::Entropy;

/// Bytes that are a function of the seed and of what was drawn before.
#[derive(Debug)]
pub struct SimEntropy(Mutex<Prng>);

impl SimEntropy {
    /// Entropy from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(Prng::new(seed)))
    }
}

impl Entropy for SimEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill(buffer);
    }
}
