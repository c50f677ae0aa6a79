//! A replica that owns its engine: for nodes with one thread.

use crate::replica::{Progress, Replica, ReplicaError};
use alloc::sync::Arc;
use unison_base::{LogId, Lsn};
use unison_engine::{CutError, Engine};
use unison_link::{Cursor, Divergence, LogEnd, RunRange, SealRange};
use unison_ports::SegmentStore;
use unison_walfs::RunHeader;

/// An engine and the store beneath it, driven from one place.
#[derive(Debug)]
pub struct EngineReplica<S: SegmentStore> {
    store: Arc<S>,
    engine: Engine<S>,
    log_id: LogId,
}

/// The end of a follower's log, as the link wants it.
///
/// # Errors
/// The newest frame cannot be read.
pub fn end_of_log<S: SegmentStore>(
    engine: &Engine<S>,
    log_id: LogId,
) -> Result<LogEnd, ReplicaError> {
    let lsn = engine.appended();
    if lsn == Lsn::ZERO {
        return Ok(LogEnd::empty(log_id));
    }
    let located = engine.log().locate(lsn)?;
    let cursor = Cursor { log: log_id, lsn, position: located.position, crc: located.crc };
    Ok(LogEnd { cursor, next: engine.tail() })
}

impl<S: SegmentStore> EngineReplica<S> {
    /// A replica over an open engine and the store it was opened on.
    ///
    /// # Errors
    /// The store's identity cannot be read.
    pub fn new(store: Arc<S>, engine: Engine<S>) -> Result<Self, ReplicaError> {
        let log_id = store.log_id()?.unwrap_or_default();
        Ok(Self { store, engine, log_id })
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine<S> {
        &self.engine
    }

    /// The engine, for flushes and other jobs.
    pub fn engine_mut(&mut self) -> &mut Engine<S> {
        &mut self.engine
    }

    /// Takes the engine out.
    #[must_use]
    pub fn into_engine(self) -> Engine<S> {
        self.engine
    }
}

impl<S: SegmentStore> Replica for EngineReplica<S> {
    fn end(&self) -> Result<LogEnd, ReplicaError> {
        end_of_log(&self.engine, self.log_id)
    }

    fn adopt(&mut self, log: LogId) -> Result<(), ReplicaError> {
        if self.log_id != log {
            self.store.set_log_id(log)?;
            self.log_id = log;
        }
        Ok(())
    }

    fn apply(&mut self, run: RunRange, frames: &[u8], wall_ms: u64) -> Result<(), ReplicaError> {
        self.engine.apply_run(run_header(&run), frames, wall_ms)?;
        Ok(())
    }

    fn seal(&mut self, seal: SealRange, wall_ms: u64) -> Result<(), ReplicaError> {
        let (segment, offset) = (seal.segment, seal.offset);
        Ok(self.engine.seal_at(segment, offset, seal.next_segment_bytes, wall_ms)?)
    }

    fn commit(&mut self) -> Result<Progress, ReplicaError> {
        let outcome = self.engine.sync_ticket().run();
        let durable = self.engine.synced(outcome)?;
        self.engine.publish(durable);
        Ok(Progress { durable, applied: self.engine.applied() })
    }

    fn set_aside(&mut self, why: Divergence, wall_ms: u64) -> Result<LogEnd, ReplicaError> {
        let keep = match why {
            Divergence::Ahead { durable } => durable,
            Divergence::Log | Divergence::Frame => Lsn::ZERO,
        };
        self.engine.cut_after(keep, wall_ms).map_err(cut_error)?;
        self.end()
    }
}

/// The link's range as the log's header.
#[must_use]
pub fn run_header(run: &RunRange) -> RunHeader {
    RunHeader {
        segment: run.segment,
        offset: run.offset,
        first: run.first,
        count: run.count,
        segment_bytes: run.segment_bytes,
    }
}

/// A cut is refused while the tree holds what should go: this replica then has to be made anew by
/// whoever owns its store.
fn cut_error(error: CutError) -> ReplicaError {
    match error {
        CutError::Log(error) => ReplicaError::Cut(error),
        _ => ReplicaError::InUse,
    }
}
