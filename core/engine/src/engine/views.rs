//! Replacing the view that readers see, in an order that no reader can trip over.

use super::Engine;
use crate::memtable::{MEMTABLE_BYTES_MAX, Memtable};
use crate::read::View;
use crate::stats::Pressure;
use alloc::sync::Arc;
use unison_base::Lsn;
use unison_base::atomic::Ordering;
use unison_base::limits::INDEX_BYTES_MAX;
use unison_ports::SegmentStore;

impl<S: SegmentStore> Engine<S> {
    pub(crate) fn set_applied(&mut self, applied: Lsn) {
        self.shared.applied.store(applied.0, Ordering::Release);
    }

    /// Makes a view the newest. Returns the one before, for its memory.
    pub(crate) fn replace_view(&mut self, view: View) -> Arc<View> {
        let before = self.shared.view.load();
        self.shared.view.store(Arc::new(view));
        self.superseded.retain(|view| view.strong_count() > 0);
        self.superseded.push(Arc::downgrade(&before));
        before
    }

    /// True while some reader holds a view that is no longer the newest: what that view's tree
    /// points to must stay.
    pub(crate) fn is_watched(&self) -> bool {
        self.superseded.iter().any(|view| view.strong_count() > 0)
    }

    /// How full memory is.
    #[must_use]
    pub fn pressure(&self) -> Pressure {
        let (frozen, due) = (self.frozen_memtables, self.is_active_due());
        let limit = self.options.memtables_max;
        match (frozen, due) {
            (memtables, true) if memtables >= limit => Pressure::Full { memtables, limit },
            (memtables @ 1.., _) if self.is_memory_full() => Pressure::Full { memtables, limit },
            (0, false) => Pressure::None,
            _ => Pressure::FlushDue,
        }
    }

    fn is_active_due(&self) -> bool {
        self.active.bytes() >= self.memtable_bytes()
            || self.active.log_bytes() >= self.options.checkpoint_log_bytes
    }

    fn memtable_bytes(&self) -> usize {
        self.options.memtable_bytes.min(MEMTABLE_BYTES_MAX)
    }

    /// True when the memtable has passed its size by what the largest write takes.
    pub(crate) fn is_active_over(&self) -> bool {
        self.active.bytes() >= self.memtable_bytes().saturating_add(INDEX_BYTES_MAX)
    }

    /// True when all memtables together would no longer have room in one.
    fn is_memory_full(&self) -> bool {
        let bytes = |view: &View| view.memtables().map(|memtable| memtable.bytes()).sum::<usize>();
        self.shared.view.with(bytes) >= MEMTABLE_BYTES_MAX
    }

    /// Freezes the memtable when it is due and another one may wait.
    pub(crate) fn freeze_if_due(&mut self) {
        if self.is_active_due() && self.frozen_memtables < self.options.memtables_max {
            self.freeze();
        }
    }

    /// Puts a new memtable before the one at hand. Nothing may be staged: what is above the last
    /// appended record goes into the new one only.
    ///
    /// A reader that took the view before this one finds in the frozen memtable how far that view
    /// reaches, whatever is published later.
    pub(crate) fn freeze(&mut self) {
        self.freeze_at(self.log.appended());
    }

    /// As [`freeze`](Self::freeze), while replay has come as far as `last` only.
    pub(crate) fn freeze_at(&mut self, last: Lsn) {
        let view = self.shared.view.load();
        let active = Arc::new(Memtable::new(self.active.watermark()));
        self.active.freeze(last, self.transactions.oldest());
        let frozen = core::iter::once(&self.active).chain(&view.frozen).map(Arc::clone).collect();
        let next = View::new(Arc::clone(&active), frozen, Arc::clone(&view.tree));
        self.replace_view(next);
        self.active = active;
        self.frozen_memtables += 1;
    }

    /// Takes the one slot for a job on the tree; `None` while another job is out. The slot is free
    /// again when the token is dropped.
    pub(crate) fn take_job_slot(&mut self) -> Option<Arc<()>> {
        if self.job.strong_count() > 0 {
            return None;
        }
        let token = Arc::new(());
        self.job = Arc::downgrade(&token);
        Some(token)
    }

    /// True while a flush or a settling is out.
    pub(crate) fn is_job_out(&self) -> bool {
        self.job.strong_count() > 0
    }
}
