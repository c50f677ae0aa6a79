//! The story of a run: hashed always, told when somebody listens.

use std::fmt::Display;
use std::hash::{Hash, Hasher};

/// Hears the story line by line.
pub type Teller = fn(&str);

/// Everything that happened so far, as one number.
#[derive(Debug)]
pub(super) struct Trace {
    hash: Mix,
    teller: Option<Teller>,
    events: u64,
}

/// A hash that is the same on every machine and in every build.
#[derive(Clone, Copy, Debug)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }

    fn write_u64(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 29);
    }

    fn write_u8(&mut self, word: u8) {
        self.write_u64(u64::from(word));
    }

    fn write_u16(&mut self, word: u16) {
        self.write_u64(u64::from(word));
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn write_isize(&mut self, word: isize) {
        self.write_u64(word as u64);
    }
}

impl Trace {
    pub(super) const fn new(teller: Option<Teller>) -> Self {
        Self { hash: Mix(0), teller, events: 0 }
    }

    /// Notes an event of a node; the line is made only for a listener.
    pub(super) fn note(&mut self, now_ms: u64, node: &str, event: &(impl Hash + Display)) {
        self.events += 1;
        (now_ms, node, event).hash(&mut self.hash);
        if let Some(tell) = self.teller {
            let (seconds, millis) = (now_ms / 1_000, now_ms % 1_000);
            tell(&format!("{seconds:6}.{millis:03} {node:8} {event}"));
        }
    }

    pub(super) const fn events(&self) -> u64 {
        self.events
    }

    pub(super) const fn hash(&self) -> u64 {
        self.hash.0
    }
}

/// Bytes as one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Digest(u64);

impl Digest {
    pub(super) fn take(&mut self, bytes: &[u8]) {
        let sum = unison_base::checksum::crc32c(bytes);
        let mut mix = Mix(self.0);
        mix.write_u64(bytes.len() as u64);
        mix.write_u64(u64::from(sum));
        self.0 = mix.0;
    }

    /// Takes bytes of a stream that may come in any pieces.
    pub(super) fn take_stream(&mut self, bytes: &[u8]) {
        let mut mix = Mix(self.0);
        for chunk in bytes.chunks(8) {
            mix.write_u64(chunk.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)));
        }
        self.0 = mix.0;
    }

    pub(super) const fn value(self) -> u64 {
        self.0
    }
}
