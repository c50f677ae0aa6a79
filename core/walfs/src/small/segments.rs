//! The segments of a small log: begun, sealed, retired.

use super::SmallLog;
use crate::error::AppendError;
use crate::layout::{FIRST_FRAME, FLAG_SEALED, MARKER, SegmentHeader, USABLE_BYTES_MAX};
use crate::options::LogRole;
use crate::tail;
use unison_base::{Lsn, Position, SegmentId};
use unison_ports::{IoError, SegmentFile, SegmentKind, SegmentStore};

/// Dense sound frames from the start of a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub(super) id: SegmentId,
    pub(super) kind: SegmentKind,
    pub(super) size: u64,
    /// LSN of the first record, or of the next one while there is none.
    pub(super) first: Lsn,
    pub(super) count: u64,
    /// Behind the last frame.
    pub(super) end: u64,
    /// It held records behind damage, of which the newest LSN is known.
    pub(super) damaged: bool,
}

/// The segment that takes records.
pub(super) struct Active<F> {
    pub(super) stretch: Stretch,
    pub(super) file: F,
    pub(super) created_ns: u64,
    /// Bytes from the end of the frames to here may not be zero.
    pub(super) dirty_to: u64,
}

impl Stretch {
    pub(super) const fn last(&self) -> Lsn {
        self.first.plus(self.count).prev()
    }

    /// Whether the next LSN may follow from it.
    pub(super) const fn holds(&self) -> bool {
        self.count > 0 || self.damaged
    }

    pub(super) fn usable_bytes(&self) -> u64 {
        self.size.min(USABLE_BYTES_MAX)
    }

    pub(super) fn position(&self, offset: u64) -> Position {
        let offset = u32::try_from(offset).unwrap_or(u32::MAX);
        Position { segment: self.id, offset }
    }
}

impl<F> Active<F> {
    pub(super) const fn header(&self, now_ns: u64, flags: u32) -> SegmentHeader {
        SegmentHeader {
            created_ns: self.created_ns,
            modified_ns: now_ns,
            write_offset: self.stretch.end,
            entry_count: self.stretch.count,
            flags,
            first_lsn: if self.stretch.count == 0 { Lsn::ZERO } else { self.stretch.first },
            marker: MARKER,
        }
    }
}

impl<S: SegmentStore, const N: usize> SmallLog<'_, S, N> {
    /// Seals the active segment and begins the next one.
    ///
    /// # Errors
    /// The medium fails, or it or the table has no room: the active segment stays the one it is.
    /// [`IoError::NoSpace`] goes away when [`retire_first`](Self::retire_first) made room, or
    /// [`remove_aside`](Self::remove_aside) where nothing can be retired.
    pub fn rotate(&mut self, now_ns: u64) -> Result<(), AppendError> {
        self.writable()?;
        if !self.group.is_empty() {
            return Err(AppendError::Staged);
        }
        let unused =
            |stretch: &Stretch| stretch.count == 0 && stretch.size >= self.options.segment_bytes;
        if self.active.as_ref().is_some_and(|active| unused(&active.stretch)) {
            return Ok(());
        }
        self.begin_next(now_ns)
    }

    pub(super) fn begin_next(&mut self, now_ns: u64) -> Result<(), AppendError> {
        let id = self.last_id.next();
        if id == self.last_id {
            return Err(AppendError::SegmentIds);
        }
        self.begin(id, self.options.segment_bytes, self.appended.next(), now_ns)
    }

    /// Ends the active segment, if there is one, and goes on in a new one from `first` on.
    pub(super) fn begin(
        &mut self,
        id: SegmentId,
        size: u64,
        first: Lsn,
        now_ns: u64,
    ) -> Result<(), AppendError> {
        if self.segments() >= N {
            return Err(IoError::NoSpace.into());
        }
        let file = self.make(id, size, now_ns)?;
        if let Err(error) = self.seal_active(now_ns) {
            // It holds no record; if it cannot go now, recovery passes over it.
            drop(file);
            let _ = self.store.remove(id, SegmentKind::Log);
            return Err(error);
        }
        let (kind, size) = (SegmentKind::Log, file.size());
        let (count, end, damaged) = (0, FIRST_FRAME, false);
        let stretch = Stretch { id, kind, size, first, count, end, damaged };
        self.active = Some(Active { stretch, file, created_ns: now_ns, dirty_to: 0 });
        self.last_id = id;
        Ok(())
    }

    fn make(&mut self, id: SegmentId, size: u64, now_ns: u64) -> Result<S::File, IoError> {
        let follows = self.options.role == LogRole::Follower;
        match self.create(id, size, now_ns) {
            Err(IoError::NoSpace) if follows && self.remove_aside()? > 0 => {
                self.create(id, size, now_ns)
            }
            // None of this log's: it gives way to the one that the leader names.
            Err(IoError::Exists) if follows => {
                self.store.set_kind(id, SegmentKind::Log, SegmentKind::Aside)?;
                self.create(id, size, now_ns)
            }
            made => made,
        }
    }

    fn create(&self, id: SegmentId, size: u64, now_ns: u64) -> Result<S::File, IoError> {
        tail::create(self.store, id, size, &SegmentHeader::empty(now_ns))
    }

    /// Ends the active segment. Its header says so once its frames are durable.
    pub(super) fn seal_active(&mut self, now_ns: u64) -> Result<(), AppendError> {
        if self.active.is_some() && self.sealed.is_full() {
            return Err(IoError::NoSpace.into());
        }
        self.clear_behind()?;
        self.sync_active()?;
        let Some(active) = self.active.take() else { return Ok(()) };
        // A hint: recovery writes it again when this fails.
        let _ = active.file.write_at(0, &active.header(now_ns, FLAG_SEALED).encode());
        // There is room, as was seen above.
        let _ = self.sealed.push(active.stretch);
        Ok(())
    }

    /// Removes the oldest segment of the log, damaged or not, and with it its records: there is no
    /// room to keep it. A leader removes what was set aside before it too. Returns the LSN that the
    /// log begins with then, or `None` when nothing was removed: the newest records stay, since the
    /// next LSN follows from them, and all do after a failed sync.
    ///
    /// # Errors
    /// The medium fails; no record is gone.
    pub fn retire_first(&mut self) -> Result<Option<Lsn>, IoError> {
        let Some(oldest) = self.sealed.first().copied() else { return Ok(None) };
        let newer = self.stretches().skip(1).find(|stretch| stretch.holds()).map(|it| it.id);
        let Some(newer) = newer.filter(|_| !self.poisoned) else { return Ok(None) };
        // What stays has to be durable before what was durable goes.
        self.sync_active()?;
        match self.store.remove(oldest.id, oldest.kind) {
            Ok(()) | Err(IoError::NotFound) => {}
            Err(error) => return Err(error),
        }
        self.sealed.remove(0);
        if self.options.role == LogRole::Leader {
            // What cannot go now goes with the next one.
            let _ = self.remove_aside_below(Some(newer));
        }
        Ok(Some(self.first()))
    }

    /// Removes segments that were set aside, for the room they take, and returns how many they were.
    /// The records that were still served of them read as a gap then. A leader keeps those from which
    /// the next LSN may follow. A follower does so by itself when there is no room for the next segment.
    ///
    /// # Errors
    /// The medium fails. Some may be gone; of the one at hand nothing is served until the next opening,
    /// which may find it again.
    pub fn remove_aside(&mut self) -> Result<u32, IoError> {
        if self.options.role == LogRole::Follower {
            return self.remove_aside_below(None);
        }
        // What an opening found to be damaged was made durable there.
        let durable = |it: &Stretch| it.damaged || (it.count > 0 && it.first <= self.durable);
        let proof = |it: &&Stretch| it.kind == SegmentKind::Log && durable(it);
        let newest = self.stretches().filter(proof).last().map(|stretch| stretch.id);
        newest.map_or(Ok(0), |newest| self.remove_aside_below(Some(newest)))
    }

    fn remove_aside_below(&mut self, bound: Option<SegmentId>) -> Result<u32, IoError> {
        let mut removed: u32 = 0;
        loop {
            let mut found = None;
            self.store.list(&mut |entry| {
                if entry.kind == SegmentKind::Aside && bound.is_none_or(|bound| entry.id < bound) {
                    found = Some(entry.id);
                }
            })?;
            let Some(id) = found else { return Ok(removed) };
            // First, since a removal that is said to have failed may have happened.
            self.sealed.retain(|stretch| stretch.id != id || stretch.kind != SegmentKind::Aside);
            self.store.remove(id, SegmentKind::Aside)?;
            removed = removed.saturating_add(1);
        }
    }
}
