//! A follower's way to append: a leader's frames as they are, at the place they have there.

use super::SmallLog;
use crate::error::{CutError, RunError};
use crate::layout::{FIRST_FRAME, FLAG_DISCARDED, HEADER_BYTES, SegmentHeader};
use crate::run::{Fresh, RunHeader};
use unison_base::{Lsn, SegmentId};
use unison_ports::{IoError, SegmentFile, SegmentKind, SegmentStore};

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
        while let Some(id) = self.newest_of_medium()? {
            self.mark_discarded(id, now_ns)?;
            self.store.set_kind(id, SegmentKind::Log, SegmentKind::Aside)?;
            self.active = self.active.take().filter(|active| active.stretch.id != id);
            self.sealed.retain(|stretch| stretch.id != id);
        }
        (self.active, self.sealed) = (None, heapless::Vec::new());
        (self.appended, self.durable, self.newest) = (Lsn::ZERO, Lsn::ZERO, None);
        self.last_id = SegmentId::default();
        Ok(())
    }

    /// The newest segment that is part of the log, or that an opening would take for one.
    fn newest_of_medium(&self) -> Result<Option<SegmentId>, IoError> {
        let mut newest = None;
        self.store.list(&mut |entry| {
            if entry.kind == SegmentKind::Log {
                newest = newest.max(Some(entry.id));
            }
        })?;
        Ok(newest)
    }

    /// Says so in its header, durably, before the segment is set aside: the number and the LSNs alone
    /// may fit before another history.
    fn mark_discarded(&self, id: SegmentId, now_ns: u64) -> Result<(), IoError> {
        let file = self.store.open(id, SegmentKind::Log)?;
        if file.size() < FIRST_FRAME {
            return Ok(());
        }
        let mut bytes = [0; HEADER_BYTES];
        file.read_at(0, &mut bytes)?;
        let found = SegmentHeader::decode(&bytes).unwrap_or(SegmentHeader::empty(now_ns));
        let header = SegmentHeader { flags: FLAG_DISCARDED, modified_ns: now_ns, ..found };
        file.write_at(0, &header.encode())?;
        file.sync()
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
