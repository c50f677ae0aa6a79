//! How a run ended.

use super::fault::Tally;
use std::fmt;

/// Something that must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// What was acknowledged is durable at the hub.
    Acknowledged,
    /// A follower's log is a prefix of what the hub has durable.
    Prefix,
    /// What a node shows is its log, folded.
    State,
    /// Nothing is served that was not written.
    Written,
    /// What a follower called durable survives a power cut.
    FollowerKeeps,
    /// A transaction goes on and ends as its client was told.
    Transactions,
    /// A write happens when its condition holds, and only then.
    Conditions,
    /// What has expired is said in bounded time.
    Expiry,
    /// Nobody is ahead of whom it follows.
    NotAhead,
    /// Who is behind or cut off says so.
    Lag,
    /// Damage is found by whoever reads it, and only where there is some.
    Damage,
    /// Without faults, the hub takes writes and acknowledges them in bounded time.
    Writable,
    /// Without faults, all come to the same state in bounded time.
    Convergence,
    /// Nothing panics, and nothing hangs.
    Alive,
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Acknowledged => "what was acknowledged is durable at the hub",
            Self::Prefix => "a follower's log is a prefix of what the hub has durable",
            Self::State => "what a node shows is its log, folded",
            Self::Written => "nothing is served that was not written",
            Self::FollowerKeeps => "what a follower called durable survives a power cut",
            Self::Transactions => "a transaction goes on and ends as its client was told",
            Self::Conditions => "a write happens when its condition holds, and only then",
            Self::Expiry => "what has expired is said in bounded time",
            Self::NotAhead => "nobody is ahead of whom it follows",
            Self::Lag => "who is behind or cut off says so",
            Self::Damage => "damage is found by whoever reads it, and only where there is some",
            Self::Writable => "without faults, writes are acknowledged in bounded time",
            Self::Convergence => "without faults, all come to the same state in bounded time",
            Self::Alive => "nothing panics and nothing hangs",
        })
    }
}

/// A promise that was broken, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Which.
    pub promise: Promise,
    /// On which node.
    pub node: String,
    /// When, milliseconds of simulated time.
    pub at_ms: u64,
    /// What was seen.
    pub detail: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.at_ms / 1_000, self.at_ms % 1_000);
        let Self { promise, node, detail, .. } = self;
        write!(f, "{node} at {seconds}.{millis:03} s broke \"{promise}\": {detail}")
    }
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The whole story as one number.
    pub hash: u64,
    /// Simulated time, milliseconds.
    pub simulated_ms: u64,
    /// How long all nodes took to come to the same state once faults had ended, milliseconds.
    pub converged_ms: u64,
    /// Events.
    pub events: u64,
    /// Records that the hub had durable at the end.
    pub records: u64,
    /// Bytes of their frames.
    pub log_bytes: u64,
    /// The log's bytes and the state that all nodes came to, each as one number.
    pub digests: (u64, u64),
    /// What happened how often.
    pub tally: Tally,
    /// The promise that was broken, if one was.
    pub breach: Option<Breach>,
}
