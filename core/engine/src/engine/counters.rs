//! What happened since the engine was opened.

use super::Engine;
use crate::stats::EngineStats;
use unison_ports::SegmentStore;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) flushes: u64,
    pub(crate) flushed_keys: u64,
    pub(crate) settled_values: u64,
    pub(crate) removed_segments: u64,
    pub(crate) rolled_back: u64,
}

impl<S: SegmentStore> Engine<S> {
    /// State and counters.
    #[must_use]
    pub fn stats(&self) -> EngineStats {
        let view = self.shared.view.load();
        let counters = self.counters;
        let skipped = view.memtables().map(|memtable| memtable.skipped()).sum::<u64>();
        EngineStats {
            appended: self.appended(),
            durable: self.durable(),
            applied: self.applied(),
            checkpoint: view.tree.checkpoint.lsn,
            hlc: self.hlc(),
            tree_keys: view.tree.checkpoint.keys,
            tree_rows: view.tree.checkpoint.rows,
            memtable_bytes: view.memtables().map(|memtable| memtable.bytes()).sum(),
            frozen_memtables: view.frozen.len(),
            replay_bytes: view.memtables().map(|memtable| memtable.log_bytes()).sum(),
            live_bytes: self.live.values().sum(),
            live_segments: self.live.len(),
            skipped_records: view.tree.checkpoint.skipped.saturating_add(skipped),
            flushes: counters.flushes,
            flushed_keys: counters.flushed_keys,
            settled_values: counters.settled_values,
            removed_segments: counters.removed_segments,
            rolled_back: counters.rolled_back,
        }
    }
}
