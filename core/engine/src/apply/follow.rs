//! A follower: runs of a leader's frames, verified before they touch the log.

use super::{Room, Taken};
use crate::engine::Engine;
use crate::errors::{ApplyError, CutError};
use crate::memtable::Memtable;
use crate::read::{Counted, View};
use crate::stats::Pressure;
use alloc::sync::Arc;
use alloc::vec::Vec;
use unison_base::frame::{Frame, Frames};
use unison_base::limits::{RUN_BYTES_MAX, TRANSACTIONS_INDEX_BYTES_MAX};
use unison_base::{Lsn, Position, SegmentId};
use unison_ports::SegmentStore;
use unison_walfs::{Bound, ReadError, RunError, RunHeader};

/// A run whose versions take more than this in the index, bytes, is taken in parts. Frames that hold
/// no more than they must take about as much in the index as in the log.
const PART_INDEX_BYTES: usize = 2 * RUN_BYTES_MAX;

/// What open transactions may take in the index, bytes: all that a leader of this version lets them,
/// and as much for rounding.
const TRANSACTIONS_BYTES_MAX: usize = 2 * TRANSACTIONS_INDEX_BYTES_MAX;

/// How far a run is verified.
struct Part {
    bytes: usize,
    count: u32,
    is_last: bool,
}

impl Part {
    const fn first(bytes: usize, count: u32) -> Self {
        Self { bytes, count, is_last: false }
    }
}

impl<S: SegmentStore> Engine<S> {
    /// Takes a run of a leader's frames: verifies every record of it, appends the very bytes at the
    /// very place, and puts the versions into the memtable. Records that are here already are
    /// passed over. Nothing is durable or visible yet.
    ///
    /// # Errors
    /// Nothing of the run was taken. Of one whose keys fill megabytes of the index, or the
    /// [room](Self::set_index_room) there is, a first part may have been: the same run, or one that
    /// begins behind [`appended`](Self::appended), goes on there.
    pub fn apply_run(
        &mut self,
        run: RunHeader,
        frames: &[u8],
        _now_ms: u64,
    ) -> Result<Lsn, ApplyError> {
        let (mut run, mut frames, mut room) = (run, frames, self.index_room);
        loop {
            let part =
                self.apply_part(&run, frames, room).inspect_err(|_| self.incoming.clear())?;
            room = room.saturating_sub(self.incoming.index_bytes());
            self.apply_incoming();
            self.learn_topics();
            self.freeze_if_due();
            if part.is_last {
                return Ok(self.log.appended());
            }
            frames = frames.get(part.bytes..).unwrap_or_default();
            run = behind(&run, &part).ok_or(RunError::Header)?;
        }
    }

    /// From now on a run is taken as far as its versions take so many bytes in the index: an owner
    /// that counts its memory says before each run how much there is.
    pub fn set_index_room(&mut self, bytes: usize) {
        self.index_room = bytes;
    }

    /// Verifies and appends as much of a run as goes into the memtable at a time.
    fn apply_part(
        &mut self,
        run: &RunHeader,
        frames: &[u8],
        room: usize,
    ) -> Result<Part, ApplyError> {
        if let full @ Pressure::Full { .. } = self.pressure() {
            return Err(ApplyError::Busy(full));
        }
        let bytes = self.transactions.index_bytes();
        if bytes > TRANSACTIONS_BYTES_MAX {
            let limit = TRANSACTIONS_BYTES_MAX;
            return Err(ApplyError::Transactions { bytes, limit });
        }
        let part = self.verify_part(run, frames, room)?;
        if part.is_last {
            self.log.append_run(*run, frames)?;
        } else {
            let header = RunHeader { count: part.count, ..*run };
            self.log.append_run(header, frames.get(..part.bytes).unwrap_or_default())?;
        }
        Ok(part)
    }

    fn verify_part(
        &mut self,
        run: &RunHeader,
        frames: &[u8],
        room: usize,
    ) -> Result<Part, ApplyError> {
        let checkpoint = self.shared.view.with(|view| view.tree.checkpoint);
        let appended = self.log.appended();
        let mut walked = Frames::new(frames);
        let (mut count, mut taken_bytes) = (0_u32, 0);
        while let Some((position, frame)) = next_frame(&mut walked, run)? {
            if frame.lsn == checkpoint.lsn && frame.crc != checkpoint.crc {
                return Err(ApplyError::Diverged { lsn: frame.lsn });
            }
            if frame.lsn > appended {
                let lsn = frame.lsn;
                let of_index = Room { bytes: room, transactions: Some(&self.transactions) };
                let taken = self.incoming.take(frame.payload, position, checkpoint.lsn, of_index);
                match taken.map_err(|cause| ApplyError::Record { lsn, cause })? {
                    Taken::Whole => {}
                    Taken::NoRoom { .. } if count > 0 => {
                        return Ok(Part::first(taken_bytes, count));
                    }
                    Taken::NoRoom { index_bytes: bytes } => {
                        return Err(ApplyError::Memory { lsn, bytes, room });
                    }
                }
            }
            count = count.saturating_add(1);
            taken_bytes = walked.consumed();
            if self.incoming.index_bytes() >= PART_INDEX_BYTES && taken_bytes < frames.len() {
                return Ok(Part::first(taken_bytes, count));
            }
        }
        Ok(Part { bytes: frames.len(), count, is_last: true })
    }

    /// Ends the segment where the leader ended it, and begins the next one.
    ///
    /// # Errors
    /// What the log says; nothing changed.
    pub fn seal_at(
        &mut self,
        segment: SegmentId,
        offset: u32,
        next_segment_bytes: u64,
        now_ms: u64,
    ) -> Result<(), ApplyError> {
        let now_ns = now_ms.saturating_mul(1_000_000);
        Ok(self.log.seal_at(segment, offset, next_segment_bytes, now_ns)?)
    }

    /// Sets aside everything above `lsn`, which another history than the leader's has written.
    /// Snapshots that are held keep their keys, and every value at or below `lsn`; reading one above
    /// fails once its place has been written anew.
    ///
    /// # Errors
    /// [`CutError::BelowCheckpoint`] when the tree holds what should go, [`CutError::Transactions`] when
    /// it is not known any more what open transactions have written; what the log says. A log that
    /// failed may have lost more than asked, which has to be fetched again; readers see what is left.
    pub fn cut_after(&mut self, lsn: Lsn, now_ms: u64) -> Result<(), CutError> {
        let view = self.shared.view.load();
        let checkpoint = view.tree.checkpoint.lsn;
        if lsn < checkpoint {
            return Err(CutError::BelowCheckpoint { checkpoint });
        }
        if self.is_job_out() {
            return Err(CutError::Flushing);
        }
        let cut = self.log.cut_after(lsn, now_ms.saturating_mul(1_000_000));
        let lsn = if cut.is_ok() { lsn } else { self.log.appended() };
        self.keep_up_to(lsn, &view);
        let reloaded = self.reload_topics();
        let reopened = self.reopen_transactions(lsn, view.tree.checkpoint.replay_from());
        self.incoming.forget_defined();
        cut?;
        reloaded?;
        reopened
    }

    /// Finds out which transactions are open at `lsn`, now the end of the log: one of which the commit
    /// was cut away is open again. None is whole of which a record cannot be read, and none may be.
    fn reopen_transactions(&mut self, lsn: Lsn, from: Lsn) -> Result<(), CutError> {
        self.transactions.clear();
        if from > self.log.appended() {
            return Ok(());
        }
        self.reopen_from(from, lsn).map_err(|_| {
            self.transactions.break_all();
            CutError::Transactions
        })
    }

    fn reopen_from(&mut self, from: Lsn, lsn: Lsn) -> Result<(), ReadError> {
        let mut cursor = self.log.reader().cursor(from, Bound::Appended)?;
        while let Some(record) = cursor.next()? {
            let (payload, place) = (&record.payload, record.position);
            if self.incoming.take(payload, place, lsn, Room::UNBOUNDED).is_ok() {
                self.apply_incoming();
            }
        }
        Ok(())
    }

    /// Forgets what memory holds above `lsn`.
    fn keep_up_to(&mut self, lsn: Lsn, view: &View) {
        let active = Arc::new(Memtable::new(view.tree.checkpoint.expired_to));
        // Oldest first: of a key that several hold, the version that comes last is the newest.
        let memtables: Vec<_> = view.memtables().collect();
        memtables.into_iter().rev().for_each(|memtable| memtable.copy_up_to(lsn, &active));
        self.active = Arc::clone(&active);
        self.frozen_memtables = 0;
        // The watermark goes back before the view does, so no reader looks for what is gone.
        let kept = lsn.max(view.tree.checkpoint.lsn);
        self.set_applied(self.applied().min(kept));
        self.shared.counted.store(Arc::new(Counted::nothing()));
        self.replace_view(View::new(active, Vec::new(), Arc::clone(&view.tree)));
    }
}

/// What a run is behind its first part.
fn behind(run: &RunHeader, part: &Part) -> Option<RunHeader> {
    let offset = run.offset.checked_add(u32::try_from(part.bytes).ok()?)?;
    let first = run.first.plus(u64::from(part.count));
    let count = run.count.checked_sub(part.count)?;
    Some(RunHeader { offset, first, count, ..*run })
}

/// The next sound frame of a run, with its place.
fn next_frame<'a>(
    frames: &mut Frames<'a>,
    run: &RunHeader,
) -> Result<Option<(Position, Frame<'a>)>, ApplyError> {
    let place = |offset: usize| {
        let offset = u32::try_from(offset).ok().and_then(|offset| run.offset.checked_add(offset));
        offset.map(|offset| Position { segment: run.segment, offset })
    };
    let at = place(frames.consumed()).ok_or(RunError::Header)?;
    match frames.next() {
        None => Ok(None),
        Some(Err(error)) => Err(RunError::Frame { at, error }.into()),
        Some(Ok((_, frame))) => Ok(Some((at, frame))),
    }
}
