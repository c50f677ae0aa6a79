//! What a board gives beside its devices.

/// Memory of the heap, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HeapFigures {
    /// Handed out now.
    pub used: usize,
    /// The most that was ever handed out.
    pub peak: usize,
    /// All there is.
    pub budget: usize,
}

/// Time, randomness and memory of a board.
pub trait Board {
    /// Milliseconds since some moment, never going back.
    fn monotonic_ms(&self) -> u64;

    /// Fills the buffer with bytes nobody can guess.
    fn fill(&self, buffer: &mut [u8]);

    /// How full the heap is.
    fn heap(&self) -> HeapFigures;

    /// How many runs before this one ended in a panic, one after the other; 0 where nobody counts.
    /// The node doubts what may make every run end so.
    fn panics_in_a_row(&self) -> u64 {
        0
    }
}

/// When a node wants to be polled again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Wake {
    /// There is more to do.
    Now,
    /// At this moment of [`Board::monotonic_ms`], or when a device has news.
    At(u64),
}

impl Wake {
    /// The earlier of both.
    #[must_use]
    pub fn earlier(self, other: Self) -> Self {
        match (self, other) {
            (Self::At(ours), Self::At(theirs)) => Self::At(ours.min(theirs)),
            _ => Self::Now,
        }
    }

    /// The same, where a moment that has come is now.
    pub(crate) fn seen_at(self, now_ms: u64) -> Self {
        match self {
            Self::At(at_ms) if at_ms > now_ms => self,
            _ => Self::Now,
        }
    }
}
