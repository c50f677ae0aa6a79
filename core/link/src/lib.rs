//! Replication as a pair of state machines without I/O: bytes and time in, bytes, disk work and
//! wake-up times out.
//!
//! ```text
//!  log ──runs──▶ Leader ──Welcome, Run, Seal, Beat──▶ Follower ──runs──▶ log
//!                  ▲                                      │
//!                  └───────Hello, Follow, Ack, Beat───────┘
//! ```
//!
//! A driver owns the connection, the clock and the log. It moves bytes between the connection and
//! [`Leader`] or [`Follower`], does what their events ask, and wakes them at `poll_timeout`.
//! Nothing queues up inside: what has to be said is derived from state when the line can take it,
//! and received bytes stay in one bounded buffer until the driver has taken the event they make.
//!
//! A handshake, in memory instead of over a connection:
//!
//! ```
//! # #[cfg(feature = "alloc")] {
//! use unison_base::{LogId, NamespaceName};
//! use unison_link::*;
//!
//! let config = FollowerConfig {
//!     node: "edge-1".try_into().unwrap(),
//!     token: Token::default(),
//!     role: Role::Replica,
//!     window_bytes: 4 << 20,
//!     run_bytes_max: 16 << 20,
//!     timing: Timing::default(),
//! };
//! let mut follower = HeapFollower::new(config, vec![0; 64 << 10], Vec::new(), 42, 0).unwrap();
//! let name = NamespaceName::new("default").unwrap();
//! let number = follower.follow(name.clone(), LogEnd::empty(LogId::default())).unwrap();
//! let mut leader = Leader::new(LeaderConfig::new("hub".try_into().unwrap()), 0);
//!
//! let mut line = [0; TRANSMIT_BYTES_MIN];
//! follower.connected(0);
//! let bytes = follower.poll_transmit(0, &mut line);
//! leader.handle_bytes(&line[..bytes], 0);
//! assert!(matches!(leader.poll_event(), Some(LeaderEvent::Hello { node: "edge-1", .. })));
//! leader.accept();
//! let cursor = Cursor::default();
//! assert_eq!(leader.poll_event(), Some(LeaderEvent::Follow { namespace: number, name, cursor }));
//! leader.answer(number, Answer::Refuse(Refusal::UnknownNamespace));
//!
//! let Transmit::Bytes(bytes) = leader.poll_transmit(0, &mut line) else { panic!() };
//! follower.handle_bytes(&line[..bytes], 0);
//! assert_eq!(follower.poll_event(), Some(FollowerEvent::Greeted { protocol: 1 }));
//! let reason = Refusal::UnknownNamespace;
//! assert_eq!(follower.poll_event(), Some(FollowerEvent::Waiting { namespace: number, reason }));
//! # }
//! ```
//!
//! The byte format is in `schemas/link.md`. Without the `alloc` feature there is the codec and a
//! [`Follower`] on the caller's buffers.

#![no_std]
#![forbid(unsafe_code)]
#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod backoff;
mod beat;
mod close;
mod cursor;
mod follower;
mod inbox;
#[cfg(feature = "alloc")]
mod leader;
pub mod messages;
mod pulse;
mod reason;
mod run;
pub mod wire;

pub use close::CloseReason;
pub use cursor::{Cursor, LogEnd, Verdict, judge};
#[cfg(feature = "alloc")]
pub use follower::HeapFollower;
pub use follower::{
    Counters, Follower, FollowerConfig, FollowerEvent, Lag, LinkState, NamespaceError, Slot,
    SmallFollower, Standing, Table,
};
pub use inbox::Memory;
#[cfg(feature = "alloc")]
pub use leader::{
    Answer, Leader, LeaderConfig, LeaderCounters, LeaderEvent, RunHead, SendError, ServedStatus,
    Transmit,
};
pub use messages::{NODE_ID_MAX, NodeId, Role, TOKEN_MAX, Token};
pub use pulse::Timing;
pub use reason::{ByeReason, Divergence, Refusal};
pub use run::{RunFault, RunRange, SealRange};
pub use wire::{PROTOCOL_MAX, PROTOCOL_MIN, TRANSMIT_BYTES_MIN};
