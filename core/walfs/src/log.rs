//! The writer: stages records, appends them as one group, knows how far the log is durable.

use crate::error::{AppendError, OpenError, StageError, SyncError};
use crate::group::Group;
use crate::layout::{FIRST_FRAME, FLAG_ACTIVE, FLAG_SEALED, MARKER, SegmentHeader};
use crate::options::LogOptions;
use crate::reader::LogReader;
use crate::recovery::{self, RecoveryReport};
use crate::rotation::{Next, Prepared};
use crate::sync::Unsynced;
use crate::table::{Extent, Shared};
use crate::tail;
use alloc::sync::Arc;
use alloc::vec::Vec;
use unison_base::atomic::Ordering;
use unison_base::frame;
use unison_base::{Lsn, Position, SegmentId};
use unison_ports::{IoError, SegmentFile, SegmentStore};

/// Zeros are written in pieces of this size.
static ZEROS: [u8; 16 << 10] = [0; 16 << 10];

/// The segment that takes records.
pub(crate) struct Active<S: SegmentStore> {
    pub(crate) extent: Arc<Extent<S>>,
    pub(crate) file: Arc<S::File>,
    /// Bytes from the end of the frames to here may not be zero.
    pub(crate) dirty_to: u64,
    /// The header as it was last written, if it is known.
    pub(crate) header: Option<SegmentHeader>,
}

impl<S: SegmentStore> Active<S> {
    pub(crate) fn header_now(&self, now_ns: u64, flags: u32) -> SegmentHeader {
        let entry_count = self.extent.count();
        SegmentHeader {
            created_ns: self.extent.created_ns,
            modified_ns: now_ns,
            write_offset: self.extent.end(),
            entry_count,
            flags,
            first_lsn: if entry_count == 0 { Lsn::ZERO } else { self.extent.first },
            marker: MARKER,
        }
    }
}

/// A log, for its one writer.
///
/// Records become durable in three steps: [`stage`](Self::stage), as many as there are;
/// [`append_staged`](Self::append_staged), one write; [`sync`](Self::sync), or a
/// [ticket](Self::sync_ticket) that another thread runs.
pub struct Log<S: SegmentStore> {
    pub(crate) shared: Arc<Shared<S>>,
    pub(crate) options: LogOptions,
    pub(crate) active: Option<Active<S>>,
    /// Highest segment number in use.
    pub(crate) last_id: SegmentId,
    pub(crate) next: Next<S>,
    pub(crate) unsynced: Vec<Unsynced<S>>,
    pub(crate) poisoned: bool,
    /// The newest time the caller named.
    pub(crate) now_ns: u64,
    pub(crate) group: Group<Vec<u8>>,
}

impl<S: SegmentStore> Log<S> {
    /// Opens the segments of `store`, repairs what can be repaired and sets the rest aside (the
    /// table is in [`recovery`]). A store without segments opens as an empty log, which makes its first
    /// segment at its first append.
    ///
    /// # Errors
    /// The medium fails, or a segment has a newer format. Damage is reported, not an error.
    pub fn open(
        store: Arc<S>,
        options: LogOptions,
        now_ns: u64,
    ) -> Result<(Self, RecoveryReport), OpenError> {
        options.check()?;
        recovery::open(store, options, now_ns)
    }

    pub(crate) fn new(shared: Shared<S>, options: LogOptions, now_ns: u64) -> Self {
        Self {
            shared: Arc::new(shared),
            options,
            active: None,
            last_id: SegmentId::default(),
            next: Next::default(),
            unsynced: Vec::new(),
            poisoned: false,
            now_ns,
            group: Group::default(),
        }
    }

    /// The LSN that the next staged record must carry.
    #[must_use]
    pub fn next_lsn(&self) -> Lsn {
        self.appended().plus(self.group.count()).next()
    }

    /// The newest record that was appended.
    #[must_use]
    pub fn appended(&self) -> Lsn {
        self.shared.appended()
    }

    /// The newest record that is known to be durable, with all before it.
    #[must_use]
    pub fn durable(&self) -> Lsn {
        self.shared.durable()
    }

    /// The oldest record; the next one's LSN while there is none.
    #[must_use]
    pub fn first(&self) -> Lsn {
        self.shared.first()
    }

    /// Where the next staged frame goes.
    #[must_use]
    pub fn tail(&self) -> Position {
        let (segment, offset, _) = self.place();
        Position { segment, offset: u32::try_from(offset).unwrap_or(u32::MAX) }
    }

    /// Bytes of frames that wait to be appended.
    #[must_use]
    pub const fn staged_bytes(&self) -> usize {
        self.group.bytes()
    }

    /// A reader of this log; any number may be made.
    #[must_use]
    pub fn reader(&self) -> LogReader<S> {
        LogReader::new(Arc::clone(&self.shared))
    }

    /// Segment, offset and segment size for the frame that follows the staged ones.
    fn place(&self) -> (SegmentId, u64, u64) {
        let staged = self.group.bytes() as u64;
        match &self.active {
            Some(active) => {
                let segment = &active.extent.segment;
                (segment.id, active.extent.end().saturating_add(staged), segment.usable_bytes())
            }
            None => {
                let size = self.next.size().unwrap_or(self.options.segment_bytes);
                (self.last_id.next(), FIRST_FRAME.saturating_add(staged), size)
            }
        }
    }

    /// Whether the segment at hand has room for these records, given by their bytes, one behind the
    /// other, beside what is staged.
    #[must_use]
    pub fn fits(&self, payloads: &[usize]) -> bool {
        let (_, offset, size) = self.place();
        let frames = payloads.iter().map(|&bytes| frame::frame_bytes(bytes));
        let end = frames.map(|frame| frame.map_or(u64::MAX, |bytes| bytes as u64));
        end.fold(offset, u64::saturating_add) <= size
    }

    /// Takes a finished record, which carries [`next_lsn`](Self::next_lsn), into the group.
    ///
    /// # Errors
    /// See [`StageError`]; nothing changed.
    pub fn stage(&mut self, payload: &[u8]) -> Result<Position, StageError> {
        if self.poisoned {
            return Err(StageError::Poisoned);
        }
        let expected = self.next_lsn();
        if frame::payload_lsn(payload) != Some(expected) {
            return Err(StageError::NotDense { expected });
        }
        let (segment, offset, size) = self.place();
        let limit = self.options.segment_bytes.saturating_sub(FIRST_FRAME);
        let frame_bytes = tail::fit(payload.len(), offset, size, limit)?;
        let offset = u32::try_from(offset).map_err(|_| StageError::SegmentFull)?;
        self.group.push(payload, frame_bytes).ok_or(tail::too_large(limit))?;
        Ok(Position { segment, offset })
    }

    /// Forgets the staged records; their LSNs are not taken.
    pub fn discard_staged(&mut self) {
        self.group.clear();
    }

    /// Appends the staged records with one write. They are not durable yet.
    ///
    /// # Errors
    /// The medium fails. Nothing staged remains and no LSN is taken; the log may be tried again.
    pub fn append_staged(&mut self) -> Result<Lsn, AppendError> {
        let mut group = core::mem::take(&mut self.group);
        let result = if group.is_empty() { Ok(()) } else { self.append(&mut group) };
        group.clear();
        self.group = group;
        result.map(|()| self.appended())
    }

    fn append(&mut self, group: &mut Group<Vec<u8>>) -> Result<(), AppendError> {
        self.writable()?;
        self.create_first(self.now_ns)?;
        self.write_group(group)
    }

    /// Makes the first segment now, instead of at the first append.
    ///
    /// # Errors
    /// The medium fails; nothing changed.
    pub fn create_first(&mut self, now_ns: u64) -> Result<(), AppendError> {
        if self.active.is_none() {
            let prepared = self.take_next(now_ns)?;
            self.activate(prepared, self.appended().next());
        }
        Ok(())
    }

    /// Writes a group behind the newest frame, and lets readers see it.
    pub(crate) fn write_group(&mut self, group: &mut Group<Vec<u8>>) -> Result<(), AppendError> {
        self.clear_behind()?;
        let Some(active) = &mut self.active else { return Ok(()) };
        let offset = active.extent.end();
        let bytes = group.with_terminator(active.extent.segment.size.saturating_sub(offset));
        tail::append(&*active.file, offset, bytes, &mut active.dirty_to)?;
        active.extent.note_frames(group.frames());
        active.extent.publish(group.count(), offset.saturating_add(group.bytes() as u64));
        self.shared.appended.fetch_add(group.count(), Ordering::AcqRel);
        Ok(())
    }

    /// Makes sure, durably, that nothing stale lies behind the newest frame.
    pub(crate) fn clear_behind(&mut self) -> Result<(), AppendError> {
        let Some(active) = &mut self.active else { return Ok(()) };
        let offset = active.extent.end();
        if active.dirty_to <= offset {
            return Ok(());
        }
        tail::clear(&*active.file, offset, active.dirty_to, &ZEROS)?;
        if let Err(error) = active.file.sync() {
            self.poison();
            return Err(error.into());
        }
        active.dirty_to = 0;
        Ok(())
    }

    pub(crate) const fn writable(&self) -> Result<(), AppendError> {
        if self.poisoned { Err(AppendError::Poisoned) } else { Ok(()) }
    }

    pub(crate) const fn has_staged(&self) -> bool {
        !self.group.is_empty()
    }

    pub(crate) fn poison(&mut self) {
        self.poisoned = true;
        self.group.clear();
    }

    /// Makes `prepared` the segment that takes records, from `first` on.
    pub(crate) fn activate(&mut self, prepared: Prepared<S>, first: Lsn) {
        let active = prepared.into_active(first);
        self.last_id = active.extent.segment.id;
        let extent = Arc::clone(&active.extent);
        self.shared.change(|table| table.extents.push(extent));
        self.active = Some(active);
    }

    /// Ends the active segment. Its header says so once its frames are durable.
    pub(crate) fn seal_active(&mut self, now_ns: u64) -> Result<(), AppendError> {
        self.clear_behind()?;
        let Some(active) = self.active.take() else { return Ok(()) };
        let header = active.header_now(now_ns, FLAG_SEALED).encode();
        active.extent.seal(now_ns);
        let last = active.extent.last();
        if self.unsynced.is_empty() && last <= self.durable() {
            // A hint: recovery writes it again when this fails.
            let _ = active.file.write_at(0, &header);
        } else {
            let segment = active.extent.segment.id;
            self.unsynced.push(Unsynced { file: active.file, segment, header, last });
        }
        Ok(())
    }

    /// Syncs, writes the header with the write offset, and ends. Writes nothing when nothing
    /// changed since the log was opened.
    ///
    /// # Errors
    /// The sync fails: records above [`durable`](Self::durable) may be lost.
    pub fn close(mut self) -> Result<(), SyncError> {
        self.discard_staged();
        self.sync()?;
        if let Err(AppendError::Io(error)) = self.clear_behind() {
            return Err(error.into());
        }
        self.write_closing_header().map_err(SyncError::Io)
    }

    fn write_closing_header(&mut self) -> Result<(), IoError> {
        let Some(active) = &self.active else { return Ok(()) };
        let header = active.header_now(self.now_ns, FLAG_ACTIVE);
        let same = |written: SegmentHeader| {
            SegmentHeader { modified_ns: header.modified_ns, ..written } == header
        };
        if active.header.is_some_and(same) {
            return Ok(());
        }
        active.file.write_at(0, &header.encode())?;
        active.file.sync()
    }
}

impl<S: SegmentStore> core::fmt::Debug for Log<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Log")
            .field("tail", &self.tail())
            .field("appended", &self.appended())
            .field("durable", &self.durable())
            .field("poisoned", &self.poisoned)
            .finish_non_exhaustive()
    }
}
