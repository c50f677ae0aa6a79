//! What a follower asks of its driver.

use crate::close::CloseReason;
use crate::messages::Served;
use crate::reason::{Divergence, Refusal};
use crate::run::{RunFault, RunRange, SealRange};
use unison_base::Hlc;

/// Something for the driver to do or to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowerEvent<'a> {
    /// The leader has answered; its name is [`Follower::leader`](super::Follower::leader).
    Greeted {
        /// Protocol version.
        protocol: u16,
    },
    /// Runs will come. The log's identity is to be stored before the first of them is appended.
    Welcome {
        /// The namespace.
        namespace: u32,
        /// The leader's log.
        served: Served,
    },
    /// Append these frames, tell [`appended`](super::Follower::appended) or
    /// [`refused`](super::Follower::refused). Checksums, density and place are checked.
    Run {
        /// The namespace.
        namespace: u32,
        /// Where they belong.
        range: RunRange,
        /// Whole frames.
        frames: &'a [u8],
    },
    /// The segment ends here.
    Seal {
        /// The namespace.
        namespace: u32,
        /// Where, and what follows.
        seal: SealRange,
    },
    /// The namespace is not served now. It is asked for again by itself.
    Waiting {
        /// The namespace.
        namespace: u32,
        /// Why.
        reason: Refusal,
    },
    /// The logs differ. Set the own suffix aside and [`restart`](super::Follower::restart). When
    /// that cannot be done now, close the connection: the next one brings this event again.
    Diverged {
        /// The namespace.
        namespace: u32,
        /// How.
        why: Divergence,
    },
    /// A run was refused and is asked for again. Nothing of it was handed out.
    BadRun {
        /// The namespace.
        namespace: u32,
        /// Which check failed.
        fault: RunFault,
    },
    /// The leader is alive.
    Beat {
        /// Its hybrid clock.
        hlc: Hlc,
    },
    /// Transmit what is left, close the connection, and tell
    /// [`disconnected`](super::Follower::disconnected).
    Close {
        /// Why.
        reason: CloseReason,
    },
}
