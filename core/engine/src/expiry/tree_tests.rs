//! What flushes leave in the tree: its books and its expiry index against a recount.

use crate::engine::Engine;
use crate::expiry::{Expiry, indexed};
use crate::models::row::split;
use crate::options::EngineOptions;
use crate::tree::{LiveBytes, TreeEntry, TreeWrite};
use crate::write::{ColumnNames, ColumnValues, Operation, Write};
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Bound;
use unison_base::limits::SEGMENT_BYTES_MIN;
use unison_base::prng::Prng;
use unison_sim::disk::{CrashDisk, SimStore};

fn open(disk: &CrashDisk) -> Engine<SimStore> {
    let options = EngineOptions {
        inline_value_bytes: 16,
        segment_bytes: SEGMENT_BYTES_MIN,
        settle_below_percent: 60,
        ..EngineOptions::default()
    };
    let tree = redb::Database::builder().create_with_backend(disk.tree("ns")).unwrap();
    Engine::open(Arc::new(disk.store("ns")), tree, options, 1).unwrap().0
}

fn commit(engine: &mut Engine<SimStore>) {
    engine.append(1).unwrap();
    let durable = engine.log.sync().unwrap();
    engine.publish(durable);
}

fn flush(engine: &mut Engine<SimStore>) {
    commit(engine);
    while let Some(job) = engine.flush_now() {
        let _ = engine.flushed(job.run()).unwrap();
    }
}

/// Compares books and index with the entries. Returns what is in the index.
fn check(engine: &Engine<SimStore>) -> BTreeSet<(Expiry, Vec<u8>)> {
    let view = engine.shared.view.load();
    let (mut live, mut keys, mut rows) = (LiveBytes::new(), 0, 0);
    let (mut index, mut expected) = (BTreeSet::new(), BTreeSet::new());
    for item in view.tree.range(Bound::Unbounded, Bound::Unbounded).unwrap().into_iter().flatten() {
        let (key, entry) = item.unwrap();
        if let Some((expiry, key)) = indexed(key.value()) {
            assert!(entry.value().is_empty() && index.insert((expiry, key.to_vec())));
            continue;
        }
        match split(key.value()) {
            Some((_, [])) => rows += 1,
            Some(_) => {}
            None => keys += 1,
        }
        let entry = TreeEntry::decode(entry.value()).unwrap();
        if entry.expiry.is_set() {
            expected.insert((entry.expiry, key.value().to_vec()));
        }
        if let Some((segment, bytes)) = entry.live() {
            *live.entry(segment).or_default() += bytes;
        }
    }
    assert_eq!(index, expected);
    assert_eq!(engine.live, live);
    assert_eq!((engine.stats().tree_keys, engine.stats().tree_rows), (keys, rows));
    let first = index.first().map_or(u64::MAX, |(expiry, _)| expiry.0);
    assert_eq!(view.tree.earliest_expiry, first);
    index
}

fn write(engine: &mut Engine<SimStore>, prng: &mut Prng, now: u64) {
    let key = [u8::try_from(prng.below(30)).unwrap()];
    let value = vec![7; [4, 17, 2_000][usize::try_from(prng.below(3)).unwrap()]];
    let columns = &[("a", value.as_slice()), ("b", b"small")];
    let operation = match prng.below(16) {
        0..5 => Operation::Put { key: &key, value: &value },
        5..7 => Operation::Delete { key: &key },
        7..11 => Operation::PutColumns(&[ColumnValues { row: &key, columns }]),
        11 => Operation::DeleteColumns(&[ColumnNames { row: &key, columns: &["a", "b"] }]),
        12 => Operation::DeleteRows(&[&key]),
        13 => Operation::ExpireRow { row: &key },
        _ => Operation::Expire { key: &key },
    };
    let expires_at = if prng.chance(60) { now + prng.below(60) } else { 0 };
    // What is not there cannot expire.
    let _ = engine.stage(&Write::new(operation).expiring_at(expires_at), now);
}

#[test]
fn index_and_books_are_exact_and_what_has_expired_is_removed() {
    let mut removed = 0;
    for seed in 0..30 {
        let (disk, mut prng, mut now) = (CrashDisk::new(), Prng::new(seed), 1_000);
        let mut engine = open(&disk);
        for _ in 0..40 {
            for _ in 0..prng.below(30) {
                write(&mut engine, &mut prng, now);
            }
            now += prng.below(30);
            let before = check(&engine).len();
            if prng.chance(50) {
                let _ = engine.expire(now).unwrap();
            }
            flush(&mut engine);
            let index = check(&engine);
            let watermark = engine.active.watermark();
            assert!(index.iter().all(|(expiry, _)| expiry.0 > watermark));
            removed += before.saturating_sub(index.len());
            engine.retire(None, now).unwrap();
            while let Some(job) = engine.settle_job() {
                engine.settled(job.run()).unwrap();
                assert_eq!(check(&engine), index, "settling keeps the times");
            }
            if prng.chance(10) {
                drop(engine);
                engine = open(&disk);
                assert_eq!(check(&engine), index);
                assert_eq!(engine.active.watermark(), watermark);
            }
        }
    }
    assert!(removed > 500, "{removed}");
}

#[test]
fn a_budget_bounds_what_one_flush_removes_the_earliest_first() {
    let disk = CrashDisk::new();
    let mut engine = open(&disk);
    for number in 0..20_u8 {
        let put = Write::put(core::slice::from_ref(&number), b"value");
        engine.stage(&put.expiring_at(100 + u64::from(number)), 1).unwrap();
    }
    let columns: Vec<(&str, &[u8])> = vec![("a", b"1"), ("b", b"2"), ("c", b"3")];
    let rows = [ColumnValues { row: b"row", columns: &columns }];
    engine.stage(&Write::new(Operation::PutColumns(&rows)).expiring_at(50), 1).unwrap();
    flush(&mut engine);
    assert_eq!(check(&engine).len(), 21);
    for (budget, left) in [(1, 20), (5, 15), (0, 15), (100, 0)] {
        let transaction = engine.tree.begin_write().unwrap();
        let mut tree = TreeWrite::new(&transaction).unwrap();
        tree.remove_expired(119, budget).unwrap();
        let checkpoint = tree.checkpoint().unwrap();
        tree.finish(&checkpoint).unwrap();
        transaction.commit().unwrap();
        let view = engine.tree.view().unwrap();
        let index = view.expiring(0, u64::MAX).unwrap().into_iter().flatten();
        assert_eq!(index.count(), left, "with {budget}");
    }
    // The count was right before and is after, for those who know the watermark.
    assert_eq!(engine.reader().at(119).count().unwrap(), 0);
    assert_eq!(engine.reader().at(110).count().unwrap(), 9);
    assert_eq!(engine.reader().count().unwrap(), 20);
}
