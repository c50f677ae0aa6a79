//! A namespace of a store as a replica of the link.

use std::sync::Arc;
use std::time::{Duration, Instant};
use unison_base::{LogId, Lsn};
use unison_engine::{ApplyError, CutError, WriteError};
use unison_link::{Divergence, LogEnd, RunRange, SealRange};
use unison_linux::store::{Namespace, Store, StoreError};
use unison_node::{Progress, Replica, ReplicaError, end_of_log, run_header};

/// How long a run waits for a flush to make room; then it is asked for again.
const PRESSURE_PATIENCE: Duration = Duration::from_secs(10);
const PRESSURE_PAUSE: Duration = Duration::from_millis(5);

/// One followed namespace.
pub(super) struct NamespaceReplica {
    store: Arc<Store>,
    namespace: Arc<Namespace>,
}

impl NamespaceReplica {
    pub(super) fn new(store: Arc<Store>, namespace: Arc<Namespace>) -> Self {
        Self { store, namespace }
    }

    /// Newest record visible to readers.
    pub(super) fn applied(&self) -> Lsn {
        self.namespace.reader().applied()
    }

    fn start_over(&mut self) -> Result<(), ReplicaError> {
        let started = self.store.start_over(self.namespace.name());
        let (fresh, aside) = started.map_err(store_error)?;
        tracing::error!(
            namespace = %fresh.name(),
            kept = %aside.display(),
            "the log differs from the hub's: set aside, following from the start"
        );
        self.namespace = fresh;
        Ok(())
    }

    fn cut_after(&mut self, keep: Lsn, wall_ms: u64) -> Result<bool, ReplicaError> {
        let cut = self.namespace.with_engine(|engine| engine.cut_after(keep, wall_ms));
        match cut.map_err(closed)? {
            Ok(()) => Ok(true),
            Err(CutError::BelowCheckpoint { .. }) => Ok(false),
            Err(CutError::Log(error)) => Err(ReplicaError::Cut(error)),
            Err(_) => Err(ReplicaError::InUse),
        }
    }
}

impl Replica for NamespaceReplica {
    fn end(&self) -> Result<LogEnd, ReplicaError> {
        let log_id = self.namespace.log_id();
        self.namespace.with_engine(|engine| end_of_log(engine, log_id)).map_err(closed)?
    }

    fn adopt(&mut self, log: LogId) -> Result<(), ReplicaError> {
        Ok(self.namespace.adopt(log)?)
    }

    fn apply(&mut self, run: RunRange, frames: &[u8], wall_ms: u64) -> Result<(), ReplicaError> {
        let header = run_header(&run);
        let deadline = Instant::now() + PRESSURE_PATIENCE;
        loop {
            let applied = self.namespace.with_engine(|e| e.apply_run(header, frames, wall_ms));
            match applied.map_err(closed)? {
                Ok(_) => return Ok(()),
                Err(ApplyError::Busy(_)) if Instant::now() < deadline => {
                    std::thread::sleep(PRESSURE_PAUSE);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn seal(&mut self, seal: SealRange, wall_ms: u64) -> Result<(), ReplicaError> {
        let (segment, offset, next) = (seal.segment, seal.offset, seal.next_segment_bytes);
        let sealed =
            self.namespace.with_engine(|engine| engine.seal_at(segment, offset, next, wall_ms));
        Ok(sealed.map_err(closed)??)
    }

    fn commit(&mut self) -> Result<Progress, ReplicaError> {
        let ticket = self.namespace.with_engine(|engine| engine.sync_ticket()).map_err(closed)?;
        let outcome = ticket.run();
        let synced = self.namespace.with_engine(|engine| {
            let durable = engine.synced(outcome)?;
            engine.publish(durable);
            Ok(durable)
        });
        let durable = synced.map_err(closed)?.map_err(ReplicaError::Sync)?;
        self.namespace.announce(durable);
        Ok(Progress { durable, applied: self.applied() })
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

/// The only failure of reaching an engine that is not the engine's own.
fn closed(_: WriteError) -> ReplicaError {
    ReplicaError::Closed
}

fn store_error(error: StoreError) -> ReplicaError {
    tracing::error!(%error, "cannot set a diverged namespace aside");
    match error {
        StoreError::Medium { source, .. } => ReplicaError::Io(source),
        _ => ReplicaError::InUse,
    }
}
