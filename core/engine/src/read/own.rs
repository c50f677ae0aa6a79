//! What an open transaction sees: its own changes before everything there is, as if each of its
//! records stood alone and were the newest of all.
//!
//! ```text
//! own memtable ── memtable that is written ── those that wait for a flush ── tree
//! ```
//!
//! Versions in the own memtable have the LSN of the transaction's record with the highest bit set. So
//! a row that it deleted hides every cell of others, also one that was written behind its record, as
//! it will when the transaction is committed. Nobody outside is shown that bit.

use super::reader::{Reader, Shared};
use super::view::View;
use alloc::sync::Arc;
use unison_base::atomic::AtomicU64;
use unison_base::{Lsn, Published};
use unison_ports::SegmentStore;

const OWN: u64 = 1 << 63;

/// The LSN of a version that a transaction's record at `lsn` made.
pub(crate) fn own(lsn: Lsn) -> Lsn {
    Lsn(lsn.0 | OWN)
}

/// Whether a version is a transaction's own.
pub(crate) fn is_own(lsn: Lsn) -> bool {
    lsn.0 & OWN != 0
}

/// The record that made a version.
pub(crate) fn record_of(lsn: Lsn) -> Lsn {
    Lsn(lsn.0 & !OWN)
}

impl<S: SegmentStore> Shared<S> {
    /// What a reader shares with nobody: one view, up to one LSN.
    pub(crate) fn fixed(&self, view: Arc<View>, applied: Lsn) -> Arc<Self> {
        Arc::new(Self {
            view: Published::holding(view),
            applied: AtomicU64::new(applied.0),
            log: self.log.clone(),
            counted: Published::holding(self.counted.load()),
            patterns: Published::holding(self.patterns.load()),
            rules: Published::holding(self.rules.load()),
            keys: Published::holding(self.keys.load()),
        })
    }
}

impl<S: SegmentStore> Reader<S> {
    /// A reader of what is visible now, whatever comes later: all that it is asked is answered at one
    /// LSN. Holding one costs what holding a [`snapshot`](Self::snapshot) does.
    #[must_use]
    pub fn held(&self) -> Self {
        let view = self.shared.view.load();
        let applied = view.bound(self.shared.applied());
        Self { shared: self.shared.fixed(view, applied), now_ms: self.now_ms }
    }
}
