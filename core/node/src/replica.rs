//! What a follower's session asks of the place where records go.

use unison_base::{LogId, Lsn};
use unison_engine::ApplyError;
use unison_link::{Divergence, LogEnd, RunRange, SealRange};
use unison_ports::IoError;
use unison_walfs::{CutError, ReadError, RunError, SyncError};

/// How far a replica is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Newest record that survives a power cut.
    pub durable: Lsn,
    /// Newest record that readers see.
    pub applied: Lsn,
}

/// Why a replica could not take what the leader sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplicaError {
    /// The records are refused, or there is no room for them now. Nothing of them was taken.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// A sync failed: the replica must be opened again.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// The own log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log could not be cut.
    #[error(transparent)]
    Cut(#[from] CutError),
    /// The medium failed.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The log takes nothing more after an earlier failure: the replica must be opened again.
    #[error("the log is not usable after an earlier failure; open it again")]
    Poisoned,
    /// The replica is closed.
    #[error("the namespace is closed")]
    Closed,
    /// The diverged suffix cannot be set aside while it is in use; try again.
    #[error("the namespace cannot be set aside yet")]
    InUse,
}

impl ReplicaError {
    /// Whether only opening the replica again can help.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        matches!(
            self,
            Self::Sync(_)
                | Self::Poisoned
                | Self::Apply(ApplyError::Run(RunError::Poisoned))
                | Self::Cut(CutError::Poisoned)
        )
    }
}

/// One namespace of a follower: its log, and the state that its log makes.
pub trait Replica {
    /// Where the log ends.
    ///
    /// # Errors
    /// The newest frame cannot be read.
    fn end(&self) -> Result<LogEnd, ReplicaError>;

    /// Takes the identity of the leader's log, durably, before any of its records.
    ///
    /// # Errors
    /// The medium failed.
    fn adopt(&mut self, log: LogId) -> Result<(), ReplicaError>;

    /// Verifies, appends and applies frames that the link has checked. Not durable and not visible
    /// before [`commit`](Self::commit).
    ///
    /// # Errors
    /// Nothing of the run was taken, or a first part of it.
    fn apply(&mut self, run: RunRange, frames: &[u8], wall_ms: u64) -> Result<(), ReplicaError>;

    /// Whether [`apply`](Self::apply) left a part of the run for the next step, where others wait
    /// meanwhile: it is called again with the same run before anything else of the link is.
    fn has_more(&self) -> bool {
        false
    }

    /// Ends a segment where the leader ended it.
    ///
    /// # Errors
    /// Nothing changed.
    fn seal(&mut self, seal: SealRange, wall_ms: u64) -> Result<(), ReplicaError>;

    /// Makes everything applied durable, then visible.
    ///
    /// # Errors
    /// The sync failed.
    fn commit(&mut self) -> Result<Progress, ReplicaError>;

    /// Sets aside what differs from the leader's log, kept on the medium; returns the new end. May
    /// be called again after it failed.
    ///
    /// # Errors
    /// Not everything that differs is set aside.
    fn set_aside(&mut self, why: Divergence, wall_ms: u64) -> Result<LogEnd, ReplicaError>;
}
