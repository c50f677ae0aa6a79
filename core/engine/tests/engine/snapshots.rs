//! A snapshot is one moment, whatever happens around it.

use crate::fixture::{self, NOW_MS, commit, flush, options, put, scan};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use unison_base::Lsn;
use unison_engine::{EngineOptions, Operation, Reader, ScanRequest, SnapshotError};
use unison_sim::disk::SimStore;

#[test]
fn a_held_snapshot_survives_flushes_settling_and_removed_segments() {
    let (_disk, mut engine) = fixture::new(options());
    let large = vec![3; 9_000];
    for key in 0..20_u8 {
        put(&mut engine, &[key], &large);
        commit(&mut engine);
    }
    flush(&mut engine);
    let snapshot = engine.reader().snapshot();
    let expected = scan(&snapshot, ScanRequest::default());
    let lazy: Vec<_> = snapshot.scan(ScanRequest::default()).unwrap().collect();
    for key in 0..20_u8 {
        put(&mut engine, &[key], b"small");
        commit(&mut engine);
    }
    flush(&mut engine);
    engine.retire(None, NOW_MS).unwrap();
    let kept = engine.log().segments().len();
    assert!(kept > 2, "the snapshot keeps the files");
    assert_eq!(scan(&snapshot, ScanRequest::default()), expected);
    for item in lazy {
        assert_eq!(&*item.unwrap().value.bytes().unwrap(), large.as_slice());
    }
    drop(snapshot);
    engine.retire(None, NOW_MS).unwrap();
    assert!(engine.log().segments().len() < kept, "without it they go");
    assert_eq!(engine.reader().count().unwrap(), 20);
}

#[test]
fn the_past_is_there_back_to_the_checkpoint() {
    let (_disk, mut engine) = fixture::new(options());
    for number in 1..=6_u8 {
        put(&mut engine, b"key", &[number]);
        commit(&mut engine);
        if number == 3 {
            flush(&mut engine);
        }
    }
    let reader = engine.reader();
    for number in 3..=6_u8 {
        let snapshot = reader.snapshot_at(Lsn(u64::from(number))).unwrap();
        assert_eq!(&*snapshot.get(b"key").unwrap().unwrap().bytes().unwrap(), [number]);
    }
    let gone = reader.snapshot_at(Lsn(2)).unwrap_err();
    assert_eq!(gone, SnapshotError::Gone { oldest: Lsn(3) });
    let ahead = reader.snapshot_at(Lsn(7)).unwrap_err();
    assert_eq!(ahead, SnapshotError::Ahead { newest: Lsn(6) });
}

#[test]
fn nothing_is_seen_before_it_is_published() {
    let (_disk, mut engine) = fixture::new(options());
    let reader = engine.reader();
    put(&mut engine, b"key", b"1");
    assert_eq!(fixture::get(&reader, b"key"), None);
    engine.append(NOW_MS).unwrap();
    assert_eq!(fixture::get(&reader, b"key"), None);
    let outcome = engine.sync_ticket().run();
    engine.synced(outcome).unwrap();
    assert_eq!((fixture::get(&reader, b"key"), reader.count().unwrap()), (None, 0));
    engine.publish(Lsn(1));
    assert_eq!(fixture::get(&reader, b"key"), Some(b"1".to_vec()));
    engine.publish(Lsn::ZERO);
    engine.publish(Lsn(50));
    assert_eq!(engine.applied(), Lsn(1));
}

/// Both halves of a pair are always written by one batch, so a reader that sees two different
/// halves has seen half a batch or two moments.
fn watch(reader: &Reader<SimStore>, done: &AtomicBool) -> u64 {
    let mut looks = 0;
    let mut last = 0;
    while !done.load(Ordering::Relaxed) {
        let pair = reader.multi_get(&[b"left", b"right"]).unwrap();
        let halves: Vec<Option<Vec<u8>>> =
            pair.iter().map(|half| Some(half.as_ref()?.bytes().unwrap().to_vec())).collect();
        assert_eq!(halves[0], halves[1]);
        if let Some(half) = &halves[0] {
            let number = u64::from_le_bytes(half[..8].try_into().unwrap());
            assert!(number >= last, "time went back from {last} to {number}");
            last = number;
        }
        let snapshot = reader.snapshot();
        let items = scan(&snapshot, ScanRequest::default());
        assert_eq!(snapshot.count().unwrap(), items.len() as u64);
        let newest = items.iter().map(|(_, _, lsn)| *lsn).max().unwrap_or_default();
        assert!(newest <= snapshot.lsn());
        looks += 1;
    }
    looks
}

#[test]
fn readers_on_other_threads_always_see_one_moment() {
    let (_disk, mut engine) = fixture::new(EngineOptions { memtable_bytes: 2 << 10, ..options() });
    let done = AtomicBool::new(false);
    let looks: u64 = thread::scope(|scope| {
        let watchers: Vec<_> = (0..2)
            .map(|_| {
                let reader = engine.reader();
                scope.spawn(|| watch(&{ reader }, &done))
            })
            .collect();
        for number in 0..4_000_u64 {
            let value = [number.to_le_bytes().as_slice(), &[7; 200]].concat();
            let pairs: [(&[u8], &[u8]); 3] =
                [(b"left", &value), (b"right", &value), (&number.to_le_bytes()[..1], b"")];
            fixture::stage(&mut engine, Operation::PutBatch(&pairs)).unwrap();
            commit(&mut engine);
            // The flush runs on another thread, while the readers look.
            if let Some(job) = engine.flush_job() {
                let result = scope.spawn(|| job.run()).join().unwrap();
                engine.flushed(result).unwrap();
            }
        }
        done.store(true, Ordering::Relaxed);
        watchers.into_iter().map(|watcher| watcher.join().unwrap()).sum()
    });
    assert!(looks > 20, "{looks} looks");
}
