//! Reading by any number of readers, none of which the writer waits for.

use crate::cursor::{Bound, LogCursor, Record};
use crate::error::ReadError;
use crate::run::{Located, frame_bytes_at};
use crate::slice::Slice;
use crate::table::{Extent, Pin, Shared, Table};
use crate::window::{ScanError, Scratch, Window};
use alloc::sync::Arc;
use alloc::vec::Vec;
use unison_base::atomic::Ordering;
use unison_base::frame::{self, HEADER_BYTES};
use unison_base::{Lsn, Position, SegmentId};
use unison_ports::{IoError, SegmentFile, SegmentKind, SegmentStore};

/// A handle to read a log with. Cheap to clone, and sees new segments by itself.
pub struct LogReader<S: SegmentStore> {
    shared: Arc<Shared<S>>,
}

/// What is known of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its number.
    pub id: SegmentId,
    /// Its role.
    pub kind: SegmentKind,
    /// Whether it takes no more records.
    pub sealed: bool,
    /// Whether damage was found in it.
    pub damaged: bool,
    /// Bytes of the file.
    pub size: u64,
    /// Behind its last frame; 0 where it is no part of the log.
    pub write_offset: u64,
    /// LSN of its first record, or of the next one while it has none.
    pub first: Lsn,
    /// How many records of the log it holds.
    pub count: u64,
}

/// A sealed segment, which stays readable and is not retired while it is held.
pub struct SealedSegment<S: SegmentStore> {
    /// What is known of it.
    pub info: SegmentInfo,
    pin: Pin<S>,
}

impl<S: SegmentStore> SealedSegment<S> {
    /// The open file; from byte 64 up to the write offset its bytes never change.
    #[must_use]
    pub const fn file(&self) -> &Arc<S::File> {
        &self.pin.file
    }
}

impl<S: SegmentStore> LogReader<S> {
    pub(crate) const fn new(shared: Arc<Shared<S>>) -> Self {
        Self { shared }
    }

    /// The oldest record; the next one's LSN while there is none.
    #[must_use]
    pub fn first(&self) -> Lsn {
        self.shared.first()
    }

    /// The newest record that was appended.
    #[must_use]
    pub fn appended(&self) -> Lsn {
        self.shared.appended()
    }

    /// The newest record that is known to be durable.
    #[must_use]
    pub fn durable(&self) -> Lsn {
        self.shared.durable()
    }

    /// How often records at the end were set aside since the log was opened: with the same number
    /// before and after, a record that was read is the one that the log still has.
    #[must_use]
    pub fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::Acquire)
    }

    /// The place and checksum of one record, which is checked.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn locate(&self, lsn: Lsn) -> Result<Located, ReadError> {
        if lsn > self.appended() {
            return Err(ReadError::Ahead { last: self.appended() });
        }
        let extent = containing(&self.shared, lsn)?;
        let pin = Pin::new(extent, &*self.shared.store)?;
        let offset = walk(&pin, lsn)?;
        let frame = checked_frame(&pin, offset, lsn)?;
        Ok(Located { position: pin.extent.position(offset), crc: frame.crc })
    }

    /// The record whose frame starts at a place, which is checked.
    ///
    /// # Errors
    /// See [`ReadError`]; [`ReadError::Absent`] when no record of the log can start there.
    pub fn record_at(&self, at: Position) -> Result<Record<S>, ReadError> {
        let table = self.shared.table.load();
        let offset = u64::from(at.offset);
        let holds = |extent: &&Arc<Extent<S>>| {
            extent.segment.id == at.segment && (extent.start..extent.end()).contains(&offset)
        };
        let Some(extent) = table.extents.iter().rev().find(holds) else {
            let oldest = table.extents.first().map(|extent| extent.segment.id);
            return Err(match oldest {
                Some(oldest) if at.segment < oldest => {
                    ReadError::BehindRetention { first: self.first() }
                }
                _ => ReadError::Absent { at },
            });
        };
        let pin = Pin::new(Arc::clone(extent), &*self.shared.store)?;
        let frame = any_frame(&pin, offset)?;
        Ok(Record { lsn: frame.lsn, position: at, crc: frame.crc, payload: frame.payload })
    }

    /// A cursor whose first record is `from`, which may be the one behind the newest. `Lsn::ZERO`
    /// starts at the oldest.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn cursor(&self, from: Lsn, bound: Bound) -> Result<LogCursor<S>, ReadError> {
        LogCursor::new(Arc::clone(&self.shared), from, bound)
    }

    /// Bytes of a segment, whatever became of it: of the log, kept for its values, or set aside. Not
    /// checked; the caller holds a checksum.
    ///
    /// # Errors
    /// [`ReadError::Absent`] when no such bytes are there; the medium's own.
    pub fn bytes(
        &self,
        segment: SegmentId,
        offset: u32,
        length: u32,
    ) -> Result<Slice<S>, ReadError> {
        let end = u64::from(offset) + u64::from(length);
        let absent = ReadError::Absent { at: Position { segment, offset } };
        let length = usize::try_from(length).map_err(|_| absent)?;
        let open = |table: &Table<S>| {
            table.holding(segment, end).map(|segment| segment.file(&self.shared.store))
        };
        let file = self.shared.table.with(open).ok_or(absent)??;
        Ok(Slice::read(file, u64::from(offset), length)?)
    }

    /// All segments there are: of the log, kept for values, set aside.
    #[must_use]
    pub fn segments(&self) -> Vec<SegmentInfo> {
        let table = self.shared.table.load();
        let mut infos: Vec<SegmentInfo> = Vec::new();
        for extent in &table.extents {
            match infos.last_mut().filter(|info| info.id == extent.segment.id) {
                Some(info) => {
                    info.write_offset = extent.end();
                    info.count += extent.count();
                }
                None => infos.push(describe(extent)),
            }
        }
        let known = |id: SegmentId| {
            table.log_segment(id).is_some_and(|extent| extent.segment.kind() == SegmentKind::Aside)
        };
        let others = table.values.iter().chain(&table.aside).filter(|other| !known(other.id));
        infos.extend(others.map(|segment| SegmentInfo {
            id: segment.id,
            kind: segment.kind(),
            sealed: true,
            damaged: segment.kind() == SegmentKind::Aside,
            size: segment.size,
            write_offset: 0,
            first: Lsn::ZERO,
            count: 0,
        }));
        infos
    }

    /// The open file of a segment of the log, of values or set aside.
    #[must_use]
    pub fn find_file(&self, segment: SegmentId) -> Option<Arc<S::File>> {
        let open = |table: &Table<S>| table.holding(segment, 0)?.file(&self.shared.store).ok();
        self.shared.table.with(open)
    }

    /// Sealed, undamaged segments from the oldest on, each pinned while it is held: what a backup
    /// copies while writes go on.
    pub fn sealed_segments(
        &self,
    ) -> impl Iterator<Item = Result<SealedSegment<S>, ReadError>> + '_ {
        let table = self.shared.table.load();
        let sealed: Vec<_> = table
            .extents
            .iter()
            .filter(|extent| extent.is_sealed() && !extent.damaged)
            .cloned()
            .collect();
        sealed.into_iter().map(|extent| {
            let info = describe(&extent);
            Ok(SealedSegment { info, pin: Pin::new(extent, &*self.shared.store)? })
        })
    }
}

fn describe<S: SegmentStore>(extent: &Extent<S>) -> SegmentInfo {
    SegmentInfo {
        id: extent.segment.id,
        kind: extent.segment.kind(),
        sealed: extent.is_sealed(),
        damaged: extent.damaged,
        size: extent.segment.size,
        write_offset: extent.end(),
        first: extent.first,
        count: extent.count(),
    }
}

/// The extent that holds a record at or below the appended one.
pub(crate) fn containing<S: SegmentStore>(
    shared: &Shared<S>,
    lsn: Lsn,
) -> Result<Arc<Extent<S>>, ReadError> {
    let table = shared.table.load();
    let (at, next) = table.around(lsn);
    let Some(at) = at else {
        return Err(ReadError::BehindRetention { first: shared.first() });
    };
    if at.last() >= lsn {
        return Ok(Arc::clone(at));
    }
    let to = next.map_or_else(|| shared.appended(), |next| next.first.prev());
    Err(ReadError::Gap { from: lsn, to })
}

/// Offset of a record within its extent: from the nearest indexed frame by the frames' lengths.
pub(crate) fn walk<S: SegmentStore>(pin: &Pin<S>, lsn: Lsn) -> Result<u64, ReadError> {
    let extent = &pin.extent;
    let wanted = lsn.since(extent.first);
    let (mut ordinal, mut offset) = extent.nearest(wanted);
    let end = extent.end();
    let mut window = Window::new(&*pin.file, Scratch::Owned(Vec::new()));
    while ordinal < wanted {
        let corrupt = ReadError::Corrupt { at: extent.position(offset) };
        let head = window.fetch(offset, HEADER_BYTES).map_err(read_error)?;
        let bytes = frame_bytes_at(head).ok_or(corrupt)?;
        offset = offset.saturating_add(bytes as u64);
        if offset >= end {
            return Err(corrupt);
        }
        ordinal += 1;
    }
    Ok(offset)
}

const fn read_error(error: ScanError) -> ReadError {
    match error {
        ScanError::Io(error) => ReadError::Io(error),
        ScanError::Buffer { .. } => ReadError::Io(IoError::OutOfBounds),
    }
}

/// A frame that was checked.
pub(crate) struct CheckedFrame<S: SegmentStore> {
    pub(crate) lsn: Lsn,
    pub(crate) crc: u32,
    pub(crate) frame_bytes: usize,
    pub(crate) payload: Slice<S>,
}

/// Reads the frame at `offset` and checks it, its LSN included.
pub(crate) fn checked_frame<S: SegmentStore>(
    pin: &Pin<S>,
    offset: u64,
    lsn: Lsn,
) -> Result<CheckedFrame<S>, ReadError> {
    let frame = any_frame(pin, offset)?;
    if frame.lsn == lsn {
        return Ok(frame);
    }
    Err(ReadError::Corrupt { at: pin.extent.position(offset) })
}

/// As above, whatever record it holds.
fn any_frame<S: SegmentStore>(pin: &Pin<S>, offset: u64) -> Result<CheckedFrame<S>, ReadError> {
    let corrupt = ReadError::Corrupt { at: pin.extent.position(offset) };
    let bytes = frame_length(pin, offset)?;
    let slice = Slice::read(Arc::clone(&pin.file), offset, bytes)?;
    let frame = frame::read_frame(&slice).map_err(|_| corrupt)?;
    let (lsn, crc) = (frame.lsn, frame.crc);
    let payload = HEADER_BYTES..HEADER_BYTES + frame.payload.len();
    Ok(CheckedFrame { lsn, crc, frame_bytes: bytes, payload: slice.sub(payload) })
}

/// Length of the frame at `offset`, which must end within the extent.
pub(crate) fn frame_length<S: SegmentStore>(pin: &Pin<S>, offset: u64) -> Result<usize, ReadError> {
    let mut head = [0; HEADER_BYTES];
    match pin.file.view(offset, HEADER_BYTES) {
        Some(bytes) => head = unison_base::bytes::array_at(bytes, 0).unwrap_or(head),
        None => pin.file.read_at(offset, &mut head)?,
    }
    let left = pin.extent.end().saturating_sub(offset);
    frame_bytes_at(&head)
        .filter(|&bytes| bytes as u64 <= left)
        .ok_or(ReadError::Corrupt { at: pin.extent.position(offset) })
}

impl<S: SegmentStore> Clone for LogReader<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<S: SegmentStore> core::fmt::Debug for LogReader<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("LogReader")
            .field("first", &self.first())
            .field("appended", &self.appended())
            .field("durable", &self.durable())
            .finish()
    }
}
