//! Reliability row 10 with the tree: bytes written for bytes of keys and values.

use std::sync::Arc;
use unison_base::prng::Prng;
use unison_engine::{Engine, EngineOptions, Write};
use unison_sim::disk::CrashDisk;

const KEY_BYTES: usize = 16;
const VALUE_BYTES: usize = 1_024;
const ENTRIES: u64 = 24_000;
const GROUP: u64 = 16;

fn engine(disk: &CrashDisk) -> Engine<unison_sim::disk::SimStore> {
    let mut builder = redb::Database::builder();
    let tree = builder.set_cache_size(16 << 20).create_with_backend(disk.tree("default")).unwrap();
    let options = EngineOptions {
        memtable_bytes: 1 << 20,
        segment_bytes: 4 << 20,
        checkpoint_log_bytes: 16 << 20,
        ..EngineOptions::default()
    };
    Engine::open(Arc::new(disk.store("default")), tree, options, 0).unwrap().0
}

fn flush(engine: &mut Engine<unison_sim::disk::SimStore>) {
    while let Some(job) = engine.flush_job() {
        drop(engine.flushed(job.run()).unwrap());
    }
}

#[test]
fn log_and_tree_write_at_most_four_times_what_they_hold() {
    let disk = CrashDisk::new();
    let mut engine = engine(&disk);
    let mut prng = Prng::new(1);
    let (mut key, mut value) = ([0; KEY_BYTES], [0; VALUE_BYTES]);
    for number in 1..=ENTRIES {
        prng.fill(&mut key);
        prng.fill(&mut value);
        engine.stage(&Write::put(&key, &value), number).unwrap();
        if number % GROUP == 0 {
            engine.append(number).unwrap();
            let durable = engine.synced(engine.sync_ticket().run()).unwrap();
            engine.publish(durable);
            flush(&mut engine);
        }
    }
    let last = engine.flush_now().unwrap();
    drop(engine.flushed(last.run()).unwrap());
    let counters = disk.counters();
    let user_bytes = ENTRIES * (KEY_BYTES + VALUE_BYTES) as u64;
    let per_byte = |bytes: u64| bytes as f64 / user_bytes as f64;
    let (log, tree) = (per_byte(counters.segment_bytes), per_byte(counters.tree_bytes));
    println!(
        "bytes written a byte of keys and values: log {log:.3}, tree {tree:.3}, pages of both {:.3}",
        per_byte(counters.synced_page_bytes)
    );
    assert!(log <= 1.3, "log {log}");
    assert!(log + tree <= 4.0, "log and tree {}", log + tree);
}
