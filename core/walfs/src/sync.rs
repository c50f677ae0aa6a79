//! Making appended records durable, on any thread.

use crate::error::SyncError;
use crate::layout::{FIRST_FRAME, FLAG_ACTIVE, HEADER_BYTES, SegmentHeader};
use crate::log::{Active, Log};
use crate::options::LogRole;
use alloc::sync::Arc;
use alloc::vec::Vec;
use unison_base::atomic::Ordering;
use unison_base::{Lsn, SegmentId};
use unison_ports::{IoError, SegmentFile, SegmentStore};

/// A follower's header is written when so many bytes of frames were synced behind those that it counts:
/// no more have to be written again after a crash, and what the header takes is far below a hundredth.
const HEADER_STEP_BYTES: u64 = 1 << 20;

/// A sealed segment whose frames, and then its header, are still to be made durable.
pub(crate) struct Unsynced<S: SegmentStore> {
    pub(crate) file: Arc<S::File>,
    pub(crate) segment: SegmentId,
    pub(crate) header: [u8; HEADER_BYTES],
    pub(crate) last: Lsn,
}

impl<S: SegmentStore> Unsynced<S> {
    /// The header says "sealed" only behind a successful sync, so that it proves one.
    fn sync(&self) -> Result<(), IoError> {
        self.file.sync()?;
        self.write_header();
        Ok(())
    }

    fn write_header(&self) {
        // A hint: recovery writes it again when this fails.
        let _ = self.file.write_at(0, &self.header);
    }
}

impl<S: SegmentStore> Clone for Unsynced<S> {
    fn clone(&self) -> Self {
        Self { file: Arc::clone(&self.file), ..*self }
    }
}

/// The work of making everything durable that was appended when the ticket was drawn. May run on
/// any thread, while the log goes on.
pub struct SyncTicket<S: SegmentStore> {
    earlier: Vec<Unsynced<S>>,
    newest: Option<(Arc<S::File>, Reached)>,
    covers: Lsn,
    cuts: u64,
}

/// How far the newest segment is synced.
#[derive(Clone, Copy, Debug)]
struct Reached {
    segment: SegmentId,
    /// Behind the last frame.
    end: u64,
}

/// What became of a ticket; the log must be told.
#[derive(Clone, Copy, Debug)]
#[must_use = "the log must be told"]
pub struct SyncOutcome {
    result: Result<(), IoError>,
    covers: Lsn,
    sealed: SegmentId,
    newest: Option<Reached>,
    cuts: u64,
}

impl<S: SegmentStore> SyncTicket<S> {
    /// Syncs, oldest segment first.
    pub fn run(self) -> SyncOutcome {
        let earlier = self.earlier.iter().try_for_each(Unsynced::sync);
        let newest = self.newest.as_ref();
        let result = earlier.and_then(|()| newest.map_or(Ok(()), |(file, _)| file.sync()));
        let sealed = self.earlier.last().map(|unsynced| unsynced.segment).unwrap_or_default();
        let newest = newest.map(|&(_, reached)| reached);
        SyncOutcome { result, covers: self.covers, sealed, newest, cuts: self.cuts }
    }

    /// The newest record that it makes durable.
    #[must_use]
    pub const fn covers(&self) -> Lsn {
        self.covers
    }
}

impl<S: SegmentStore> core::fmt::Debug for SyncTicket<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SyncTicket").field("covers", &self.covers).finish_non_exhaustive()
    }
}

impl SyncOutcome {
    /// Whether the sync succeeded.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        self.result.is_ok()
    }
}

impl<S: SegmentStore> Log<S> {
    /// The work of making durable what is appended so far, in the active segment and in earlier
    /// ones. Does nothing when all of it is durable already.
    #[must_use]
    pub fn sync_ticket(&self) -> SyncTicket<S> {
        let covers = self.appended();
        let newest = self.active.as_ref().filter(|_| covers > self.durable());
        let reached = |active: &Active<S>| {
            let (segment, end) = (active.extent.segment.id, active.extent.end());
            (Arc::clone(&active.file), Reached { segment, end })
        };
        SyncTicket {
            earlier: self.unsynced.clone(),
            newest: newest.map(reached),
            covers,
            cuts: self.shared.cuts.load(Ordering::Acquire),
        }
    }

    /// Takes note of what became of a ticket.
    ///
    /// # Errors
    /// The sync failed, now or before. The log takes no more writes; opening it anew finds what is
    /// really there.
    pub fn completed(&mut self, outcome: SyncOutcome) -> Result<Lsn, SyncError> {
        if let Err(error) = outcome.result {
            self.poison();
            return Err(error.into());
        }
        if self.poisoned {
            return Err(SyncError::Poisoned);
        }
        if outcome.cuts == self.shared.cuts.load(Ordering::Acquire) {
            self.shared.durable.fetch_max(outcome.covers.0, Ordering::AcqRel);
            self.forget_synced(&outcome);
            self.tell_synced(&outcome);
        }
        Ok(self.durable())
    }

    fn forget_synced(&mut self, outcome: &SyncOutcome) {
        self.unsynced.retain(|unsynced| {
            let synced = unsynced.last <= outcome.covers;
            if synced && unsynced.segment > outcome.sealed {
                unsynced.write_header();
            }
            !synced
        });
    }

    /// Has a follower's header say now and then how far its frames were synced. A leader's records say
    /// it themselves.
    fn tell_synced(&mut self, outcome: &SyncOutcome) {
        let now_ns = self.now_ns;
        let follows = self.options.role == LogRole::Follower;
        let Some(active) = self.active.as_mut().filter(|_| follows) else { return };
        let (extent, told) = (&active.extent, active.header.map(|header| header.write_offset));
        let step = told.unwrap_or(FIRST_FRAME).saturating_add(HEADER_STEP_BYTES);
        let due = |it: &Reached| it.segment == extent.segment.id && it.end >= step;
        let Some(reached) = outcome.newest.filter(due) else { return };
        let header = SegmentHeader {
            write_offset: reached.end,
            entry_count: outcome.covers.next().since(extent.first),
            ..active.header_now(now_ns, FLAG_ACTIVE)
        };
        // A hint, which the next sync makes durable.
        let written = active.file.write_at(0, &header.encode());
        active.header = written.ok().map(|()| header);
    }

    /// Makes everything durable that is appended so far, on this thread.
    ///
    /// # Errors
    /// As [`completed`](Self::completed).
    pub fn sync(&mut self) -> Result<Lsn, SyncError> {
        if self.poisoned {
            return Err(SyncError::Poisoned);
        }
        let outcome = self.sync_ticket().run();
        self.completed(outcome)
    }
}
