//! Keys and values: 16-byte keys in random order, 1 KiB values that do not compress.

use unison_base::prng::Prng;

/// Bytes of every value.
pub(crate) const VALUE_BYTES: usize = 1024;

/// A source of keys and values that is a function of its seed.
pub(crate) struct Workload {
    prng: Prng,
    keys: u64,
    noise: Vec<u8>,
}

impl Workload {
    /// Draws from `keys` distinct keys.
    pub(crate) fn new(seed: u64, keys: u64) -> Self {
        let mut prng = Prng::new(seed);
        let mut noise = vec![0; 1 << 20];
        prng.fill(&mut noise);
        Self { prng, keys, noise }
    }

    /// Key number `index`, spread over the key space.
    pub(crate) fn key(index: u64) -> [u8; 16] {
        let mut prng = Prng::new(index);
        let mut key = [0; 16];
        prng.fill(&mut key);
        key
    }

    /// A random existing key.
    pub(crate) fn random_key(&mut self) -> [u8; 16] {
        Self::key(self.prng.below(self.keys))
    }

    /// A random value.
    pub(crate) fn value(&mut self) -> &[u8] {
        let start = self.prng.below((self.noise.len() - VALUE_BYTES) as u64) as usize;
        &self.noise[start..start + VALUE_BYTES]
    }

    /// All keys once, in an order that is not the key order.
    pub(crate) fn all_keys(&self) -> impl Iterator<Item = [u8; 16]> + use<> {
        (0..self.keys).map(Self::key)
    }
}
