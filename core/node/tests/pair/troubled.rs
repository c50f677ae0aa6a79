//! An engine's replica, some of whose answers are failures when a test wants them.

use super::open;
use unison_base::LogId;
use unison_base::frame::Frames;
use unison_engine::{ApplyError, Engine};
use unison_link::{Divergence, LogEnd, RunRange, SealRange};
use unison_node::{EngineReplica, Progress, Replica, ReplicaError};
use unison_ports::IoError;
use unison_sim::disk::{CrashDisk, SimStore};
use unison_walfs::LogRole;

pub(crate) struct Troubled {
    pub(crate) replica: EngineReplica<SimStore>,
    /// So many times nothing can be set aside.
    pub(crate) failures: u32,
    /// After such a failure it cannot say where its log ends, until the next attempt.
    pub(crate) loses_its_end: bool,
    lost: bool,
    /// Such a failure comes when everything is set aside already.
    pub(crate) empties: bool,
    /// The next run does not fit the tree.
    pub(crate) tree_differs: bool,
    /// Of each run it takes one record a step.
    pub(crate) takes_parts: bool,
    has_more: bool,
}

impl Troubled {
    /// Without troubles.
    pub(super) fn open(disk: &CrashDisk) -> Self {
        let (store, engine) = open(disk, LogRole::Follower);
        let replica = EngineReplica::new(store, engine).unwrap();
        Self {
            replica,
            failures: 0,
            loses_its_end: false,
            lost: false,
            empties: false,
            tree_differs: false,
            takes_parts: false,
            has_more: false,
        }
    }

    /// Opens it again on another disk, whatever it was about to do.
    pub(crate) fn move_to(&mut self, disk: &CrashDisk) {
        let takes_parts = self.takes_parts;
        *self = Self { takes_parts, ..Self::open(disk) };
    }

    pub(crate) fn engine(&self) -> &Engine<SimStore> {
        self.replica.engine()
    }
}

impl Replica for Troubled {
    fn end(&self) -> Result<LogEnd, ReplicaError> {
        if self.lost { Err(ReplicaError::Closed) } else { self.replica.end() }
    }

    fn adopt(&mut self, log: LogId) -> Result<(), ReplicaError> {
        self.lost &= !self.empties;
        self.replica.adopt(log)
    }

    fn apply(&mut self, run: RunRange, frames: &[u8], wall_ms: u64) -> Result<(), ReplicaError> {
        if std::mem::take(&mut self.tree_differs) {
            return Err(ReplicaError::Apply(ApplyError::Diverged { lsn: run.first }));
        }
        if !self.takes_parts {
            return self.replica.apply(run, frames, wall_ms);
        }
        let appended = self.replica.engine().appended();
        let (mut walked, mut count) = (Frames::new(frames), 0);
        while let Some(Ok((_, frame))) = walked.next() {
            count += 1;
            if frame.lsn > appended {
                break;
            }
        }
        let bytes = walked.consumed();
        self.has_more = bytes < frames.len();
        let part = RunRange { count, bytes: u32::try_from(bytes).unwrap(), ..run };
        self.replica.apply(part, &frames[..bytes], wall_ms)
    }

    fn has_more(&self) -> bool {
        self.has_more
    }

    fn seal(&mut self, seal: SealRange, wall_ms: u64) -> Result<(), ReplicaError> {
        self.replica.seal(seal, wall_ms)
    }

    fn commit(&mut self) -> Result<Progress, ReplicaError> {
        self.replica.commit()
    }

    fn set_aside(&mut self, why: Divergence, wall_ms: u64) -> Result<LogEnd, ReplicaError> {
        self.lost = self.failures > 0 && self.loses_its_end;
        if self.failures > 0 {
            self.failures -= 1;
            if self.empties {
                self.replica.set_aside(why, wall_ms)?;
            }
            return Err(ReplicaError::Io(IoError::NoSpace));
        }
        self.replica.set_aside(why, wall_ms)
    }
}
