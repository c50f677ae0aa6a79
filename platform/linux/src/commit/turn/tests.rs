//! What is staged while somebody holds the writer, and nobody waits for.

use super::{CommitQueue, State};
use crate::store::{Durability, Store, StoreOptions};
use std::sync::MutexGuard;
use std::time::Duration;
use unison_base::NamespaceName;
use unison_engine::{EngineOptions, Write};

const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until no worker leads.
fn led<'q>(queue: &'q CommitQueue, state: MutexGuard<'q, State>) -> MutexGuard<'q, State> {
    let waited = queue.relieved.wait_timeout_while(state, PATIENCE, |state| state.leading);
    let (state, waited) = waited.unwrap();
    assert!(!waited.timed_out(), "somebody leads for ever");
    state
}

#[test]
fn what_nobody_waits_for_has_its_round_when_the_writer_is_let_go() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions {
        data_dir: directory.path().to_owned(),
        durability: Durability::Always,
        engine: EngineOptions { segment_bytes: 64 << 10, ..EngineOptions::default() },
        tree_cache_bytes: 1 << 20,
        doubt_trees: false,
    });
    let store = store.unwrap();
    let namespace = store.create(&NamespaceName::new("default").unwrap()).unwrap();
    let queue = &namespace.queue;
    for (key, is_unsynced) in [(b"a", false), (b"b", true)] {
        let mut state = queue.hold();
        let engine = state.engine().unwrap();
        if is_unsynced {
            engine.stage(&Write::put(b"before", b"value"), 1).unwrap();
            engine.append(1).unwrap();
        }
        let staged = engine.stage(&Write::put(key, b"value"), 1).unwrap().lsn;
        queue.lead_elsewhere(&mut state);
        let mut state = led(queue, state);
        assert!(state.engine().unwrap().appended() < staged);
        queue.let_go(&mut state);
        let mut state = led(queue, state);
        assert_eq!(state.engine().unwrap().durable(), staged);
        assert!(!state.wants_a_round());
    }
    store.close().unwrap();
}
