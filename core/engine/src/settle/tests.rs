//! The books of live bytes against a recount of the tree.

use crate::engine::Engine;
use crate::expiry::indexed;
use crate::models::kv;
use crate::models::row::split;
use crate::models::topic::name::TopicFilter;
use crate::options::EngineOptions;
use crate::read::{MessageRequest, RowScanRequest};
use crate::tree::{LiveBytes, TreeEntry};
use crate::write::{ColumnNames, ColumnValues, NewMessage, Operation, TrimBefore, Write};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Bound;
use unison_base::TxnId;
use unison_base::limits::SEGMENT_BYTES_MIN;
use unison_base::prng::Prng;
use unison_ports::SegmentKind;
use unison_sim::disk::{CrashDisk, SimStore};

const NOW_MS: u64 = 1_700_000_000_000;

fn options() -> EngineOptions {
    EngineOptions {
        memtable_bytes: 5_000,
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

/// Live bytes, keys and rows.
fn recount(engine: &Engine<SimStore>) -> (LiveBytes, u64, u64) {
    let view = engine.shared.view.load();
    let (mut live, mut keys, mut rows) = (LiveBytes::new(), 0, 0);
    for row in view.tree.range(Bound::Unbounded, Bound::Unbounded).unwrap().into_iter().flatten() {
        let (key, entry) = row.unwrap();
        if indexed(key.value()).is_some() {
            continue;
        }
        match split(key.value()) {
            Some((_, [])) => rows += 1,
            Some(_) => {}
            None => keys += u64::from(kv::user_key(key.value()).is_some()),
        }
        if let Some((segment, bytes)) = TreeEntry::decode(entry.value()).unwrap().live() {
            *live.entry(segment).or_default() += bytes;
        }
    }
    (live, keys, rows)
}

fn check(engine: &Engine<SimStore>) {
    let (live, keys, rows) = recount(engine);
    assert_eq!(engine.stats().tree_rows, rows);
    assert_eq!(engine.live, live);
    assert_eq!(engine.tree.live_bytes().unwrap(), live);
    assert_eq!(engine.stats().tree_keys, keys);
}

/// Columns of rows, and their values.
type Cells = BTreeMap<(u8, &'static str), Vec<u8>>;

fn write(engine: &mut Engine<SimStore>, prng: &mut Prng, cells: &mut Cells) {
    let key = [u8::try_from(prng.below(40)).unwrap()];
    let length = [8, 100, 3_000, 9_000][usize::try_from(prng.below(4)).unwrap()];
    let value = vec![u8::try_from(prng.below(256)).unwrap(); length];
    let name = ["a", "b", "c"][usize::try_from(prng.below(3)).unwrap()];
    let columns: [(&str, &[u8]); 2] = [("every", b"small"), (name, &value)];
    let (columns, names) = (&columns[..], &[name, "every"][..]);
    let operation = match prng.below(20) {
        0..8 => Operation::Put { key: &key, value: &value },
        8..10 => Operation::Delete { key: &key },
        10..17 => Operation::PutColumns(&[ColumnValues { row: &key, columns }]),
        17 => Operation::DeleteColumns(&[ColumnNames { row: &key, columns: names }]),
        _ => Operation::DeleteRows(&[&key]),
    };
    match operation {
        Operation::PutColumns(_) => {
            cells.insert((key[0], "every"), b"small".to_vec());
            cells.insert((key[0], name), value.clone());
        }
        Operation::DeleteColumns(_) => {
            cells.retain(|(row, column), _| *row != key[0] || !names.contains(column));
        }
        Operation::DeleteRows(_) => cells.retain(|(row, _), _| *row != key[0]),
        _ => {}
    }
    engine.stage(&Write::new(operation), NOW_MS).unwrap();
    engine.append(NOW_MS).unwrap();
    let durable = engine.log.sync().unwrap();
    engine.publish(durable);
}

#[test]
fn live_bytes_and_keys_equal_a_recount_through_flushes_settling_and_restarts() {
    let mut prng = Prng::new(5);
    let disk = CrashDisk::new();
    let (mut engine, mut cells) = (open(&disk), Cells::new());
    for _ in 0..1_500 {
        write(&mut engine, &mut prng, &mut cells);
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
    let rows = engine.reader().snapshot().rows(RowScanRequest::default()).unwrap();
    let there = rows.map(|cell| {
        let cell = cell.unwrap();
        ((cell.row.key[0], cell.column.name), cell.column.value.bytes().unwrap().to_vec())
    });
    let expected = cells.into_iter().map(|((row, name), value)| ((row, name.into()), value));
    assert_eq!(there.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
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
fn values_of_columns_are_settled_too() {
    let disk = CrashDisk::new();
    let mut engine = open(&disk);
    for round in 0..10_u8 {
        for row in 0..7_u8 {
            let row = if row == 0 { 100 + round } else { row };
            let (value, row) = (vec![round; 8_000], [row]);
            let columns: &[(&str, &[u8])] = &[("column", &value)];
            let rows = [ColumnValues { row: &row, columns }];
            engine.stage(&Write::new(Operation::PutColumns(&rows)), NOW_MS).unwrap();
        }
        engine.append(NOW_MS).unwrap();
    }
    settle_all(&mut engine);
    assert_eq!(engine.stats().tree_rows, 16);
    for round in 0..10_u8 {
        let value = engine.reader().column(&[100 + round], "column").unwrap().unwrap();
        assert_eq!(&*value.bytes().unwrap(), vec![round; 8_000].as_slice());
    }
}

/// Makes everything durable, lets its segments leave the log, and settles all of them.
fn settle_all(engine: &mut Engine<SimStore>) {
    let durable = engine.log.sync().unwrap();
    engine.publish(durable);
    while let Some(job) = engine.flush_now() {
        let _ = engine.flushed(job.run()).unwrap();
    }
    engine.retire(None, NOW_MS).unwrap();
    assert!(files(engine, SegmentKind::Values) >= 8);
    while let Some(job) = engine.settle_job() {
        engine.settled(job.run()).unwrap();
        check(engine);
    }
    assert_eq!(files(engine, SegmentKind::Values), 0);
}

/// A write of a transaction, or its beginning or its end.
fn within(engine: &mut Engine<SimStore>, id: u8, operation: Operation<'_>) {
    engine.stage(&Write::new(operation).within(TxnId([id; 16])), NOW_MS).unwrap();
}

#[test]
fn messages_of_transactions_are_settled_too() {
    let disk = CrashDisk::new();
    let mut engine = open(&disk);
    for round in 0..10_u8 {
        let (payload, kept) = (vec![round; 8_000], alloc::format!("kept/{round}"));
        let gone = NewMessage { topic: "gone", payload: &payload, ..NewMessage::default() };
        let kept = NewMessage { topic: &kept, ..gone };
        within(&mut engine, round, Operation::Begin);
        within(&mut engine, round, Operation::Publish(&[gone, gone, gone]));
        within(&mut engine, round, Operation::Publish(&[kept]));
        within(&mut engine, round, Operation::Publish(&[gone, gone, gone]));
        // Between the records of the transaction and its end lies a segment.
        for _ in 0..7 {
            engine.stage(&Write::put(b"between", &payload), NOW_MS).unwrap();
        }
        within(&mut engine, round, Operation::Commit(&[]));
    }
    let trim = TrimBefore { topics: &["gone"], before_ms: u64::MAX };
    engine.stage(&Write::new(Operation::Trim(trim)), NOW_MS).unwrap();
    engine.stage(&Write::put(b"between", b"over"), NOW_MS).unwrap();
    engine.append(NOW_MS).unwrap();
    settle_all(&mut engine);
    let filter = TopicFilter::new("kept/+").unwrap();
    let snapshot = engine.reader().snapshot();
    let messages = snapshot.messages(MessageRequest::all(&filter)).unwrap();
    let payloads = messages.map(|message| message.unwrap().payload().to_vec());
    assert!(payloads.eq((0..10).map(|round| vec![round; 8_000])));
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
