//! Work that a write makes due and does not wait for: segments made ahead, flushes, settling.

use super::queue::{CommitQueue, State};
use crate::FileStore;
use crate::store::Failure;
use std::sync::Arc;
use std::time::Instant;
use unison_engine::{Engine, EngineOptions, FlushError, Pressure};

/// After removing what is gone the tree rests for so many times as long: its syncs hold up the log's,
/// and nobody waits for the space.
const REMOVAL_PAUSES: u32 = 3;

impl CommitQueue {
    /// Hands due work to the background: a segment to be made ahead, a flush, a settling.
    pub(super) fn housekeep(self: &Arc<Self>, state: &mut State) {
        self.prepare_segment(state);
        self.flush_memtable(state);
        self.settle(state);
    }

    /// Ends transactions that nobody will end, trims topics that have more than their rule keeps, and goes
    /// on with removing what is gone.
    pub(crate) fn tend(self: &Arc<Self>) {
        let mut state = self.lock_in_turn();
        let now_ms = self.now_ms();
        self.flush_memtable(&mut state);
        let Ok(engine) = state.engine() else { return };
        let before = engine.next_lsn();
        let tended = [engine.tend_transactions(now_ms), engine.trim_topics(now_ms)];
        let has_written = engine.next_lsn() > before;
        state.count_transactions();
        for error in tended.into_iter().filter_map(Result::err) {
            let error = self.named(error);
            self.refused(&mut state, error);
        }
        // Also when one of them came to its end half-way.
        if has_written {
            self.lead_elsewhere(&mut state);
        }
    }

    /// Lets old segments leave the log, where it was told how much of it to keep; without that it keeps
    /// everything. Nobody follows such a log: see the hub's configuration.
    pub(crate) fn retire(self: &Arc<Self>) {
        let now_ns = self.now_ms().saturating_mul(1_000_000);
        let mut state = self.lock();
        let Ok(engine) = state.engine() else { return };
        let EngineOptions { keep_bytes, keep_ms, .. } = engine.options();
        if keep_bytes.is_none() && keep_ms.is_none() {
            return;
        }
        match engine.retire(None, now_ns) {
            Ok(retired) => {
                if !retired.is_empty() {
                    tracing::info!(segments = retired.len(), "left the log");
                }
                self.room.measure();
                self.settle(&mut state);
            }
            Err(error) => tracing::error!(%error, "a segment could not leave the log; trying on"),
        }
    }

    fn prepare_segment(self: &Arc<Self>, state: &mut State) {
        if state.preparing {
            return;
        }
        let Some(engine) = &state.engine else { return };
        let Some(preparation) = engine.preparation() else { return };
        self.room.reserve(engine.stats().memtable_bytes);
        state.preparing = true;
        let queue = Arc::clone(self);
        self.shared.background.run(move || {
            let prepared = preparation.run();
            let mut state = queue.lock();
            state.preparing = false;
            if let Ok(engine) = state.engine() {
                engine.install(prepared);
            }
            queue.relieved.notify_all();
        });
    }

    fn flush_memtable(self: &Arc<Self>, state: &mut State) {
        // What is gone can be removed after the next start as well: nobody waits for it at the end.
        if state.flushing || state.closing || !self.has_room_to_flush(state) {
            return;
        }
        let only_removes = |engine: &Engine<FileStore>| engine.pressure() == Pressure::None;
        let only_removes = state.engine.as_ref().is_some_and(only_removes);
        if only_removes && Instant::now() < state.removes_from {
            return;
        }
        let Some(job) = state.engine.as_mut().and_then(Engine::flush_job) else { return };
        state.flushing = true;
        let queue = Arc::clone(self);
        self.shared.background.run(move || {
            let began = Instant::now();
            let result = job.run();
            queue.room.measure();
            let mut state = queue.lock();
            state.flushing = false;
            if only_removes {
                state.removes_from = Instant::now() + began.elapsed() * REMOVAL_PAUSES;
            }
            let flushed = state.engine.as_mut().map(|engine| engine.flushed(result));
            match &flushed {
                Some(Err(error)) => {
                    tracing::error!(%error, "flush failed; the log keeps what the tree lacks");
                    queue.tell_of_flush(*error);
                }
                _ => queue.housekeep(&mut state),
            }
            queue.relieved.notify_all();
            drop(state);
            // A whole memtable goes here: not while writers wait.
            drop(flushed);
        });
    }

    /// A tree that failed in the middle serves neither flushes nor reads before it is opened again.
    fn tell_of_flush(&self, error: FlushError) {
        if let FlushError::Tree(error) = error {
            self.shared.failures.each(|told| told(Failure::Tree(error)));
        }
    }

    fn has_room_to_flush(&self, state: &mut State) -> bool {
        let Some(engine) = &state.engine else { return false };
        if engine.pressure() == Pressure::None {
            return true;
        }
        let has_room = self.room.suffices(engine.stats().memtable_bytes);
        if !has_room && !state.short_of_room {
            tracing::error!("no room on the disk to flush memory into the tree; trying on");
        }
        state.short_of_room = !has_room;
        has_room
    }

    fn settle(self: &Arc<Self>, state: &mut State) {
        if state.settling || state.flushing {
            return;
        }
        let Some(job) = state.engine.as_mut().and_then(Engine::settle_job) else { return };
        state.settling = true;
        let queue = Arc::clone(self);
        self.shared.background.run(move || {
            let result = job.run();
            let mut state = queue.lock();
            state.settling = false;
            if let Some(Err(error)) = state.engine.as_mut().map(|e| e.settled(result)) {
                tracing::error!(%error, "settling a segment failed; it stays");
            }
            queue.relieved.notify_all();
        });
    }
}
