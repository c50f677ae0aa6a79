//! A leader's way to append: stage, append with one write, sync.

use super::SmallLog;
use crate::error::{AppendError, StageError, SyncError};
use crate::layout::{FIRST_FRAME, FLAG_ACTIVE};
use crate::run::{Located, frame_bytes_at};
use crate::tail;
use unison_base::bytes::u32_at;
use unison_base::frame;
use unison_base::{Lsn, Position};
use unison_ports::{SegmentFile, SegmentStore};

/// Zeros are written in pieces of this size.
static ZEROS: [u8; 256] = [0; 256];

impl<S: SegmentStore, const N: usize> SmallLog<'_, S, N> {
    /// Takes a finished record, which carries [`next_lsn`](Self::next_lsn), into the group.
    ///
    /// # Errors
    /// See [`StageError`]; nothing changed. [`StageError::SegmentFull`] too when a segment has to be
    /// begun and the table has no room for it, as [`rotate`](Self::rotate) says.
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
        let limit = limit.min(self.group.room_max() as u64);
        let frame_bytes = tail::fit(payload.len(), offset, size, limit)?;
        if frame_bytes as u64 > limit {
            return Err(tail::too_large(limit));
        }
        if self.active.is_none() && self.segments() >= N {
            return Err(StageError::SegmentFull);
        }
        let offset = u32::try_from(offset).map_err(|_| StageError::SegmentFull)?;
        self.group.push(payload, frame_bytes).ok_or(StageError::BufferFull)?;
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
    /// [`NoSpace`](unison_ports::IoError::NoSpace) when a segment has to be begun and the medium has
    /// no room for it: room is made as for [`rotate`](Self::rotate), then the records are staged again.
    pub fn append_staged(&mut self, now_ns: u64) -> Result<Lsn, AppendError> {
        let result = if self.group.is_empty() { Ok(()) } else { self.append(now_ns) };
        self.group.clear();
        result.map(|()| self.appended)
    }

    fn append(&mut self, now_ns: u64) -> Result<(), AppendError> {
        self.writable()?;
        if self.active.is_none() {
            self.begin_next(now_ns)?;
        }
        self.write_group()
    }

    /// Writes the group behind the newest frame.
    pub(super) fn write_group(&mut self) -> Result<(), AppendError> {
        self.clear_behind()?;
        let Some(active) = &mut self.active else { return Ok(()) };
        let offset = active.stretch.end;
        let bytes = self.group.with_terminator(active.stretch.size.saturating_sub(offset));
        tail::append(&active.file, offset, bytes, &mut active.dirty_to)?;
        let frames = self.group.frames();
        if let Some((at, crc)) = last_frame(frames) {
            let position = active.stretch.position(offset.saturating_add(at as u64));
            self.newest = Some(Located { position, crc });
        }
        active.stretch.end = offset.saturating_add(frames.len() as u64);
        active.stretch.count = active.stretch.count.saturating_add(self.group.count());
        self.appended = self.appended.plus(self.group.count());
        Ok(())
    }

    /// Makes sure, durably, that nothing stale lies behind the newest frame.
    pub(super) fn clear_behind(&mut self) -> Result<(), AppendError> {
        let Some(active) = &mut self.active else { return Ok(()) };
        if active.dirty_to <= active.stretch.end {
            return Ok(());
        }
        tail::clear(&active.file, active.stretch.end, active.dirty_to, &ZEROS)?;
        if let Err(error) = active.file.sync() {
            self.poison();
            return Err(error.into());
        }
        active.dirty_to = 0;
        Ok(())
    }

    /// Makes everything durable that is appended so far.
    ///
    /// # Errors
    /// The sync failed, now or before. The log takes no more writes; opening it anew finds what is
    /// really there.
    pub fn sync(&mut self) -> Result<Lsn, SyncError> {
        if self.poisoned {
            return Err(SyncError::Poisoned);
        }
        self.sync_active()?;
        Ok(self.durable)
    }

    /// Earlier segments were synced when they were sealed.
    pub(super) fn sync_active(&mut self) -> Result<(), unison_ports::IoError> {
        if self.durable < self.appended
            && let Some(active) = &self.active
            && let Err(error) = active.file.sync()
        {
            self.poison();
            return Err(error);
        }
        self.durable = self.appended;
        Ok(())
    }

    /// Syncs, writes the header with the write offset, and ends.
    ///
    /// # Errors
    /// The sync fails: records above [`durable`](Self::durable) may be lost.
    pub fn close(mut self, now_ns: u64) -> Result<(), SyncError> {
        self.discard_staged();
        self.sync()?;
        if let Err(AppendError::Io(error)) = self.clear_behind() {
            return Err(error.into());
        }
        let Some(active) = &self.active else { return Ok(()) };
        active.file.write_at(0, &active.header(now_ns, FLAG_ACTIVE).encode())?;
        Ok(active.file.sync()?)
    }

    pub(super) const fn writable(&self) -> Result<(), AppendError> {
        if self.poisoned { Err(AppendError::Poisoned) } else { Ok(()) }
    }

    fn poison(&mut self) {
        self.poisoned = true;
        self.group.clear();
    }
}

/// Where the last of these frames starts, and its checksum.
fn last_frame(frames: &[u8]) -> Option<(usize, u32)> {
    let mut at: usize = 0;
    loop {
        let next = at.checked_add(frame_bytes_at(frames.get(at..)?)?)?;
        if next >= frames.len() {
            return Some((at, u32_at(frames, at)?));
        }
        at = next;
    }
}
