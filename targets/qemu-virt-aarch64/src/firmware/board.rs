//! What the node asks of a board.

use crate::firmware::virtio::{DeviceError, Entropy};
use crate::firmware::{clock, heap, retained};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use spin::Mutex;
use unison_bare::board::{Board, HeapFigures};

/// This machine.
pub(crate) struct QemuVirt {
    /// Seeded by the machine once; from then on randomness cannot fail and costs no wait.
    generator: Mutex<ChaCha20Rng>,
}

impl QemuVirt {
    /// Draws the seed.
    pub(crate) fn new(entropy: &mut Entropy) -> Result<Self, DeviceError> {
        let mut seed = [0; 32];
        entropy.fill(&mut seed)?;
        Ok(Self { generator: Mutex::new(ChaCha20Rng::from_seed(seed)) })
    }
}

impl Board for QemuVirt {
    fn monotonic_ms(&self) -> u64 {
        clock::monotonic_ms()
    }

    fn fill(&self, buffer: &mut [u8]) {
        self.generator.lock().fill_bytes(buffer);
    }

    fn heap(&self) -> HeapFigures {
        heap::figures()
    }

    fn panics_in_a_row(&self) -> u64 {
        retained::read().map_or(0, |account| account.panics)
    }
}
