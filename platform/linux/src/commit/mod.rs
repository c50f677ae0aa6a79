//! Group commit: many writers, one engine, one sync for all that has gathered.
//!
//! ```text
//! writer A ─ stage ─┐
//! writer B ─ stage ─┼─ group buffer ── append (one write) ── sync ── publish ── wake A, B, C
//! writer C ─ stage ─┘                      while this syncs, the next group fills
//! ```
//!
//! A lone writer leads its round itself: it appends, syncs without holding the lock and publishes,
//! and pays no hand-over at all. Where several write, a worker leads round after round and wakes
//! each of them alone. A caller that must not block (a server task) leaves a callback.
//!
//! One may hold the writer for a while (`exclusive.rs`). That is a flag beside the engine and not its lock, so
//! that meanwhile syncs, acknowledgements, flushes and looks at the engine go on, and all else of the process.

mod budget;
mod exclusive;
mod expiry;
mod queue;
mod round;
mod seat;
mod turn;
mod upkeep;
mod workers;

pub use exclusive::Exclusive;
pub(crate) use queue::{CommitQueue, Shared};
pub(crate) use turn::Gate;
pub use turn::{Turn, TurnAlone};
pub(crate) use workers::Workers;
