//! From a frozen memtable to the tree: one transaction with the data and its checkpoint.

mod job;
mod row;
mod stream;

pub use job::{FlushJob, FlushResult};

use crate::engine::Engine;
use crate::errors::FlushError;
use crate::memtable::Memtable;
use crate::read::View;
use alloc::sync::Arc;
use core::fmt;
use unison_base::Lsn;
use unison_ports::SegmentStore;

/// Memory that a flush set free. Dropping it takes time in proportion to what was flushed, unless a
/// reader still holds it: drop it where a pause hurts nobody.
pub struct Released {
    _view: Arc<View>,
    _memtable: Option<Arc<Memtable>>,
}

impl fmt::Debug for Released {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Released")
    }
}

impl<S: SegmentStore> Engine<S> {
    /// The work of flushing the oldest memtable that waits, or the one at hand when it is due; else of
    /// removing more of what has expired or was trimmed. `None` when there is nothing to do, while
    /// another job is out, and, for the memtable at hand, while something is staged. Run it on any
    /// thread and hand the result to [`flushed`](Self::flushed).
    pub fn flush_job(&mut self) -> Option<FlushJob<S>> {
        if self.is_job_out() {
            return None;
        }
        if self.log.staged_bytes() == 0 {
            self.freeze_if_due();
        }
        let view = self.shared.view.load();
        if view.frozen.is_empty() && !view.tree.has_gone() {
            return None;
        }
        let token = self.take_job_slot()?;
        Some(match view.frozen.last() {
            Some(memtable) => FlushJob::write(self, Arc::clone(memtable), token),
            None => FlushJob::remove(self, view.tree.checkpoint.lsn, token),
        })
    }

    /// True when the last flush has left things that expired or were trimmed: the next
    /// [`flush_job`](Self::flush_job) goes on with them.
    #[must_use]
    pub fn has_more_to_remove(&self) -> bool {
        self.shared.view.with(|view| view.tree.has_gone())
    }

    /// As [`flush_job`](Self::flush_job), due or not.
    pub fn flush_now(&mut self) -> Option<FlushJob<S>> {
        let room = self.frozen_memtables < self.options.memtables_max;
        if room && self.log.staged_bytes() == 0 && !self.is_job_out() && !self.active.is_empty() {
            self.freeze();
        }
        self.flush_job()
    }

    /// Takes the result of a flush: lets readers see the new tree, and gives the memtable's memory
    /// back. What was flushed is durable and becomes visible.
    ///
    /// # Errors
    /// The flush failed; its memtable waits for the next attempt. After a failed sync the engine
    /// takes no more writes.
    pub fn flushed(&mut self, result: FlushResult<S>) -> Result<Released, FlushError> {
        if let Some(outcome) = result.outcome {
            self.log.completed(outcome)?;
        }
        let tree = result.flushed?;
        let lsn: Lsn = tree.view.checkpoint.lsn;
        self.publish(lsn);
        self.live = tree.live;
        let view = self.shared.view.load();
        let mut frozen = view.frozen.clone();
        let memtable = tree.keys.and_then(|keys| {
            self.counters.flushes += 1;
            self.counters.flushed_keys = self.counters.flushed_keys.saturating_add(keys);
            frozen.pop()
        });
        self.frozen_memtables = frozen.len();
        let next = View::new(Arc::clone(&view.active), frozen, Arc::new(tree.view));
        let before = self.replace_view(next);
        Ok(Released { _view: before, _memtable: memtable })
    }
}
