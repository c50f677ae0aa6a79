//! Group commit: many writers, one engine, one sync for all that has gathered.
//!
//! ```text
//! writer A ─ stage ─┐
//! writer B ─ stage ─┼─ group buffer ── append (one write) ── sync ── publish ── wake A, B, C
//! writer C ─ stage ─┘                      while this syncs, the next group fills
//! ```
//!
//! Whoever finds nobody leading leads: it appends what is staged, syncs without holding the lock,
//! publishes and wakes the others, each alone. A lone writer therefore pays no hand-over at all. A
//! caller that must not block (a server task) leaves a callback, and a worker leads for it.

mod queue;
mod round;
mod seat;
mod upkeep;
mod workers;

pub(crate) use queue::{CommitQueue, Shared};
pub(crate) use workers::Workers;
