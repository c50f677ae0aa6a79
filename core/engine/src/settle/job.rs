//! The part of settling that any thread may run.

use crate::apply::values_of;
use crate::engine::Engine;
use crate::errors::{SettleError, TreeError, TreeTable};
use crate::expiry::Expiry;
use crate::memtable::Location;
use crate::models::row::{RowKeys, from_log};
use crate::models::topic::key;
use crate::models::{object, successor};
use crate::read::{checked, slice, streams_of};
use crate::records::{Kind, Record, decode, key_values, rows};
use crate::tree::{LiveBytes, Tree, TreeEntry, TreeRange, TreeValue, TreeView, TreeWrite};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Bound;
use unison_base::frame::{HEADER_BYTES, frame_bytes, peek_payload_bytes, read_frame};
use unison_base::{Lsn, SegmentId};
use unison_ports::SegmentStore;
use unison_walfs::{LogReader, Slice};

/// Bytes of a segment's header.
const FIRST_FRAME: u32 = 64;
/// Bytes of a frame before its payload.
const PAYLOAD_AT: u32 = 8;
const _: () = assert!(PAYLOAD_AT as usize == HEADER_BYTES);

/// Copies what is live in one segment into the tree, as much as one job may.
pub struct SettleJob<S: SegmentStore> {
    tree: Tree,
    log: LogReader<S>,
    segment: SegmentId,
    /// Bytes in it that the tree points to.
    live_bytes: u64,
    budget: u64,
    token: Arc<()>,
}

/// What became of a settling; [`Engine::settled`] wants it.
#[must_use = "the engine must be told"]
pub struct SettleResult<S: SegmentStore> {
    pub(super) segment: SegmentId,
    pub(super) settled: Result<Settled, SettleError>,
    _token: Arc<()>,
    _store: core::marker::PhantomData<fn() -> S>,
}

/// A committed settling.
pub(super) struct Settled {
    pub(super) view: TreeView,
    pub(super) live: LiveBytes,
    pub(super) values: u64,
}

/// Live values in key order, as many as the budget holds: key -> what the tree says.
#[derive(Default)]
struct Batch {
    values: BTreeMap<Vec<u8>, Live>,
    bytes: u64,
    /// Bytes of values that were found, those that left again counted too.
    found: u64,
}

/// Objects and streams of which all that lies in the segment has been found.
#[derive(Default)]
struct Seen {
    objects: BTreeSet<Vec<u8>>,
    streams: BTreeSet<u64>,
}

/// What the tree says of a value in the log.
#[derive(Clone, Copy)]
struct Live {
    lsn: Lsn,
    expiry: Expiry,
    location: Location,
}

impl Batch {
    /// Adds a value; the highest keys leave again when the budget is passed.
    fn add(&mut self, key: &[u8], live: Live, budget: u64) {
        if self.values.insert(key.into(), live).is_some() {
            return;
        }
        self.found = self.found.saturating_add(u64::from(live.location.length));
        self.bytes = self.bytes.saturating_add(cost(key, &live.location));
        while self.bytes > budget && self.values.len() > 1 {
            if let Some((key, live)) = self.values.pop_last() {
                self.bytes = self.bytes.saturating_sub(cost(&key, &live.location));
            }
        }
    }
}

fn cost(key: &[u8], location: &Location) -> u64 {
    u64::try_from(key.len()).unwrap_or(u64::MAX).saturating_add(u64::from(location.length))
}

impl<S: SegmentStore> SettleJob<S> {
    pub(super) fn new(engine: &Engine<S>, segment: SegmentId, token: Arc<()>) -> Self {
        Self {
            tree: engine.tree.clone(),
            log: engine.log.reader(),
            segment,
            live_bytes: engine.live_bytes(segment),
            budget: engine.options.settle_job_bytes,
            token,
        }
    }

    /// The segment at hand.
    #[must_use]
    pub fn segment(&self) -> SegmentId {
        self.segment
    }

    /// Finds what is live, copies it into the tree in key order, and commits.
    pub fn run(self) -> SettleResult<S> {
        let settled = self.settle();
        let Self { segment, token, .. } = self;
        SettleResult { segment, settled, _token: token, _store: core::marker::PhantomData }
    }

    fn settle(&self) -> Result<Settled, SettleError> {
        let view = self.tree.view()?;
        let batch = self.live_values(&view)?;
        let transaction = self.tree.begin_write()?;
        let mut tree = TreeWrite::new(&transaction)?;
        let values = self.copy(&batch, &mut tree)?;
        let checkpoint = tree.checkpoint()?;
        tree.finish(&checkpoint)?;
        transaction.commit().map_err(TreeError::from)?;
        Ok(Settled { view: self.tree.view()?, live: self.tree.live_bytes()?, values })
    }

    /// Walks the segment's frames.
    fn live_values(&self, view: &TreeView) -> Result<Batch, SettleError> {
        let (mut batch, mut seen) = (Batch::default(), Seen::default());
        let mut offset = FIRST_FRAME;
        while let Some(next) = self.visit(offset, view, &mut batch, &mut seen)? {
            offset = next;
        }
        Ok(batch)
    }

    /// Looks at the frame at `offset`. Returns where the next one starts, or `None` at the end of
    /// what can be read.
    fn visit(
        &self,
        offset: u32,
        view: &TreeView,
        batch: &mut Batch,
        seen: &mut Seen,
    ) -> Result<Option<u32>, SettleError> {
        let Some(bytes) = self.frame_at(offset) else { return Ok(None) };
        let Ok(frame) = read_frame(&bytes) else { return Ok(None) };
        let next = u32::try_from(frame.frame_bytes).ok().and_then(|size| offset.checked_add(size));
        let Ok(record) = decode(frame.payload) else { return Ok(next) };
        let payload = offset.saturating_add(PAYLOAD_AT);
        if record.kind == Kind::Put {
            for entry in key_values(&record) {
                let at = payload.saturating_add(entry.span.offset);
                self.visit_value(entry.key, at, view, batch)?;
            }
        }
        if record.kind == Kind::PutChunks {
            for entry in key_values(&record) {
                let Some(object) = object::from_log(entry.key) else { continue };
                if seen.objects.insert(object.into()) {
                    self.visit_object(object, view, batch)?;
                }
            }
        }
        if record.kind == Kind::PutColumns {
            for entry in rows(&record) {
                let Some(mut keys) = from_log(entry.key).map(RowKeys::new) else { continue };
                for (name, _, span) in entry.columns() {
                    let key = keys.cell(name.as_bytes());
                    self.visit_value(key, payload.saturating_add(span.offset), view, batch)?;
                }
            }
        }
        if record.previous().is_some() {
            for stream in streams_of(&record) {
                if seen.streams.insert(stream) {
                    self.visit_stream(stream, &record, view, batch)?;
                }
            }
        }
        for (key, span) in values_of(&record) {
            self.visit_value(&key, payload.saturating_add(span.offset), view, batch)?;
        }
        Ok(next)
    }

    /// Takes the chunks of an object that the tree points to in this segment. The record of a chunk
    /// does not say where in its object it lies.
    fn visit_object(
        &self,
        object: &[u8],
        view: &TreeView,
        batch: &mut Batch,
    ) -> Result<(), SettleError> {
        let head = object::keys(object).head().to_vec();
        let end = successor(&head);
        let range = view.range(Bound::Excluded(&head), Bound::Excluded(&end))?;
        self.visit_range(range, batch)
    }

    /// Takes the messages of a stream that the tree points to in this segment. The record of one in a
    /// transaction does not say which record committed it: any later one.
    fn visit_stream(
        &self,
        stream: u64,
        record: &Record<'_>,
        view: &TreeView,
        batch: &mut Batch,
    ) -> Result<(), SettleError> {
        let first = key::from_record(stream, record.hlc().millis(), record.lsn());
        let end = successor(&key::stream(stream));
        let range = view.range(Bound::Included(&first), Bound::Excluded(&end))?;
        self.visit_range(range, batch)
    }

    /// Takes what the entries point to in this segment, until all that is live in it is found.
    fn visit_range(&self, range: Option<TreeRange>, batch: &mut Batch) -> Result<(), SettleError> {
        let corrupt = TreeError::Corrupt { table: TreeTable::Data };
        for row in range.into_iter().flatten() {
            if batch.found >= self.live_bytes {
                break;
            }
            let (key, entry) = row.map_err(TreeError::from)?;
            let entry = TreeEntry::decode(entry.value()).ok_or(corrupt)?;
            if let TreeValue::InLog(location) = entry.value
                && location.segment == self.segment
            {
                let (lsn, expiry) = (entry.lsn, entry.expiry);
                batch.add(key.value(), Live { lsn, expiry, location }, self.budget);
            }
        }
        Ok(())
    }

    /// Takes a value that the tree points to at this very place.
    fn visit_value(
        &self,
        key: &[u8],
        at: u32,
        view: &TreeView,
        batch: &mut Batch,
    ) -> Result<(), SettleError> {
        let live = view.find(key, |entry| match entry.value {
            TreeValue::InLog(location) => {
                Some(Live { lsn: entry.lsn, expiry: entry.expiry, location })
            }
            TreeValue::Inline(_) => None,
        })?;
        if let Some(live) = live.flatten()
            && (live.location.segment, live.location.offset) == (self.segment, at)
        {
            batch.add(key, live, self.budget);
        }
        Ok(())
    }

    fn frame_at(&self, offset: u32) -> Option<Slice<S>> {
        let head = self.log.bytes(self.segment, offset, PAYLOAD_AT).ok()?;
        let payload = usize::try_from(peek_payload_bytes(&head)?).ok()?;
        let length = u32::try_from(frame_bytes(payload)?).ok()?;
        self.log.bytes(self.segment, offset, length).ok()
    }

    /// Values that cannot be read keep their place, and so their segment.
    fn copy(&self, batch: &Batch, tree: &mut TreeWrite<'_>) -> Result<u64, SettleError> {
        let (mut values, mut failed) = (0_u64, None);
        for (key, &Live { lsn, expiry, location }) in &batch.values {
            let bytes = slice(&self.log, location).and_then(|bytes| checked(location, bytes));
            match bytes {
                Ok(bytes) => {
                    tree.put(key, &TreeEntry { lsn, expiry, value: TreeValue::Inline(&bytes) })?;
                    values = values.saturating_add(1);
                }
                Err(cause) => failed = Some(cause),
            }
        }
        match failed {
            Some(cause) if values == 0 => Err(SettleError::Read { segment: self.segment, cause }),
            _ => Ok(values),
        }
    }
}

impl<S: SegmentStore> fmt::Debug for SettleJob<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SettleJob").field("segment", &self.segment).finish_non_exhaustive()
    }
}

impl<S: SegmentStore> fmt::Debug for SettleResult<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = self.settled.as_ref().err();
        f.debug_struct("SettleResult").field("error", &error).finish_non_exhaustive()
    }
}
