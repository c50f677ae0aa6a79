//! What a reader may find between its two looks: at the view, and at the watermark.

use crate::engine::Engine;
use crate::expiry::At;
use crate::memtable::StorageKey;
use crate::models::kv;
use crate::options::EngineOptions;
use crate::read::Found;
use crate::write::Write;
use alloc::sync::Arc;
use unison_base::Lsn;
use unison_sim::disk::{CrashDisk, SimStore};

const NOW_MS: u64 = 1_700_000_000_000;

fn engine() -> Engine<SimStore> {
    let disk = CrashDisk::new();
    let tree = redb::Database::builder().create_with_backend(disk.tree("ns")).unwrap();
    let store = Arc::new(disk.store("ns"));
    Engine::open(store, tree, EngineOptions::default(), NOW_MS).unwrap().0
}

fn put(engine: &mut Engine<SimStore>, value: &[u8]) {
    engine.stage(&Write::put(b"key", value), NOW_MS).unwrap();
    engine.append(NOW_MS).unwrap();
    let durable = engine.log.sync().unwrap();
    engine.publish(durable);
}

#[test]
fn a_view_taken_before_a_freeze_does_not_reach_beyond_it() {
    let mut engine = engine();
    let shared = Arc::clone(&engine.shared);
    put(&mut engine, b"old");
    let view = shared.view.load();
    engine.freeze();
    put(&mut engine, b"new");
    // The watermark is ahead of what the view holds, and the view knows.
    assert_eq!(shared.applied(), Lsn(2));
    assert_eq!(view.bound(shared.applied()), Lsn(1));
    let key = StorageKey::prefixed(kv::PREFIX, b"key");
    let newest = |view: &super::View| {
        let found: Option<Found<SimStore>> =
            view.find(key.as_bytes(), At { lsn: view.bound(shared.applied()), now_ms: 0 }).unwrap();
        found.unwrap().lsn
    };
    assert_eq!(newest(&view), Lsn(1));
    assert_eq!(newest(&shared.view.load()), Lsn(2));
}

#[test]
fn a_view_taken_before_a_flush_tells_what_it_told() {
    let mut engine = engine();
    put(&mut engine, b"old");
    let snapshot = engine.reader().snapshot();
    let view = engine.shared.view.load();
    put(&mut engine, b"new");
    let job = engine.flush_now().unwrap();
    let _ = engine.flushed(job.run()).unwrap();
    assert_eq!((view.oldest(), engine.shared.view.load().oldest()), (Lsn::ZERO, Lsn(2)));
    assert!(engine.is_watched());
    assert_eq!(&*snapshot.get(b"key").unwrap().unwrap().bytes().unwrap(), b"old");
    drop((snapshot, view));
    assert!(!engine.is_watched());
}
