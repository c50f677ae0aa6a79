//! Taking a leader's frames as they are, at the place they have there.

use crate::error::{CutError, ReadError, RunError};
use crate::layout::{FIRST_FRAME, FLAG_ACTIVE, FLAG_DISCARDED, SegmentHeader};
use crate::log::{Active, Log};
use crate::reader::{frame_length, walk};
use crate::rotation::Prepared;
use crate::run::{Fresh, RunHeader};
use crate::table::{Extent, Pin};
use crate::tail;
use crate::window::CHUNK_BYTES;
use alloc::sync::Arc;
use alloc::vec;
use unison_base::atomic::Ordering;
use unison_base::limits::SEGMENT_BYTES_MAX;
use unison_base::{Lsn, SegmentId};
use unison_ports::{IoError, SegmentFile, SegmentKind, SegmentStore};

/// What stays of a segment.
struct Split<S: SegmentStore> {
    extent: Arc<Extent<S>>,
    /// Behind the last frame that stays.
    end: u64,
    /// How many frames stay.
    count: u64,
}

impl<S: SegmentStore> Log<S> {
    /// Appends a leader's frames at the same place, byte for byte. Frames that are here already are
    /// skipped; a segment that the leader left is sealed. Durable after the next sync.
    ///
    /// A log that holds nothing takes a run that begins a segment, whatever its first LSN is.
    ///
    /// # Errors
    /// See [`RunError`]; nothing is taken of a run that is refused.
    pub fn append_run(&mut self, run: RunHeader, frames: &[u8]) -> Result<Lsn, RunError> {
        self.ready()?;
        let appended = (!self.is_blank()).then(|| self.appended());
        let Some(fresh) = run.fresh(frames, appended)? else { return Ok(self.appended()) };
        self.reach(&run, &fresh)?;
        let mut group = core::mem::take(&mut self.group);
        let taken = group.extend(fresh.frames, fresh.count).ok_or(RunError::Header);
        let written = taken.and_then(|()| Ok(self.write_group(&mut group)?));
        group.clear();
        self.group = group;
        written.map(|()| self.appended())
    }

    /// Seals the segment where the leader did. Doing so twice is one.
    ///
    /// # Errors
    /// [`RunError::Place`] when this log does not end there.
    pub fn seal_at(
        &mut self,
        segment: SegmentId,
        offset: u32,
        next_segment_bytes: u64,
        now_ns: u64,
    ) -> Result<(), RunError> {
        self.ready()?;
        if next_segment_bytes > SEGMENT_BYTES_MAX {
            return Err(RunError::Header);
        }
        self.now_ns = now_ns;
        match &self.active {
            Some(active) if active.extent.segment.id == segment => {
                if active.extent.end() != u64::from(offset) {
                    return Err(RunError::Place { tail: self.tail() });
                }
                Ok(self.seal_active(now_ns)?)
            }
            _ if segment <= self.last_id => Ok(()),
            _ => Err(RunError::Place { tail: self.tail() }),
        }
    }

    fn ready(&self) -> Result<(), RunError> {
        self.writable()?;
        if self.has_staged() { Err(RunError::Staged) } else { Ok(()) }
    }

    fn is_blank(&self) -> bool {
        self.appended() == Lsn::ZERO && self.active.is_none()
    }

    /// Makes the place of a run the end of the log, if it can be.
    fn reach(&mut self, run: &RunHeader, fresh: &Fresh<'_>) -> Result<(), RunError> {
        let (first, place, bytes) = (fresh.first, fresh.place, fresh.frames.len() as u64);
        let elsewhere = RunError::Place { tail: self.tail() };
        if let Some(active) = &self.active
            && active.extent.segment.id == run.segment
        {
            if active.extent.end() != place {
                return Err(elsewhere);
            }
            if place.saturating_add(bytes) > active.extent.segment.size {
                return self.widen(run.segment_bytes);
            }
            return Ok(());
        }
        let beyond = run.segment > self.last_id || self.is_blank();
        if !beyond || place != FIRST_FRAME {
            return Err(elsewhere);
        }
        let prepared = self.make_named(run.segment, run.segment_bytes)?;
        self.seal_active(self.now_ns)?;
        if self.is_blank() {
            self.shared.appended.store(first.prev().0, Ordering::Release);
            self.shared.durable.store(first.prev().0, Ordering::Release);
        }
        self.activate(prepared, first);
        Ok(())
    }

    /// A segment of that number that is none of this log's gives way.
    fn make_named(&mut self, id: SegmentId, size: u64) -> Result<Prepared<S>, IoError> {
        match self.make_segment(id, size) {
            Err(IoError::Exists) => {
                self.shared.store.set_kind(id, SegmentKind::Log, SegmentKind::Aside)?;
                self.make_segment(id, size)
            }
            made => made,
        }
    }

    /// The active segment's file lost part of its room: its frames move to one of the right size.
    fn widen(&mut self, segment_bytes: u64) -> Result<(), RunError> {
        let Some(active) = &self.active else { return Ok(()) };
        let extent = Arc::clone(&active.extent);
        let split = Split { end: extent.end(), count: extent.count(), extent };
        self.drop_above(split.extent.first.prev())?;
        Ok(self.carry_over(&split, segment_bytes)?)
    }

    /// Sets everything above `lsn` aside, where it stays on the medium, and goes on behind `lsn`.
    ///
    /// # Errors
    /// See [`CutError`]. The log may then end anywhere between; a part that should stay may have to
    /// be fetched again, and what is above `lsn` still may be cut by asking again.
    pub fn cut_after(&mut self, lsn: Lsn, now_ns: u64) -> Result<(), CutError> {
        match self.ready() {
            Err(RunError::Poisoned) => return Err(CutError::Poisoned),
            Err(_) => return Err(CutError::Staged),
            Ok(()) => {}
        }
        self.now_ns = now_ns;
        if lsn >= self.appended() {
            return Ok(());
        }
        let split = self.split_at(lsn)?;
        let kept = split.as_ref().map_or(lsn, |split| split.extent.first.prev());
        self.drop_above(kept)?;
        if let Some(split) = split {
            let size = split.extent.segment.size;
            self.carry_over(&split, size)?;
        }
        Ok(())
    }

    /// The extent that `lsn` ends in the middle of, where, and after how many records.
    fn split_at(&self, lsn: Lsn) -> Result<Option<Split<S>>, CutError> {
        let extent = self.shared.table.with(|table| table.around(lsn).0.cloned());
        let Some(extent) = extent.filter(|extent| lsn < extent.last()) else { return Ok(None) };
        if extent.damaged {
            let at = extent.position(extent.start);
            return Err(ReadError::Corrupt { at }.into());
        }
        let pin = Pin::new(Arc::clone(&extent), &*self.shared.store).map_err(CutError::Io)?;
        let start = walk(&pin, lsn)?;
        let end = start.saturating_add(frame_length(&pin, start)? as u64);
        let count = lsn.next().since(extent.first);
        Ok(Some(Split { extent, end, count }))
    }

    /// Sets segments above `kept` aside, the newest first, each before the log lets go of it.
    fn drop_above(&mut self, kept: Lsn) -> Result<(), IoError> {
        let table = self.shared.table.load();
        let first = table.extents.partition_point(|extent| extent.first <= kept);
        for extent in table.extents.get(first..).unwrap_or_default().iter().rev() {
            self.discard(extent)?;
            self.active = None;
            self.lower_to(extent.first.prev());
        }
        self.lower_to(kept);
        Ok(())
    }

    fn discard(&self, extent: &Extent<S>) -> Result<(), IoError> {
        let segment = &extent.segment;
        if segment.kind() == SegmentKind::Log {
            let file = segment.file(&self.shared.store)?;
            self.shared.store.set_kind(segment.id, SegmentKind::Log, SegmentKind::Aside)?;
            segment.set_kind(SegmentKind::Aside);
            self.mark_discarded(&file, extent);
        }
        self.shared.change(|table| table.add_aside(Arc::clone(segment)));
        Ok(())
    }

    /// So that no later opening takes it for part of the history. Its number and LSNs say so too,
    /// so this may fail.
    fn mark_discarded(&self, file: &S::File, extent: &Extent<S>) {
        let header = SegmentHeader {
            flags: FLAG_DISCARDED,
            write_offset: extent.end(),
            entry_count: extent.count(),
            first_lsn: extent.first,
            ..SegmentHeader::empty(self.now_ns)
        };
        let _ = file.write_at(0, &header.encode());
    }

    /// Lets the log end at `lsn`, the end of a segment.
    fn lower_to(&mut self, lsn: Lsn) {
        self.shared.durable.fetch_min(lsn.0, Ordering::AcqRel);
        self.shared.appended.fetch_min(lsn.0, Ordering::AcqRel);
        self.unsynced.retain(|unsynced| unsynced.last <= lsn);
        self.shared.change(|table| table.extents.retain(|extent| extent.first <= lsn));
        let last = self.shared.table.with(|table| table.extents.last().map(|e| e.segment.id));
        self.last_id = last.unwrap_or_default();
        self.shared.cuts.fetch_add(1, Ordering::AcqRel);
    }

    /// Makes a segment from the frames to keep of one that was set aside, with the same number. They
    /// are durable then.
    fn carry_over(&mut self, split: &Split<S>, size: u64) -> Result<(), IoError> {
        let Split { extent, end, count } = split;
        let source = extent.segment.file(&self.shared.store)?;
        let prepared = self.make_named(extent.segment.id, size)?;
        let mut active: Active<S> = prepared.into_active(extent.first);
        let buffer = &mut vec![0; CHUNK_BYTES];
        tail::copy(&*source, &*active.file, FIRST_FRAME, *end, buffer)?;
        active.file.sync()?;
        active.extent.publish(*count, *end);
        let header = active.header_now(self.now_ns, FLAG_ACTIVE);
        active.file.write_at(0, &header.encode())?;
        active.header = Some(header);
        let last = active.extent.last();
        self.last_id = extent.segment.id;
        let published = Arc::clone(&active.extent);
        self.shared.change(|table| table.extents.push(published));
        self.active = Some(active);
        self.shared.appended.store(last.0, Ordering::Release);
        self.shared.durable.store(last.0, Ordering::Release);
        self.shared.cuts.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }
}
