//! One followed namespace: the production replica, and the starting over that the platform does
//! when the replica itself cannot.

use super::home::{Home, StartError};
use super::{Plant, Store};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use unison_base::LogId;
use unison_base::prng::Prng;
use unison_engine::{ApplyError, CutError, Engine, FlushJob, OpenReport};
use unison_link::{Divergence, LogEnd, RunRange, SealRange};
use unison_node::{EngineReplica, Progress, Replica, ReplicaError};
use unison_ports::IoError;

/// A replica on a node's home.
pub(super) struct FleetReplica {
    home: Rc<RefCell<Home>>,
    replica: Option<EngineReplica<Store>>,
    store: Option<Arc<Store>>,
    flush: Option<FlushJob<Store>>,
    log_id: LogId,
    plant: Option<Plant>,
    prng: Prng,
    /// How often it has begun anew: readers of an earlier log must not go on with it.
    pub(super) generation: u32,
    /// Something that was durable is being set aside.
    pub(super) cuts: bool,
    /// A flush failed in a way that only a start can mend.
    pub(super) tree_failed: bool,
}

impl FleetReplica {
    /// Opens what is there.
    pub(super) fn open(
        home: Rc<RefCell<Home>>,
        plant: Option<Plant>,
        seed: u64,
        wall_ms: u64,
    ) -> Result<(Self, OpenReport, bool), StartError> {
        let mut prng = Prng::new(seed);
        let opened = home.borrow_mut().open(random_id(&mut prng), wall_ms)?;
        let replica = EngineReplica::new(Arc::clone(&opened.store), opened.engine);
        let replica = replica.map_err(|error| StartError::Medium(error.to_string()))?;
        let this = Self {
            home,
            replica: Some(replica),
            store: Some(opened.store),
            flush: None,
            log_id: opened.log_id,
            plant,
            prng,
            generation: 0,
            cuts: false,
            tree_failed: false,
        };
        Ok((this, opened.report, opened.tree_made_anew))
    }

    pub(super) fn engine(&self) -> Option<&Engine<Store>> {
        self.replica.as_ref().map(EngineReplica::engine)
    }

    pub(super) fn log_id(&self) -> LogId {
        self.log_id
    }

    /// Closes log and tree in order.
    pub(super) fn close(mut self) {
        self.flush = None;
        if let Some(replica) = self.replica.take() {
            // A log that does not close in order is recovered.
            let _ = replica.into_engine().close();
        }
    }

    /// Has what expired long ago removed by the next flush; true when one is due for it.
    pub(super) fn free_expired(&mut self, wall_ms: u64) -> bool {
        let replica = self.replica.as_mut();
        replica.is_some_and(|replica| replica.engine_mut().free_expired(wall_ms))
    }

    /// Takes a due flush in hand; true when one is to be finished.
    pub(super) fn begin_flush(&mut self) -> bool {
        if self.flush.is_none() && self.home.borrow().has_room() {
            self.flush = self.replica.as_mut().and_then(|replica| replica.engine_mut().flush_job());
        }
        self.flush.is_some()
    }

    /// Runs the flush in hand.
    pub(super) fn finish_flush(&mut self) {
        let (Some(job), Some(replica)) = (self.flush.take(), &mut self.replica) else { return };
        let store = self.store.as_ref();
        store.inspect(|store| store.set_flushing(true));
        let result = job.run();
        store.inspect(|store| store.set_flushing(false));
        if let Err(error) = replica.engine_mut().flushed(result) {
            self.tree_failed |= matches!(error, unison_engine::FlushError::Tree(_));
        }
    }

    fn present(&mut self) -> Result<&mut EngineReplica<Store>, ReplicaError> {
        if self.replica.is_none() {
            self.reopen()?;
        }
        self.replica.as_mut().ok_or(ReplicaError::Closed)
    }

    fn reopen(&mut self) -> Result<(), ReplicaError> {
        let fresh = random_id(&mut self.prng);
        let opened = self.home.borrow_mut().open(fresh, 0).map_err(|_| ReplicaError::InUse)?;
        self.log_id = opened.log_id;
        self.store = Some(Arc::clone(&opened.store));
        self.replica = Some(EngineReplica::new(opened.store, opened.engine)?);
        Ok(())
    }

    fn start_over(&mut self) -> Result<(), ReplicaError> {
        self.flush = None;
        self.replica = None;
        self.home.borrow_mut().begin_anew();
        self.generation += 1;
        self.reopen()
    }

    /// True when the suffix could be cut away.
    fn cut_after(&mut self, why: Divergence, wall_ms: u64) -> Result<bool, ReplicaError> {
        let Divergence::Ahead { durable } = why else { return Ok(false) };
        self.flush = None;
        match self.present()?.engine_mut().cut_after(durable, wall_ms) {
            Ok(()) => Ok(true),
            Err(CutError::BelowCheckpoint { .. } | CutError::Transactions) => Ok(false),
            Err(CutError::Log(error)) => Err(ReplicaError::Cut(error)),
            Err(_) => Err(ReplicaError::InUse),
        }
    }
}

impl Replica for FleetReplica {
    fn end(&self) -> Result<LogEnd, ReplicaError> {
        let replica = self.replica.as_ref().ok_or(ReplicaError::Closed)?;
        let mut end = replica.end()?;
        if self.plant == Some(Plant::CursorPlusOne) && end.cursor.lsn > unison_base::Lsn::ZERO {
            end.cursor.lsn = end.cursor.lsn.next();
        }
        Ok(end)
    }

    fn adopt(&mut self, log: LogId) -> Result<(), ReplicaError> {
        self.present()?.adopt(log)?;
        self.log_id = log;
        Ok(())
    }

    /// A run that finds memory full waits for a flush, as on every platform.
    fn apply(&mut self, run: RunRange, frames: &[u8], wall_ms: u64) -> Result<(), ReplicaError> {
        match self.present()?.apply(run, frames, wall_ms) {
            Err(ReplicaError::Apply(ApplyError::Busy(_))) if self.begin_flush() => {
                self.finish_flush();
                self.present()?.apply(run, frames, wall_ms)
            }
            applied => applied,
        }
    }

    fn seal(&mut self, seal: SealRange, wall_ms: u64) -> Result<(), ReplicaError> {
        self.present()?.seal(seal, wall_ms)
    }

    fn commit(&mut self) -> Result<Progress, ReplicaError> {
        self.present()?.commit()
    }

    fn set_aside(&mut self, why: Divergence, wall_ms: u64) -> Result<LogEnd, ReplicaError> {
        self.cuts = true;
        if !self.cut_after(why, wall_ms)? {
            self.start_over()?;
        }
        if self.home.borrow().disk.is_off() {
            return Err(ReplicaError::Io(IoError::Device(crate::disk::POWER_IS_OFF)));
        }
        self.end()
    }
}

fn random_id(prng: &mut Prng) -> LogId {
    let mut id = LogId::default();
    prng.fill(&mut id.0);
    id
}
