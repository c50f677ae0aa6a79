//! From one segment to the next, which is made, reserved and synced ahead on any thread.

use crate::error::AppendError;
use crate::index::SparseIndex;
use crate::layout::{FIRST_FRAME, SegmentHeader};
use crate::log::{Active, Log};
use crate::options::LogRole;
use crate::survey::Island;
use crate::table::{Extent, ExtentSource, Segment};
use crate::tail;
use alloc::sync::Arc;
use unison_base::atomic::{AtomicU8, Ordering};
use unison_base::{Lsn, SegmentId};
use unison_ports::{IoError, SegmentFile, SegmentKind, SegmentStore};

/// Segments behind the newest one that keep their index in memory.
const INDEXED_SEGMENTS: usize = 64;

const IDLE: u8 = 0;
const HANDED_OUT: u8 = 1;
const RUNNING: u8 = 2;
const CANCELLED: u8 = 3;
const FAILED: u8 = 4;

/// The work of making the next segment. May run on any thread, while the log goes on.
#[derive(Debug)]
pub struct Preparation<S: SegmentStore> {
    store: Arc<S>,
    id: SegmentId,
    size: u64,
    now_ns: u64,
    claim: Arc<AtomicU8>,
}

/// A segment that is made, reserved and synced, and holds nothing.
pub struct Prepared<S: SegmentStore> {
    id: SegmentId,
    size: u64,
    header: SegmentHeader,
    file: Arc<S::File>,
    dirty_to: u64,
    claim: Arc<AtomicU8>,
}

impl<S: SegmentStore> Preparation<S> {
    /// Makes the segment.
    ///
    /// # Errors
    /// The medium fails, or has no room; [`IoError::Exists`] when the log did not wait for it.
    pub fn run(self) -> Result<Prepared<S>, IoError> {
        let begin = (Ordering::AcqRel, Ordering::Acquire);
        if self.claim.compare_exchange(HANDED_OUT, RUNNING, begin.0, begin.1).is_err() {
            return Err(IoError::Exists);
        }
        let claim = Arc::clone(&self.claim);
        self.make().inspect_err(|_| claim.store(FAILED, Ordering::Release))
    }

    fn make(self) -> Result<Prepared<S>, IoError> {
        let header = SegmentHeader::empty(self.now_ns);
        let file = tail::create(&*self.store, self.id, self.size, &header)?;
        let (id, size, claim) = (self.id, self.size, self.claim);
        Ok(Prepared { id, size, header, file: Arc::new(file), dirty_to: 0, claim })
    }
}

impl<S: SegmentStore> Prepared<S> {
    /// A segment without records that was there when the log was opened. Up to `dirty_to` it may
    /// hold what is left of a write.
    pub(crate) fn found(
        id: SegmentId,
        header: SegmentHeader,
        file: Arc<S::File>,
        dirty_to: u64,
    ) -> Self {
        Self { id, size: file.size(), header, file, dirty_to, claim: Arc::default() }
    }

    pub(crate) fn into_active(self, first: Lsn) -> Active<S> {
        let file = Some(Arc::clone(&self.file));
        let segment = Segment::new(self.id, SegmentKind::Log, self.size, file);
        let island =
            Island { start: FIRST_FRAME, end: FIRST_FRAME, first, count: 0, anchored: true };
        let source = ExtentSource {
            island,
            sealed: false,
            damaged: false,
            created_ns: self.header.created_ns,
            modified_ns: self.header.modified_ns,
            index: Some(SparseIndex::new(self.size)),
        };
        let extent = Extent::new(segment, source);
        Active { extent, file: self.file, dirty_to: self.dirty_to, header: Some(self.header) }
    }
}

impl<S: SegmentStore> core::fmt::Debug for Prepared<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Prepared").field("id", &self.id).field("size", &self.size).finish()
    }
}

/// The segment that follows the active one, as far as it exists.
#[derive(Debug)]
pub(crate) struct Next<S: SegmentStore> {
    ready: Option<Prepared<S>>,
    claim: Arc<AtomicU8>,
}

impl<S: SegmentStore> Default for Next<S> {
    fn default() -> Self {
        Self { ready: None, claim: Arc::default() }
    }
}

impl<S: SegmentStore> Next<S> {
    pub(crate) fn ready(prepared: Prepared<S>) -> Self {
        Self { ready: Some(prepared), claim: Arc::default() }
    }

    pub(crate) fn size(&self) -> Option<u64> {
        self.ready.as_ref().map(|prepared| prepared.size)
    }
}

impl<S: SegmentStore> Log<S> {
    /// The work of making the next segment, when one is wanted and none is ready or being made. The
    /// result goes to [`install`](Self::install). A leader wants one when its segment is half full.
    #[must_use]
    pub fn preparation(&self) -> Option<Preparation<S>> {
        let extent = &self.active.as_ref()?.extent;
        let wanted = self.options.role == LogRole::Leader
            && !self.poisoned
            && self.next.ready.is_none()
            && extent.end() >= extent.segment.size / 2;
        if !wanted {
            return None;
        }
        let order = (Ordering::AcqRel, Ordering::Acquire);
        self.next.claim.compare_exchange(IDLE, HANDED_OUT, order.0, order.1).ok()?;
        Some(self.prepare(self.last_id.next(), self.options.segment_bytes, self.now_ns))
    }

    fn prepare(&self, id: SegmentId, size: u64, now_ns: u64) -> Preparation<S> {
        let (store, claim) = (Arc::clone(&self.shared.store), Arc::clone(&self.next.claim));
        Preparation { store, id, size, now_ns, claim }
    }

    /// Takes the result of a [`Preparation`], which has to come here whatever it is: the log waits
    /// for it. One that the log has turned away from is removed again; one that failed may be asked
    /// for again.
    pub fn install(&mut self, prepared: Result<Prepared<S>, IoError>) {
        match prepared {
            Ok(prepared) if Arc::ptr_eq(&prepared.claim, &self.next.claim) => {
                self.next = Next::ready(prepared);
            }
            Ok(late) => {
                // It holds no record; if it cannot go now, recovery passes over it.
                let _ = self.shared.store.remove(late.id, SegmentKind::Log);
            }
            Err(_) if self.next.claim.load(Ordering::Acquire) == FAILED => {
                self.next.claim = Arc::default();
            }
            Err(_) => {}
        }
    }

    /// Seals the active segment and begins the next one, which is made now if none is ready.
    ///
    /// # Errors
    /// The medium fails or has no room, or the next segment is being made on another thread: the
    /// active segment stays the one it is.
    pub fn rotate(&mut self, now_ns: u64) -> Result<(), AppendError> {
        self.writable()?;
        if self.has_staged() {
            return Err(AppendError::Staged);
        }
        self.now_ns = now_ns;
        let unused = |active: &Active<S>| {
            active.extent.count() == 0 && active.extent.segment.size >= self.options.segment_bytes
        };
        if self.active.as_ref().is_some_and(unused) {
            return Ok(());
        }
        let prepared = self.take_next(now_ns)?;
        if let Err(error) = self.seal_active(now_ns) {
            self.next = Next::ready(prepared);
            return Err(error);
        }
        self.activate(prepared, self.appended().next());
        self.bound_indexes();
        Ok(())
    }

    /// The next segment: the one that is ready, or a new one.
    pub(crate) fn take_next(&mut self, now_ns: u64) -> Result<Prepared<S>, AppendError> {
        if let Some(prepared) = self.next.ready.take() {
            return Ok(prepared);
        }
        if !self.withdraw_claim() {
            return Err(AppendError::NextSegmentPending);
        }
        let id = self.last_id.next();
        if id == self.last_id {
            return Err(AppendError::SegmentIds);
        }
        self.next.claim.store(HANDED_OUT, Ordering::Release);
        let made = self.prepare(id, self.options.segment_bytes, now_ns).run();
        self.next.claim = Arc::default();
        Ok(made?)
    }

    /// Calls off a preparation that has not begun. False when one runs: it has the number that comes
    /// next, and numbers have no gaps.
    fn withdraw_claim(&mut self) -> bool {
        let order = (Ordering::AcqRel, Ordering::Acquire);
        let withdrawn = self.next.claim.compare_exchange(HANDED_OUT, CANCELLED, order.0, order.1);
        if withdrawn == Err(RUNNING) {
            return false;
        }
        self.next.claim = Arc::default();
        true
    }

    pub(crate) fn bound_indexes(&self) {
        self.shared.table.with(|table| {
            let old = table.extents.len().checked_sub(INDEXED_SEGMENTS + 1);
            if let Some(extent) = old.and_then(|old| table.extents.get(old)) {
                extent.drop_index();
            }
        });
    }

    /// Makes the segment that a leader names.
    pub(crate) fn make_segment(&self, id: SegmentId, size: u64) -> Result<Prepared<S>, IoError> {
        let mut preparation = self.prepare(id, size, self.now_ns);
        preparation.claim = Arc::new(AtomicU8::new(HANDED_OUT));
        preparation.run()
    }
}
