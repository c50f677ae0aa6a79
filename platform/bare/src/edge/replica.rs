//! A namespace on its volume, as a replica of the link: one engine that is opened anew whenever it
//! can no longer be trusted.

use super::event::{Event, OpenFailure};
use super::memory::Heap;
use super::namespaces::Namespace;
use crate::block::BlockDevice;
use crate::medium::{BlockStore, TreeOpenError, Volume};
use alloc::sync::Arc;
use alloc::vec::Vec;
use unison_base::{LogId, Lsn, SegmentId};
use unison_engine::{
    ApplyError, CutError, Engine, EngineOpenError, EngineOptions, FlushError, FlushJob, OpenReport,
    Pressure, TreeError,
};
use unison_link::{Divergence, LogEnd, RunRange, SealRange};
use unison_node::{Progress, Replica, ReplicaError, end_of_log, run_header};
use unison_ports::{IoError, SegmentKind, SegmentStore};
use unison_walfs::RungCounts;

/// Page cache of a tree, bytes.
const TREE_CACHE_BYTES: usize = 512 << 10;

type Store<D> = BlockStore<D>;

/// One followed namespace. Without an engine while it cannot be opened.
pub(crate) struct VolumeReplica<D: BlockDevice> {
    namespace: Arc<Namespace<Store<D>>>,
    volume: Volume<D>,
    options: EngineOptions,
    heap: Heap,
    engine: Option<Engine<Store<D>>>,
    log_id: LogId,
    /// The tree may be what made earlier runs end: it is made anew before it is looked at.
    doubts_tree: bool,
    /// The tree has no room: memory is kept and nothing is flushed.
    tree_full: bool,
    /// A flush has succeeded since it was opened.
    has_flushed: bool,
    /// The run that came last is not taken to its end.
    has_more: bool,
    /// Why flushes have failed since one succeeded.
    flush_error: Option<FlushError>,
    /// What the newest opening found.
    rungs: RungCounts,
    news: Vec<Event>,
}

impl<D: BlockDevice> VolumeReplica<D> {
    pub(crate) fn new(
        namespace: Arc<Namespace<Store<D>>>,
        volume: Volume<D>,
        options: EngineOptions,
        doubts_tree: bool,
        heap: &Heap,
    ) -> Self {
        Self {
            namespace,
            volume,
            options,
            heap: heap.clone(),
            engine: None,
            log_id: LogId::default(),
            doubts_tree,
            tree_full: false,
            has_flushed: false,
            has_more: false,
            flush_error: None,
            rungs: RungCounts::default(),
            news: Vec::new(),
        }
    }

    pub(crate) fn engine(&self) -> Option<&Engine<Store<D>>> {
        self.engine.as_ref()
    }

    pub(crate) fn volume(&self) -> &Volume<D> {
        &self.volume
    }

    /// Takes the same volume of a disk that was opened again.
    pub(crate) fn set_volume(&mut self, volume: Volume<D>) {
        self.close();
        self.volume = volume;
    }

    pub(crate) fn log_id(&self) -> LogId {
        self.log_id
    }

    pub(crate) const fn rungs(&self) -> &RungCounts {
        &self.rungs
    }

    /// Whether a flush has succeeded since it was opened.
    pub(crate) fn has_flushed(&self) -> bool {
        self.has_flushed
    }

    pub(crate) fn is_tree_full(&self) -> bool {
        self.tree_full
    }

    /// What happened since this was last asked.
    pub(crate) fn news(&mut self) -> Vec<Event> {
        core::mem::take(&mut self.news)
    }

    /// Lets go of the engine: readers find the namespace closed until it is opened again.
    pub(crate) fn close(&mut self) {
        self.namespace.set_reader(None);
        self.engine = None;
    }

    /// Opens log and tree. The tree only says where the log has what: one that is damaged is made
    /// anew, as long as the log still has everything.
    pub(crate) fn open(&mut self, wall_ms: u64) -> Result<(), OpenFailure> {
        self.close();
        self.has_flushed = false;
        if self.doubts_tree && self.log_suffices()? {
            self.make_tree_anew()?;
        }
        self.doubts_tree = false;
        let report = match self.open_engine(wall_ms) {
            Err(failure) if is_tree_damage(&failure) && self.log_suffices()? => {
                self.make_tree_anew()?;
                self.open_engine(wall_ms)?
            }
            Err(failure) if self.is_out_of_tree(&failure) => {
                self.tree_is_full();
                self.open_engine(wall_ms)?
            }
            opened => opened?,
        };
        self.found(report.recovery.rungs);
        let Some(engine) = &self.engine else { return Ok(()) };
        let (applied, replayed) = (engine.applied(), report.replayed);
        self.namespace.set_reader(Some(engine.reader()));
        self.tell(|name| Event::NamespaceOpened { name, applied, replayed });
        Ok(())
    }

    fn make_tree_anew(&mut self) -> Result<(), OpenFailure> {
        self.volume.discard_tree().map_err(OpenFailure::Io)?;
        self.tell(|name| Event::TreeMadeAnew { name });
        Ok(())
    }

    /// Tells of damage. What a power cut leaves is none.
    fn found(&mut self, rungs: RungCounts) {
        self.rungs = rungs;
        let (segments, lost_tails, gaps) = (rungs.rot_segments, rungs.lost_tails, rungs.gaps);
        if segments > 0 || lost_tails > 0 || gaps > 0 {
            self.tell(|name| Event::DamageFound { name, segments, lost_tails, gaps });
        }
        if rungs.unproved_holes > 0 {
            self.tell(|name| Event::HoleFound { name });
        }
    }

    fn open_engine(&mut self, wall_ms: u64) -> Result<OpenReport, OpenFailure> {
        let tree = self.volume.open_tree(TREE_CACHE_BYTES).map_err(OpenFailure::Tree)?;
        let segments = self.volume.segments();
        self.log_id = segments.log_id().map_err(OpenFailure::Io)?.unwrap_or_default();
        let opened = Engine::open(segments, tree, self.engine_options(), wall_ms);
        let (engine, report) = opened.map_err(OpenFailure::Engine)?;
        self.engine = Some(engine);
        Ok(report)
    }

    /// Without room in the tree all that it lacks stays in memory, as it was before; nothing comes
    /// to it.
    fn engine_options(&self) -> EngineOptions {
        if !self.tree_full {
            return self.options;
        }
        let (memtable_bytes, checkpoint_log_bytes) = (usize::MAX, u64::MAX);
        EngineOptions { memtable_bytes, checkpoint_log_bytes, ..self.options }
    }

    /// Whether the log alone can make the tree: it begins with its first segment, so that nothing of
    /// it has left, or it is empty and the hub has all of it.
    fn log_suffices(&self) -> Result<bool, OpenFailure> {
        let (mut begins, mut empty) = (false, true);
        let listed = self.volume.segments().list(&mut |entry| {
            empty &= entry.kind == SegmentKind::Aside;
            begins |= entry.id == SegmentId::FIRST && entry.kind == SegmentKind::Log;
        });
        listed.map(|()| begins || empty).map_err(OpenFailure::Io)
    }

    fn is_out_of_tree(&self, failure: &OpenFailure) -> bool {
        let flushing = matches!(failure, OpenFailure::Engine(EngineOpenError::Flush(_)));
        flushing && !self.tree_full && self.volume.tree_failure() == Some(IoError::NoSpace)
    }

    fn tree_is_full(&mut self) {
        self.tree_full = true;
        self.tell(|name| Event::TreeFull { name });
    }

    fn tell(&mut self, event: impl FnOnce(unison_base::NamespaceName) -> Event) {
        self.news.push(event(self.namespace.name().clone()));
    }

    fn opened(&mut self) -> Result<&mut Engine<Store<D>>, ReplicaError> {
        self.engine.as_mut().ok_or(ReplicaError::Closed)
    }

    /// Runs one due flush. False when the engine can no longer be used and has been let go.
    pub(crate) fn flush_if_due(&mut self, wall_ms: u64) -> bool {
        if self.tree_full {
            return true;
        }
        let Some(engine) = &mut self.engine else { return false };
        engine.free_expired(wall_ms);
        if engine.pressure() == Pressure::None && !engine.has_more_to_remove() {
            return true;
        }
        let job = engine.flush_job();
        self.run_flush(job)
    }

    fn run_flush(&mut self, job: Option<FlushJob<Store<D>>>) -> bool {
        let (Some(engine), Some(job)) = (&mut self.engine, job) else { return true };
        match engine.flushed(job.run()) {
            Ok(released) => {
                drop(released);
                (self.has_flushed, self.flush_error) = (true, None);
                true
            }
            Err(error) => {
                self.flush_failed(error);
                false
            }
        }
    }

    /// Runs one flush, due or not; says whether it made room.
    fn makes_room(&mut self) -> bool {
        let flushes = |replica: &Self| replica.engine.as_ref().map(|it| it.stats().flushes);
        let before = flushes(self);
        let job = self.engine.as_mut().and_then(Engine::flush_now);
        self.run_flush(job) && flushes(self) > before
    }

    /// A tree that failed in the middle serves nothing before it is opened again.
    fn flush_failed(&mut self, error: FlushError) {
        if self.volume.tree_failure() == Some(IoError::NoSpace) {
            self.tree_is_full();
        } else if self.flush_error.replace(error) != Some(error) {
            self.tell(|name| Event::FlushFailed { name, error });
        }
        self.close();
    }

    /// Puts everything aside, the newest segment first: whatever a power cut leaves of the log is a
    /// beginning of it. The tree goes before, for it points into the log.
    fn start_over(&mut self, wall_ms: u64) -> Result<(), ReplicaError> {
        self.close();
        self.volume.discard_tree()?;
        self.tree_full = false;
        let segments = self.volume.segments();
        let mut present = Vec::new();
        segments.list(&mut |entry| present.push((entry.id, entry.kind)))?;
        present.retain(|(_, kind)| *kind != SegmentKind::Aside);
        present.sort_unstable_by(|one, other| other.cmp(one));
        for (id, kind) in present {
            segments.set_kind(id, kind, SegmentKind::Aside)?;
        }
        drop(segments);
        self.open(wall_ms).map_err(replica_error)
    }

    /// True when the log now ends at `keep`; false when the tree holds more than that.
    fn cut_after(&mut self, keep: Lsn, wall_ms: u64) -> Result<bool, ReplicaError> {
        match self.opened()?.cut_after(keep, wall_ms) {
            Ok(()) => Ok(true),
            Err(CutError::BelowCheckpoint { .. } | CutError::Transactions) => Ok(false),
            Err(CutError::Log(error)) => Err(ReplicaError::Cut(error)),
            Err(_) => Err(ReplicaError::InUse),
        }
    }
}

impl<D: BlockDevice> Replica for VolumeReplica<D> {
    fn end(&self) -> Result<LogEnd, ReplicaError> {
        end_of_log(self.engine.as_ref().ok_or(ReplicaError::Closed)?, self.log_id)
    }

    fn adopt(&mut self, log: LogId) -> Result<(), ReplicaError> {
        if self.log_id != log {
            self.volume.segments().set_log_id(log)?;
            self.log_id = log;
        }
        Ok(())
    }

    fn apply(&mut self, run: RunRange, frames: &[u8], wall_ms: u64) -> Result<(), ReplicaError> {
        if self.tree_full {
            return Err(ReplicaError::Io(IoError::NoSpace));
        }
        self.has_more = false;
        let room = self.heap.index_room();
        let engine = self.opened()?;
        engine.set_index_room(room);
        match engine.apply_run(run_header(&run), frames, wall_ms) {
            // A run of very wide rows is taken in parts, with a flush between them; everybody waits for
            // a flush, so there is one at a time.
            Err(ApplyError::Busy(_) | ApplyError::Memory { .. }) if self.makes_room() => {
                self.has_more = true;
                Ok(())
            }
            taken => Ok(taken.map(drop)?),
        }
    }

    fn has_more(&self) -> bool {
        self.has_more
    }

    fn seal(&mut self, seal: SealRange, wall_ms: u64) -> Result<(), ReplicaError> {
        let (segment, offset) = (seal.segment, seal.offset);
        Ok(self.opened()?.seal_at(segment, offset, seal.next_segment_bytes, wall_ms)?)
    }

    fn commit(&mut self) -> Result<Progress, ReplicaError> {
        let engine = self.opened()?;
        let outcome = engine.sync_ticket().run();
        let durable = engine.synced(outcome)?;
        engine.publish(durable);
        Ok(Progress { durable, applied: engine.applied() })
    }

    fn set_aside(&mut self, why: Divergence, wall_ms: u64) -> Result<LogEnd, ReplicaError> {
        let kept = match why {
            Divergence::Ahead { durable } => self.cut_after(durable, wall_ms)?,
            Divergence::Log | Divergence::Frame => false,
        };
        if !kept {
            self.start_over(wall_ms)?;
        }
        self.end()
    }
}

/// Whether the tree does not hold what it should.
fn is_tree_damage(failure: &OpenFailure) -> bool {
    match failure {
        OpenFailure::Tree(error) => *error == TreeOpenError::Damaged,
        OpenFailure::Engine(error) => matches!(
            error,
            EngineOpenError::Tree(TreeError::Corrupt { .. } | TreeError::Foreign)
                | EngineOpenError::TreeOfAnotherLog { .. }
        ),
        _ => false,
    }
}

fn replica_error(failure: OpenFailure) -> ReplicaError {
    match failure {
        OpenFailure::Io(error) => ReplicaError::Io(error),
        _ => ReplicaError::InUse,
    }
}

impl<D: BlockDevice> core::fmt::Debug for VolumeReplica<D> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("VolumeReplica").field("name", self.namespace.name()).finish_non_exhaustive()
    }
}
