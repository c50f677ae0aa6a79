//! The books of live bytes against a recount of the tree.

use crate::engine::Engine;
use crate::options::EngineOptions;
use crate::tree::{LiveBytes, TreeEntry};
use crate::write::Write;
use alloc::sync::Arc;
use alloc::vec;
use core::ops::Bound;
use unison_base::limits::SEGMENT_BYTES_MIN;
use unison_base::prng::Prng;
use unison_ports::SegmentKind;
use unison_sim::disk::{CrashDisk, SimStore};

const NOW_MS: u64 = 1_700_000_000_000;

fn options() -> EngineOptions {
    EngineOptions {
        memtable_bytes: 2_000,
        inline_value_bytes: 16,
        segment_bytes: SEGMENT_BYTES_MIN,
        settle_below_percent: 40,
        settle_job_bytes: 10_000,
        ..EngineOptions::default()
    }
}

fn open(disk: &CrashDisk) -> Engine<SimStore> {
    let tree = redb::Database::builder().create_with_backend(disk.tree("ns")).unwrap();
    Engine::open(Arc::new(disk.store("ns")), tree, options(), NOW_MS).unwrap().0
}

fn recount(engine: &Engine<SimStore>) -> (LiveBytes, u64) {
    let view = engine.shared.view.load();
    let (mut live, mut keys) = (LiveBytes::new(), 0);
    for row in view.tree.range(Bound::Unbounded, Bound::Unbounded).unwrap().into_iter().flatten() {
        let (_, entry) = row.unwrap();
        keys += 1;
        if let Some((segment, bytes)) = TreeEntry::decode(entry.value()).unwrap().live() {
            *live.entry(segment).or_default() += bytes;
        }
    }
    (live, keys)
}

fn check(engine: &Engine<SimStore>) {
    let (live, keys) = recount(engine);
    assert_eq!(engine.live, live);
    assert_eq!(engine.tree.live_bytes().unwrap(), live);
    assert_eq!(engine.stats().tree_keys, keys);
}

fn write(engine: &mut Engine<SimStore>, prng: &mut Prng) {
    let key = [u8::try_from(prng.below(40)).unwrap()];
    let length = [8, 100, 3_000, 9_000][usize::try_from(prng.below(4)).unwrap()];
    let value = vec![key[0]; length];
    let write = if prng.chance(20) { Write::delete(&key) } else { Write::put(&key, &value) };
    engine.stage(&write, NOW_MS).unwrap();
    engine.append(NOW_MS).unwrap();
    let durable = engine.log.sync().unwrap();
    engine.publish(durable);
}

#[test]
fn live_bytes_and_keys_equal_a_recount_through_flushes_settling_and_restarts() {
    let mut prng = Prng::new(5);
    let disk = CrashDisk::new();
    let mut engine = open(&disk);
    for _ in 0..1_500 {
        write(&mut engine, &mut prng);
        if prng.chance(15)
            && let Some(job) = engine.flush_now()
        {
            let _ = engine.flushed(job.run()).unwrap();
            check(&engine);
        }
        if prng.chance(10) {
            engine.retire(None, NOW_MS).unwrap();
            if let Some(job) = engine.settle_job() {
                let settled = job.run();
                // A result that is lost changes nothing but the engine's own idea.
                if prng.chance(80) {
                    engine.settled(settled).unwrap();
                    check(&engine);
                }
            }
        }
        if prng.chance(1) {
            drop(engine);
            engine = open(&disk);
            check(&engine);
        }
    }
    assert!(engine.stats().live_segments > 0);
}

/// Fills ten segments, of which every key but the first is then written anew.
fn mostly_dead(disk: &CrashDisk) -> Engine<SimStore> {
    let mut engine = open(disk);
    for round in 0..10_u8 {
        for key in 0..7_u8 {
            let key = if key == 0 { 100 + round } else { key };
            let value = vec![round; 8_000];
            engine.stage(&Write::put(&[key], &value), NOW_MS).unwrap();
        }
        engine.append(NOW_MS).unwrap();
    }
    let durable = engine.log.sync().unwrap();
    engine.publish(durable);
    while let Some(job) = engine.flush_now() {
        let _ = engine.flushed(job.run()).unwrap();
    }
    engine
}

fn files(engine: &Engine<SimStore>, kind: SegmentKind) -> usize {
    engine.log().segments().iter().filter(|info| info.kind == kind).count()
}

#[test]
fn segments_with_little_in_them_are_settled_and_removed() {
    let disk = CrashDisk::new();
    let mut engine = mostly_dead(&disk);
    engine.retire(None, NOW_MS).unwrap();
    let values = files(&engine, SegmentKind::Values);
    assert!(values >= 8, "{values} value files");
    let mut jobs = 0;
    while let Some(job) = engine.settle_job() {
        engine.settled(job.run()).unwrap();
        check(&engine);
        jobs += 1;
    }
    assert!(jobs >= values && engine.stats().settled_values >= 8);
    assert_eq!(files(&engine, SegmentKind::Values), 0);
    assert_eq!(engine.stats().removed_segments, u64::try_from(values).unwrap());
    for round in 0..10_u8 {
        let value = engine.reader().get(&[100 + round]).unwrap().unwrap();
        assert_eq!(&*value.bytes().unwrap(), vec![round; 8_000].as_slice());
    }
}

#[test]
fn settling_that_is_cut_short_goes_on_after_a_restart() {
    let disk = CrashDisk::new();
    let mut engine = mostly_dead(&disk);
    engine.retire(None, NOW_MS).unwrap();
    let job = engine.settle_job().unwrap();
    // Committed, and nobody was told.
    drop(job.run());
    drop(engine);
    let mut engine = open(&disk);
    check(&engine);
    engine.retire(None, NOW_MS).unwrap();
    while let Some(job) = engine.settle_job() {
        engine.settled(job.run()).unwrap();
    }
    assert_eq!(files(&engine, SegmentKind::Values), 0);
    assert_eq!(engine.reader().count().unwrap(), 16);
}

#[test]
fn a_budget_bounds_a_job_and_the_next_one_goes_on() {
    let disk = CrashDisk::new();
    let mut engine = open(&disk);
    for key in 0..7_u8 {
        let value = vec![key; 8_000];
        engine.stage(&Write::put(&[key], &value), NOW_MS).unwrap();
    }
    let filler = vec![9; 60_000];
    engine.stage(&Write::put(b"filler", &filler), NOW_MS).unwrap();
    for key in 0..4_u8 {
        engine.stage(&Write::put(&[key], b"new"), NOW_MS).unwrap();
    }
    engine.append(NOW_MS).unwrap();
    let _ = engine.log.sync().unwrap();
    let job = engine.flush_now().unwrap();
    let _ = engine.flushed(job.run()).unwrap();
    engine.retire(None, NOW_MS).unwrap();
    let mut settled = vec![];
    while let Some(job) = engine.settle_job() {
        let before = engine.stats().settled_values;
        engine.settled(job.run()).unwrap();
        settled.push(engine.stats().settled_values - before);
    }
    assert_eq!(settled, [1, 1, 1], "8,000 bytes each, 10,000 a job");
}
