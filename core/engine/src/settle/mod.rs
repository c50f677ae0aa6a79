//! Space: segments that left the log, while values in them are still pointed to.
//!
//! A segment's file goes when nothing in it is live. When little of it is, the rest is copied into
//! the tree first. All of it can be interrupted anywhere: the tree says at any time what is live.

mod job;

pub use job::{SettleJob, SettleResult};

use crate::engine::Engine;
use crate::errors::SettleError;
use crate::read::View;
use alloc::sync::Arc;
use alloc::vec::Vec;
use unison_base::{Lsn, SegmentId};
use unison_ports::{IoError, SegmentKind, SegmentStore};
use unison_walfs::{Covered, RetentionPolicy, Retired, SegmentInfo};

impl<S: SegmentStore> Engine<S> {
    /// Lets the oldest segments leave the log, as far as policy, checkpoint, followers (their
    /// lowest acknowledged LSN, if there are any) and open readers allow. Then removes files in
    /// which nothing is live.
    ///
    /// # Errors
    /// The medium failed; what was done so far stays done.
    pub fn retire(&mut self, followers: Option<Lsn>, now_ns: u64) -> Result<Vec<Retired>, IoError> {
        // One that began above the checkpoint is kept by that.
        let checkpoint = self.shared.view.with(|view| view.tree.checkpoint);
        let covered = Covered {
            checkpoint: checkpoint.lsn,
            transactions: checkpoint.oldest_open,
            followers,
            follower_quota_bytes: self.options.follower_quota_bytes,
        };
        let policy = RetentionPolicy {
            keep_bytes: self.options.keep_bytes,
            keep_ms: self.options.keep_ms,
            now_ns,
        };
        let (live, watched) = (&self.live, self.is_watched());
        let mut has_live = |segment: SegmentId| watched || live.contains_key(&segment);
        let retired = self.log.retire(covered, policy, &mut has_live)?;
        self.remove_dead()?;
        Ok(retired)
    }

    /// The work of settling the segment of which the least is live, when it is below the threshold.
    /// `None` when there is nothing to do or another job is out. Run it on any thread and hand the
    /// result to [`settled`](Self::settled).
    pub fn settle_job(&mut self) -> Option<SettleJob<S>> {
        let segment = self.settle_candidate()?;
        let token = self.take_job_slot()?;
        Some(SettleJob::new(self, segment, token))
    }

    fn settle_candidate(&self) -> Option<SegmentId> {
        if self.live.is_empty() || self.is_job_out() {
            return None;
        }
        let below = |info: &SegmentInfo| {
            let bound = info.size / 100 * u64::from(self.options.settle_below_percent.min(100));
            let live = self.live_bytes(info.id);
            let values = info.kind == SegmentKind::Values && !self.unsettled.contains(&info.id);
            values && live > 0 && live <= bound
        };
        let segments = self.log.reader().segments();
        let least = segments.iter().filter(|info| below(info));
        least.min_by_key(|info| self.live_bytes(info.id)).map(|info| info.id)
    }

    /// Takes the result of a settling: lets readers see the new tree, and removes the segment's file
    /// when nothing in it is live and nobody looks at an older state.
    ///
    /// # Errors
    /// The settling failed; everything is as before.
    pub fn settled(&mut self, result: SettleResult<S>) -> Result<(), SettleError> {
        let settled = match result.settled {
            Ok(settled) => settled,
            Err(error) => {
                self.pass_over(result.segment);
                return Err(error);
            }
        };
        self.live = settled.live;
        if settled.values == 0 {
            // Nothing of it can be read or found any more: the others come first from now on.
            self.pass_over(result.segment);
        }
        self.counters.settled_values = self.counters.settled_values.saturating_add(settled.values);
        let view = self.shared.view.load();
        let (active, frozen) = (Arc::clone(&view.active), view.frozen.clone());
        drop(view);
        self.replace_view(View::new(active, frozen, Arc::new(settled.view)));
        Ok(self.remove_dead()?)
    }

    fn pass_over(&mut self, segment: SegmentId) {
        self.unsettled.insert(segment);
    }

    /// Removes the files of segments that left the log and hold nothing live, unless somebody still
    /// looks at a state in which something was.
    pub(crate) fn remove_dead(&mut self) -> Result<(), IoError> {
        if self.is_watched() {
            return Ok(());
        }
        for info in self.log.reader().segments() {
            if info.kind == SegmentKind::Values && !self.live.contains_key(&info.id) {
                self.log.remove_values(info.id)?;
                self.counters.removed_segments += 1;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
