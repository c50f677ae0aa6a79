//! Whole fleets in one thread: a hub, relays and edges, made of the very types that the binaries are
//! made of, on disks, lines and clocks that fail from a seed.
//!
//! ```text
//!   seed ──▶ Plan: who follows whom, how clients write, which faults are on
//!              │
//!              ▼                 virtual time, one event after the other
//!   Queue: (ms, n) -> Event ──▶ World ───────────────────────────────▶ Trace: one hash
//!                                 │  ▲
//!            writes, syncs,       │  │ bytes in pieces, late, cut off
//!            flushes, starts      ▼  │
//!      hub: Engine + LeaderSession ── Connection ── FollowerSession + EngineReplica: relay, edge
//!            │                                        │
//!      CrashDisk: segments, tree                 CrashDisk: segments, tree
//!            ▲                                        ▲
//!            └──────── Atlas: power, rot, full, lines, clocks ────────┘
//!
//!   after every step: Model (what was written) and Truth (what the hub had durable) against
//!   what the nodes hold and say
//! ```
//!
//! # What is promised, and what the atlas may therefore do
//!
//! | promise | the atlas may | and may not |
//! |---|---|---|
//! | What the hub acknowledged once it was synced, and what it served, is durable there; what a hub of weaker durability answered survives a kill, and with what else was appended no power cut leaves a hole | cut its power anywhere with any fate of unsynced writes, also in the middle of recovery; kill it; fail, delay or fill its disk; damage segment headers and the head of its tree | damage its frames: there is no second copy that it could fetch, so they are only set aside and reported, which walfs' own tests show |
//! | A follower's log is a prefix of the hub's durable bytes, and its state that log, folded | all of the above, and rot, lost, misdirected, missing and repeated blocks and segments | change bytes so that their checksums fit, which no rot does |
//! | What a follower called durable survives a power cut | the same as at the hub | nothing is promised once its medium has rotted: it fetches again |
//! | A wrong value is never served; damage is said | rot anywhere in a follower's segments | rot inside the tree's pages: nothing looks at their checksums when they are read, so only the head of the file rots, which is noticed |
//! | A follower that is behind or cut off says so | stop, slow or bend the line, and the leader | stop the follower itself: one that stands still says nothing |
//! | A transaction is seen whole or not at all, on every node at every LSN; it is committed when its conditions hold, and only then; the end of the hub's process ends it | anything, in the middle of it too | |
//! | What expires by the log's watermark is gone everywhere alike at the same LSN, and never comes back; a reader's own clock hides more and never less | set any wall clock anywhere | |
//! | A large object is there whole or not at all; a message to a topic or a pattern is shown in its order until it is deleted, trimmed or expires | | |
//! | The order of records is the order of LSNs, whatever the clocks show | set any wall clock anywhere, let clocks drift by 1 % | let monotonic time go back: the port promises that it does not |
//! | Once faults end, a write is taken and acknowledged in bounded time | leave any state behind | |
//! | Once faults end, all nodes come to the same state in bounded time | leave any state behind | keep a rotten disk: what a node has said to be damaged a person replaces, counted as `replaced disks` |
//!
//! Blocks rot under a process that runs and under one that is down; headers, whole segments and the
//! tree only while it is down, since a page that is in memory is not the medium's.
//!
//! A seed decides which of these are on, so that the rare ones are not hidden by the frequent ones,
//! and power cuts are more likely where they have the most to spoil: behind an append, a sync, a
//! flush, and right after a recovery.
//!
//! Clients do what a hub lets them: each has a transaction of its own, and their records lie between
//! those of others. What a client was told decides what the model expects: a write that is refused for
//! what is there must be refused by the model too, one that is taken must be allowed by it, and the
//! engine may write no record that nobody has asked for.
//!
//! Two things look like a breach and are none. A write that was refused because its append failed may
//! be there after a power cut, until a later append has cleared its place: an error is not a promise
//! that nothing happened. And a block that is copied over the head of a follower's only segment may
//! look like a log that begins later: its records are the leader's, at a place where the leader has
//! others, so the next handshake finds it.
//!
//! # Running it
//!
//! `cargo run -p unison-sim --bin sim -- --seeds 0..500` runs many and ends with a table;
//! `--seed N --trace` tells one seed's story; `--edges 200 --minutes 1` is a large fleet;
//! `--hashes` prints what must be the same in every build and on every machine.

mod absence;
mod atlas;
mod calm;
mod check;
mod clients;
mod clock;
mod damage;
mod draw;
mod durability;
mod end;
mod fault;
mod follow;
mod happened;
mod home;
mod hub;
mod lag;
mod lead;
mod life;
mod link;
mod model;
mod node;
mod outcome;
mod plan;
mod queue;
mod replica;
mod stage;
mod state;
mod story;
mod trace;
mod traffic;
mod transaction;
mod truth;
mod world;
mod writes;

pub use absence::{Return, long_absence};
pub use fault::{Fault, Recoveries, Tally};
pub use happened::Happened;
pub use outcome::{Breach, Outcome, Promise};
pub use trace::Teller;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Segments of every node: the fake, with a bug in it when one is planted.
type Store = crate::planted::PlantedStore;

/// A bug that only the world around the nodes has, to see that the checkers see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// The hub acknowledges what is appended and not synced.
    AnswerBeforeSync,
    /// A follower asks from one record too far.
    CursorPlusOne,
    /// A bit of a record turns over on the way, and its checksum with it.
    CrcUnchecked,
    /// A log has no zeros behind its newest frame.
    StaleFrames,
    /// A client's write is applied twice.
    ApplyTwice,
    /// A flush makes its checkpoint durable before the log that it covers.
    FlushBeforeSync,
    /// What the opening of a log has found is told to nobody.
    HideFindings,
    /// A hub whose disk was full once never flushes again, so that it is busy for ever.
    BusyForEver,
    /// What the hub has appended is lost with its process unless it is synced.
    LostInProcess,
    /// A write of a transaction is seen before its commit, and without one.
    ShowPrepared,
    /// A commit is answered and does not happen.
    ForgetCommit,
    /// A write of a transaction is answered and does not happen with its commit.
    HalfCommit,
    /// A chunk of a large object is answered and lost.
    HalfObject,
    /// A commit passes over its conditions.
    IgnoreConditions,
    /// A message to a pattern is answered and lost.
    DropPatternMessage,
    /// A retained message is not kept as one.
    ForgetRetained,
    /// A follower shows what has expired by the watermark of its log.
    ShowExpired,
    /// A follower hides what has expired by its own clock only.
    HideByClock,
}

impl Plant {
    /// Every bug.
    pub const ALL: [Self; 18] = [
        Self::AnswerBeforeSync,
        Self::CursorPlusOne,
        Self::CrcUnchecked,
        Self::StaleFrames,
        Self::ApplyTwice,
        Self::FlushBeforeSync,
        Self::HideFindings,
        Self::BusyForEver,
        Self::LostInProcess,
        Self::ShowPrepared,
        Self::ForgetCommit,
        Self::HalfCommit,
        Self::HalfObject,
        Self::IgnoreConditions,
        Self::DropPatternMessage,
        Self::ForgetRetained,
        Self::ShowExpired,
        Self::HideByClock,
    ];
}

/// What to simulate.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Decides everything else.
    pub seed: u64,
    /// Edges.
    pub edges: usize,
    /// Most relays.
    pub relays: usize,
    /// Simulated minutes with faults.
    pub minutes: u64,
    /// A bug in the world.
    pub plant: Option<Plant>,
    /// Hears the story.
    pub teller: Option<Teller>,
}

impl Options {
    /// The fleet of every commit: up to two relays, eight edges, five minutes.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, edges: 8, relays: 2, minutes: 5, plant: None, teller: None }
    }
}

/// Runs one fleet to its end. A panic anywhere in it is a breach too.
#[must_use]
pub fn run(options: &Options) -> Outcome {
    let mut world = world::World::new(options);
    let ran = catch_unwind(AssertUnwindSafe(|| world.run()));
    let result = ran.unwrap_or_else(|panic| Err(world.panicked(&*panic)));
    world.outcome(result)
}
