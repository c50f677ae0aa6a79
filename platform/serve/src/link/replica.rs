//! A namespace of a store as a replica of the link.

use crate::shutdown::Shutdown;
use std::sync::Arc;
use std::time::{Duration, Instant};
use unison_base::{LogId, Lsn, NamespaceName};
use unison_engine::{ApplyError, CutError, Engine, WriteError};
use unison_link::{Divergence, LogEnd, RunRange, SealRange};
use unison_linux::FileStore;
use unison_linux::store::{Namespace, Store, StoreError};
use unison_node::{Progress, Replica, ReplicaError, end_of_log, run_header};

/// How long a run waits for a flush to make room; then it is asked for again. Much shorter than the
/// silence after which the hub gives this node up.
const PRESSURE_PATIENCE: Duration = Duration::from_secs(1);
const PRESSURE_PAUSE: Duration = Duration::from_millis(5);

/// One followed namespace: by its name, because setting it aside puts another one in its place.
pub(super) struct NamespaceReplica {
    store: Arc<Store>,
    name: NamespaceName,
    shutdown: Shutdown,
}

impl NamespaceReplica {
    /// A replica of a namespace, which is made when it is not there.
    pub(super) fn new(store: Arc<Store>, name: NamespaceName, shutdown: Shutdown) -> Self {
        Self { store, name, shutdown }
    }

    /// The present namespace. It is missing after setting it aside went half way: then it is opened
    /// or made again.
    fn namespace(&self) -> Result<Arc<Namespace>, ReplicaError> {
        self.store.create(&self.name).map_err(store_error)
    }

    fn with_engine<R>(
        &self,
        act: impl FnOnce(&mut Engine<FileStore>) -> R,
    ) -> Result<R, ReplicaError> {
        self.namespace()?.with_engine(act).map_err(engine_error)
    }

    fn start_over(&self) -> Result<(), ReplicaError> {
        let (fresh, aside) = self.store.start_over(&self.name).map_err(store_error)?;
        tracing::error!(
            namespace = %fresh.name(),
            kept = %aside.display(),
            "the log differs from the hub's: set aside, following from the start"
        );
        Ok(())
    }

    fn cut_after(&self, keep: Lsn, wall_ms: u64) -> Result<bool, ReplicaError> {
        match self.with_engine(|engine| engine.cut_after(keep, wall_ms))? {
            Ok(()) => {
                // Who watches what was cut off is told now, not with the next records.
                let namespace = self.namespace()?;
                namespace.announce(namespace.log().durable());
                Ok(true)
            }
            Err(CutError::BelowCheckpoint { .. } | CutError::Transactions) => Ok(false),
            Err(CutError::Log(error)) => Err(ReplicaError::Cut(error)),
            Err(_) => Err(ReplicaError::InUse),
        }
    }
}

impl Replica for NamespaceReplica {
    fn end(&self) -> Result<LogEnd, ReplicaError> {
        let namespace = self.namespace()?;
        let log_id = namespace.log_id();
        namespace.with_engine(|engine| end_of_log(engine, log_id)).map_err(engine_error)?
    }

    fn adopt(&mut self, log: LogId) -> Result<(), ReplicaError> {
        Ok(self.namespace()?.adopt(log)?)
    }

    fn apply(&mut self, run: RunRange, frames: &[u8], wall_ms: u64) -> Result<(), ReplicaError> {
        let header = run_header(&run);
        let deadline = Instant::now() + PRESSURE_PATIENCE;
        loop {
            let patient = Instant::now() < deadline && !self.shutdown.has_begun();
            match self.with_engine(|engine| engine.apply_run(header, frames, wall_ms))? {
                Ok(_) => return Ok(()),
                Err(ApplyError::Busy(_)) if patient => std::thread::sleep(PRESSURE_PAUSE),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn seal(&mut self, seal: SealRange, wall_ms: u64) -> Result<(), ReplicaError> {
        let (segment, offset, next) = (seal.segment, seal.offset, seal.next_segment_bytes);
        Ok(self.with_engine(|engine| engine.seal_at(segment, offset, next, wall_ms))??)
    }

    fn commit(&mut self) -> Result<Progress, ReplicaError> {
        let namespace = self.namespace()?;
        let ticket = namespace.with_engine(|engine| engine.sync_ticket()).map_err(engine_error)?;
        let outcome = ticket.run();
        let synced = namespace.with_engine(|engine| {
            let durable = engine.synced(outcome)?;
            engine.publish(durable);
            Ok(durable)
        });
        let durable = synced.map_err(engine_error)?.map_err(ReplicaError::Sync)?;
        namespace.announce(durable);
        Ok(Progress { durable, applied: namespace.reader().applied() })
    }

    fn set_aside(&mut self, why: Divergence, wall_ms: u64) -> Result<LogEnd, ReplicaError> {
        let kept = match why {
            Divergence::Ahead { durable } => self.cut_after(durable, wall_ms)?,
            Divergence::Log | Divergence::Frame => false,
        };
        if !kept {
            self.start_over()?;
        }
        self.end()
    }
}

/// Why an engine cannot be reached, which is no failure of what was to be done with it.
fn engine_error(error: WriteError) -> ReplicaError {
    match error {
        WriteError::Poisoned => ReplicaError::Poisoned,
        _ => ReplicaError::Closed,
    }
}

fn store_error(error: StoreError) -> ReplicaError {
    tracing::error!(%error, "cannot replace or open a followed namespace");
    match error {
        StoreError::Medium { source, .. } => ReplicaError::Io(source),
        _ => ReplicaError::InUse,
    }
}

#[cfg(test)]
mod tests;
