//! A follower's way to append: a leader's frames as they are, at the place they have there.

use super::SmallLog;
use crate::error::{CutError, RunError};
use crate::layout::{FIRST_FRAME, FLAG_DISCARDED};
use crate::run::{Fresh, RunHeader};
use unison_base::{Lsn, SegmentId};
use unison_ports::{SegmentFile, SegmentKind, SegmentStore};

impl<S: SegmentStore, const N: usize> SmallLog<'_, S, N> {
    /// Appends a leader's frames at the same place, byte for byte. Frames that are here already are
    /// skipped; a segment that the leader left is sealed. Durable after the next sync.
    ///
    /// A log that holds nothing takes a run that begins a segment, whatever its first LSN is.
    ///
    /// # Errors
    /// See [`RunError`]; nothing is taken of a run that is refused. [`RunError::Header`] too when
    /// the frames are more than the buffer less 16 bytes, [`NoSpace`](unison_ports::IoError::NoSpace) when
    /// [`retire_first`](Self::retire_first) has to make room.
    pub fn append_run(
        &mut self,
        run: RunHeader,
        frames: &[u8],
        now_ns: u64,
    ) -> Result<Lsn, RunError> {
        self.ready()?;
        let appended = (!self.is_blank()).then_some(self.appended);
        let Some(fresh) = run.fresh(frames, appended)? else { return Ok(self.appended) };
        if fresh.frames.len() > self.group.room_max() {
            return Err(RunError::Header);
        }
        self.reach(&run, &fresh, now_ns)?;
        let taken = self.group.extend(fresh.frames, fresh.count).ok_or(RunError::Header);
        let written = taken.and_then(|()| Ok(self.write_group()?));
        self.group.clear();
        written.map(|()| self.appended)
    }

    /// Seals the segment where the leader did. Doing so twice is one.
    ///
    /// # Errors
    /// [`RunError::Place`] when this log does not end there.
    pub fn seal_at(
        &mut self,
        segment: SegmentId,
        offset: u32,
        now_ns: u64,
    ) -> Result<(), RunError> {
        self.ready()?;
        match &self.active {
            Some(active) if active.stretch.id == segment => {
                if active.stretch.end != u64::from(offset) {
                    return Err(RunError::Place { tail: self.tail() });
                }
                Ok(self.seal_active(now_ns)?)
            }
            _ if segment <= self.last_id => Ok(()),
            _ => Err(RunError::Place { tail: self.tail() }),
        }
    }

    /// Sets all segments aside, since they are not the leader's, and goes on as a log that holds
    /// nothing.
    ///
    /// # Errors
    /// The medium fails: some segments may be set aside, and asking again goes on.
    pub fn start_over(&mut self, now_ns: u64) -> Result<(), CutError> {
        self.ready().map_err(|error| match error {
            RunError::Poisoned => CutError::Poisoned,
            _ => CutError::Staged,
        })?;
        if let Some(active) = &self.active {
            self.store.set_kind(active.stretch.id, SegmentKind::Log, SegmentKind::Aside)?;
            // So that no later opening takes it for history. Its number says so too.
            let _ = active.file.write_at(0, &active.header(now_ns, FLAG_DISCARDED).encode());
            self.active = None;
        }
        while let Some(stretch) = self.sealed.last().copied() {
            if stretch.kind == SegmentKind::Log {
                self.store.set_kind(stretch.id, SegmentKind::Log, SegmentKind::Aside)?;
            }
            self.sealed.pop();
        }
        (self.appended, self.durable, self.newest) = (Lsn::ZERO, Lsn::ZERO, None);
        self.last_id = SegmentId::default();
        Ok(())
    }

    fn ready(&self) -> Result<(), RunError> {
        self.writable()?;
        if self.group.is_empty() { Ok(()) } else { Err(RunError::Staged) }
    }

    /// Makes the place of a run the end of the log, if it can be.
    fn reach(&mut self, run: &RunHeader, fresh: &Fresh<'_>, now_ns: u64) -> Result<(), RunError> {
        let elsewhere = RunError::Place { tail: self.tail() };
        let bytes = fresh.frames.len() as u64;
        if let Some(active) = &self.active
            && active.stretch.id == run.segment
        {
            if active.stretch.end != fresh.place {
                return Err(elsewhere);
            }
            let fits = fresh.place.saturating_add(bytes) <= active.stretch.size;
            return if fits { Ok(()) } else { Err(RunError::Header) };
        }
        let beyond = run.segment > self.last_id || self.is_blank();
        if !beyond || fresh.place != FIRST_FRAME {
            return Err(elsewhere);
        }
        let blank = self.is_blank();
        self.begin(run.segment, run.segment_bytes, fresh.first, now_ns).map_err(RunError::from)?;
        if blank {
            (self.appended, self.durable) = (fresh.first.prev(), fresh.first.prev());
        }
        Ok(())
    }
}
