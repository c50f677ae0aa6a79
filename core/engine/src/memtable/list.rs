//! The skip list and the collector of what is taken out of it.
//!
//! With the standard library every thread keeps its place in one collector of the process; without,
//! each list has its own and every access registers anew. Nothing else differs.

use super::{Entry, VersionedKey};
use crossbeam_epoch::{Collector, Guard};
use crossbeam_skiplist::SkipList;

pub(super) struct List {
    pub(super) entries: SkipList<VersionedKey, Entry>,
    #[cfg(not(feature = "std"))]
    collector: Collector,
}

impl List {
    pub(super) fn new() -> Self {
        #[cfg(feature = "std")]
        let list = Self { entries: SkipList::new(process_collector()) };
        #[cfg(not(feature = "std"))]
        let list = {
            let collector = Collector::new();
            Self { entries: SkipList::new(collector.clone()), collector }
        };
        list
    }

    #[inline]
    pub(super) fn pin(&self) -> Guard {
        #[cfg(feature = "std")]
        let guard = crossbeam_epoch::pin();
        #[cfg(not(feature = "std"))]
        let guard = self.collector.register().pin();
        guard
    }
}

#[cfg(feature = "std")]
fn process_collector() -> Collector {
    crossbeam_epoch::default_collector().clone()
}
