//! Calls that go wrong.

use unison_base::prng::Prng;
use unison_ports::IoError;

/// Which calls a fault looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Calls {
    /// Every call.
    Any,
    /// Reads of segments and of the tree.
    Reads,
    /// Writes, and changes of the tree's length.
    Writes,
    /// Syncs.
    Syncs,
    /// Listing, making, opening, renaming and removing, and the identity.
    Directory,
}

/// Which of them go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Only the n-th, counted from 1.
    Nth(u64),
    /// The n-th and all after it.
    From(u64),
    /// Each with this chance in percent.
    Chance(u64),
}

/// How they go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing is done and the call fails. A sync that fails makes what it covers doubtful (A3).
    Error(IoError),
    /// A write puts down this many bytes, at most its own length, and fails (A2). Other calls fail
    /// as with [`Error`](Self::Error).
    Part {
        /// Bytes that are written.
        bytes: usize,
        /// What the caller is told.
        error: IoError,
    },
    /// Everything is done and the call fails all the same.
    Late(IoError),
}

/// Calls that go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which calls are looked at.
    pub calls: Calls,
    /// Which of them.
    pub when: When,
    /// What happens.
    pub effect: Effect,
}

impl Fault {
    /// The n-th call of a kind fails, once.
    #[must_use]
    pub const fn once(calls: Calls, nth: u64, error: IoError) -> Self {
        Self { calls, when: When::Nth(nth), effect: Effect::Error(error) }
    }

    /// The n-th call of a kind and all after it fail.
    #[must_use]
    pub const fn for_ever(calls: Calls, from: u64, error: IoError) -> Self {
        Self { calls, when: When::From(from), effect: Effect::Error(error) }
    }
}

/// A fault and how many calls it has seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Armed {
    fault: Fault,
    seen: u64,
}

impl Armed {
    pub(super) const fn new(fault: Fault) -> Self {
        Self { fault, seen: 0 }
    }

    /// What happens to the call that is made now.
    pub(super) fn strike(&mut self, calls: Calls, prng: &mut Prng) -> Option<Effect> {
        if self.fault.calls != Calls::Any && self.fault.calls != calls {
            return None;
        }
        self.seen += 1;
        let strikes = match self.fault.when {
            When::Nth(nth) => self.seen == nth,
            When::From(from) => self.seen >= from,
            When::Chance(percent) => prng.chance(percent),
        };
        strikes.then_some(self.fault.effect)
    }
}
