//! What readers share with the writer: the segments, and how far the log reaches.

use crate::index::SparseIndex;
use crate::layout::USABLE_BYTES_MAX;
use crate::run::frame_bytes_at;
use crate::survey::Island;
use alloc::sync::Arc;
use alloc::vec::Vec;
use unison_base::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use unison_base::{Lsn, Position, Published, SegmentId};
use unison_ports::{IoError, SegmentKind, SegmentStore};

/// One segment file. Its handle is opened when it is first needed, so that idle segments cost none.
pub(crate) struct Segment<S: SegmentStore> {
    pub(crate) id: SegmentId,
    pub(crate) size: u64,
    kind: AtomicU8,
    file: Published<Option<Arc<S::File>>>,
}

impl<S: SegmentStore> Segment<S> {
    /// Bytes that header and frames may take.
    pub(crate) fn usable_bytes(&self) -> u64 {
        self.size.min(USABLE_BYTES_MAX)
    }

    pub(crate) fn new(
        id: SegmentId,
        kind: SegmentKind,
        size: u64,
        file: Option<Arc<S::File>>,
    ) -> Arc<Self> {
        let kind = AtomicU8::new(kind_code(kind));
        Arc::new(Self { id, size, kind, file: Published::new(file) })
    }

    pub(crate) fn kind(&self) -> SegmentKind {
        match self.kind.load(Ordering::Acquire) {
            0 => SegmentKind::Log,
            1 => SegmentKind::Values,
            _ => SegmentKind::Aside,
        }
    }

    pub(crate) fn set_kind(&self, kind: SegmentKind) {
        self.kind.store(kind_code(kind), Ordering::Release);
    }

    /// The open handle. The role may change on the medium between the look and the open, so a
    /// segment that is not found is looked for once more.
    pub(crate) fn file(&self, store: &S) -> Result<Arc<S::File>, IoError> {
        if let Some(file) = self.file.with(Clone::clone) {
            return Ok(file);
        }
        let opened = match store.open(self.id, self.kind()) {
            Err(IoError::NotFound) => store.open(self.id, self.kind()),
            other => other,
        };
        let file = Arc::new(opened?);
        self.file.store(Arc::new(Some(Arc::clone(&file))));
        Ok(file)
    }

    /// Lets the handle go; whoever uses it keeps it, and the next read opens it again.
    pub(crate) fn rest(&self) {
        self.file.store(Arc::new(None));
    }
}

const fn kind_code(kind: SegmentKind) -> u8 {
    match kind {
        SegmentKind::Log => 0,
        SegmentKind::Values => 1,
        SegmentKind::Aside => 2,
    }
}

/// A dense run of sound frames within one segment. A whole segment has one; a damaged one has one
/// for each part that is proved.
pub(crate) struct Extent<S: SegmentStore> {
    pub(crate) segment: Arc<Segment<S>>,
    pub(crate) start: u64,
    pub(crate) first: Lsn,
    pub(crate) created_ns: u64,
    pub(crate) damaged: bool,
    end: AtomicU64,
    count: AtomicU64,
    sealed: AtomicBool,
    modified_ns: AtomicU64,
    pins: AtomicUsize,
    index: Published<Option<SparseIndex>>,
}

/// What an extent is made from.
pub(crate) struct ExtentSource {
    pub(crate) island: Island,
    pub(crate) sealed: bool,
    pub(crate) damaged: bool,
    pub(crate) created_ns: u64,
    pub(crate) modified_ns: u64,
    pub(crate) index: Option<SparseIndex>,
}

impl<S: SegmentStore> Extent<S> {
    pub(crate) fn new(segment: Arc<Segment<S>>, source: ExtentSource) -> Arc<Self> {
        let island = source.island;
        Arc::new(Self {
            segment,
            start: island.start,
            first: island.first,
            created_ns: source.created_ns,
            damaged: source.damaged,
            end: AtomicU64::new(island.end),
            count: AtomicU64::new(island.count),
            sealed: AtomicBool::new(source.sealed),
            modified_ns: AtomicU64::new(source.modified_ns),
            pins: AtomicUsize::new(0),
            index: Published::new(source.index),
        })
    }

    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// LSN of the last record, or of the one before the first while there is none.
    pub(crate) fn last(&self) -> Lsn {
        self.first.plus(self.count()).prev()
    }

    pub(crate) fn is_sealed(&self) -> bool {
        self.sealed.load(Ordering::Acquire)
    }

    pub(crate) fn seal(&self, now_ns: u64) {
        self.modified_ns.store(now_ns, Ordering::Relaxed);
        self.sealed.store(true, Ordering::Release);
    }

    pub(crate) fn modified_ns(&self) -> u64 {
        self.modified_ns.load(Ordering::Relaxed)
    }

    /// Lets readers see `count` more frames, which end at `end`.
    pub(crate) fn publish(&self, count: u64, end: u64) {
        self.end.store(end, Ordering::Release);
        self.count.store(self.count() + count, Ordering::Release);
    }

    /// Notes frames that are about to be published, in the index.
    pub(crate) fn note_frames(&self, mut frames: &[u8]) {
        self.index.with(|index| {
            let Some(index) = index else { return };
            let (mut ordinal, mut offset) = (self.count(), self.end());
            while let Some(bytes) = frame_bytes_at(frames) {
                index.note(ordinal, offset);
                (ordinal, offset) = (ordinal + 1, offset.saturating_add(bytes as u64));
                frames = frames.get(bytes..).unwrap_or_default();
            }
        });
    }

    pub(crate) fn drop_index(&self) {
        self.index.store(Arc::new(None));
    }

    /// The nearest known frame at or before `ordinal`: its ordinal and offset.
    pub(crate) fn nearest(&self, ordinal: u64) -> (u64, u64) {
        let noted = self.index.with(|index| index.as_ref().and_then(|index| index.before(ordinal)));
        noted.unwrap_or((0, self.start))
    }

    pub(crate) fn position(&self, offset: u64) -> Position {
        Position { segment: self.segment.id, offset: u32::try_from(offset).unwrap_or(u32::MAX) }
    }

    /// A sealed segment that nobody reads any more gives its handle back: a cursor may pass more
    /// segments than a process may open.
    pub(crate) fn rest_if_idle(&self) {
        if self.is_sealed() && !self.is_pinned() {
            self.segment.rest();
        }
    }

    pub(crate) fn is_pinned(&self) -> bool {
        self.pins.load(Ordering::Acquire) > 0
    }
}

/// Keeps retention away from an extent, and its file open.
pub(crate) struct Pin<S: SegmentStore> {
    pub(crate) extent: Arc<Extent<S>>,
    pub(crate) file: Arc<S::File>,
}

impl<S: SegmentStore> Pin<S> {
    /// Even if retention came first, the open handle stays readable.
    pub(crate) fn new(extent: Arc<Extent<S>>, store: &S) -> Result<Self, IoError> {
        extent.pins.fetch_add(1, Ordering::AcqRel);
        match extent.segment.file(store) {
            Ok(file) => Ok(Self { extent, file }),
            Err(error) => {
                extent.pins.fetch_sub(1, Ordering::AcqRel);
                Err(error)
            }
        }
    }
}

impl<S: SegmentStore> Drop for Pin<S> {
    fn drop(&mut self) {
        self.extent.pins.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The segments at one moment. Replaced as a whole, so a reader sees one state.
pub(crate) struct Table<S: SegmentStore> {
    /// By first LSN, and so by segment.
    pub(crate) extents: Vec<Arc<Extent<S>>>,
    /// By segment.
    pub(crate) values: Vec<Arc<Segment<S>>>,
    /// By segment.
    pub(crate) aside: Vec<Arc<Segment<S>>>,
}

impl<S: SegmentStore> Clone for Table<S> {
    fn clone(&self) -> Self {
        Self {
            extents: self.extents.clone(),
            values: self.values.clone(),
            aside: self.aside.clone(),
        }
    }
}

impl<S: SegmentStore> Table<S> {
    pub(crate) const fn empty() -> Self {
        Self { extents: Vec::new(), values: Vec::new(), aside: Vec::new() }
    }

    /// The last extent that begins at or before `lsn`, and the one behind it.
    pub(crate) fn around(&self, lsn: Lsn) -> (Neighbour<'_, S>, Neighbour<'_, S>) {
        let behind = self.extents.partition_point(|extent| extent.first <= lsn);
        let at = behind.checked_sub(1).and_then(|at| self.extents.get(at));
        (at, self.extents.get(behind))
    }

    pub(crate) fn log_segment(&self, id: SegmentId) -> Option<&Arc<Extent<S>>> {
        let behind = self.extents.partition_point(|extent| extent.segment.id <= id);
        let extent = behind.checked_sub(1).and_then(|at| self.extents.get(at))?;
        (extent.segment.id == id).then_some(extent)
    }

    /// Segments of that number that hold `end` bytes, the log's own first.
    pub(crate) fn holding(&self, id: SegmentId, end: u64) -> Option<&Arc<Segment<S>>> {
        let log = self.log_segment(id).filter(|extent| extent.damaged || end <= extent.end());
        let log = log.map(|extent| &extent.segment).filter(|segment| end <= segment.size);
        log.or_else(|| find(&self.values, id, end)).or_else(|| find(&self.aside, id, end))
    }

    /// Adds a segment that was set aside, as the one that answers to its number.
    pub(crate) fn add_aside(&mut self, segment: Arc<Segment<S>>) {
        add(&mut self.aside, segment);
    }

    pub(crate) fn add_values(&mut self, segment: Arc<Segment<S>>) {
        add(&mut self.values, segment);
    }

    /// Oldest record's LSN, if any extent has or will have one.
    pub(crate) fn first(&self) -> Option<Lsn> {
        self.extents.first().map(|extent| extent.first)
    }
}

type Neighbour<'a, S> = Option<&'a Arc<Extent<S>>>;

fn find<S: SegmentStore>(
    segments: &[Arc<Segment<S>>],
    id: SegmentId,
    end: u64,
) -> Option<&Arc<Segment<S>>> {
    let at = segments.binary_search_by_key(&id, |segment| segment.id).ok()?;
    segments.get(at).filter(|segment| end <= segment.size)
}

fn add<S: SegmentStore>(segments: &mut Vec<Arc<Segment<S>>>, segment: Arc<Segment<S>>) {
    match segments.binary_search_by_key(&segment.id, |known| known.id) {
        Ok(at) => segments.splice(at..=at, [segment]).for_each(drop),
        Err(at) => segments.insert(at, segment),
    }
}

/// What the writer and all readers of one log share.
pub(crate) struct Shared<S: SegmentStore> {
    pub(crate) store: Arc<S>,
    pub(crate) table: Published<Table<S>>,
    pub(crate) appended: AtomicU64,
    pub(crate) durable: AtomicU64,
    /// Counts cuts: a cursor that saw another number finds its place anew.
    pub(crate) cuts: AtomicU64,
}

impl<S: SegmentStore> Shared<S> {
    pub(crate) fn appended(&self) -> Lsn {
        Lsn(self.appended.load(Ordering::Acquire))
    }

    pub(crate) fn durable(&self) -> Lsn {
        Lsn(self.durable.load(Ordering::Acquire))
    }

    pub(crate) fn first(&self) -> Lsn {
        self.table.with(Table::first).unwrap_or_else(|| self.appended().next())
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Table<S>)) {
        let mut table = Table::clone(&self.table.load());
        change(&mut table);
        self.table.store(Arc::new(table));
    }
}
