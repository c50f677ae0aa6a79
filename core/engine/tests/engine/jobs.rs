//! Flushes as jobs, pressure, and the books they keep.

use crate::fixture::{self, NOW_MS, commit, flush, get, options, put};
use unison_base::Lsn;
use unison_engine::{EngineOptions, Operation, Pressure, WriteError};

fn tiny() -> EngineOptions {
    EngineOptions { memtable_bytes: 300, memtables_max: 2, ..options() }
}

#[test]
fn pressure_rises_until_a_flush_takes_it_away() {
    let (_disk, mut engine) = fixture::new(tiny());
    assert_eq!(engine.pressure(), Pressure::None);
    let full = Pressure::Full { memtables: 2, limit: 2 };
    let mut seen_due = false;
    for number in 0..40_u8 {
        match fixture::stage(&mut engine, Operation::Put { key: &[number], value: b"v" }) {
            Ok(_) => drop(commit(&mut engine)),
            Err(error) => {
                assert_eq!(error, WriteError::Busy(full));
                break;
            }
        }
        seen_due |= engine.pressure() == Pressure::FlushDue;
    }
    assert!(seen_due);
    assert_eq!(engine.pressure(), full);
    let written = engine.appended().0;
    let job = engine.flush_job().unwrap();
    assert!(engine.flush_job().is_none() && engine.flush_now().is_none(), "one job at a time");
    engine.flushed(job.run()).unwrap();
    assert_ne!(engine.pressure(), full);
    put(&mut engine, b"more", b"v");
    commit(&mut engine);
    flush(&mut engine);
    assert_eq!(engine.pressure(), Pressure::None);
    assert_eq!(engine.stats().tree_keys, written + 1);
    assert_eq!(engine.reader().count().unwrap(), written + 1);
}

#[test]
fn a_log_that_grows_is_a_reason_to_flush_too() {
    let (_disk, mut engine) =
        fixture::new(EngineOptions { checkpoint_log_bytes: 10_000, ..options() });
    put(&mut engine, b"key", &[0; 12_000]);
    commit(&mut engine);
    assert_eq!(engine.pressure(), Pressure::FlushDue);
    let job = engine.flush_job().unwrap();
    assert_eq!(job.lsn(), Lsn(1));
    engine.flushed(job.run()).unwrap();
    assert_eq!((engine.pressure(), engine.stats().replay_bytes), (Pressure::None, 0));
}

#[test]
fn a_job_that_is_dropped_can_be_had_again() {
    let (_disk, mut engine) = fixture::new(options());
    put(&mut engine, b"key", b"1");
    commit(&mut engine);
    drop(engine.flush_now().unwrap());
    let job = engine.flush_now().unwrap();
    engine.flushed(job.run()).unwrap();
    assert_eq!(engine.stats().checkpoint, Lsn(1));
}

#[test]
fn a_job_whose_result_is_lost_is_done_over() {
    let (_disk, mut engine) = fixture::new(options());
    for number in 0..5_u8 {
        put(&mut engine, &[number], &[number; 100]);
    }
    fixture::delete(&mut engine, &[0]);
    commit(&mut engine);
    drop(engine.flush_now().unwrap().run());
    let job = engine.flush_now().unwrap();
    engine.flushed(job.run()).unwrap();
    let stats = engine.stats();
    assert_eq!((stats.tree_keys, stats.live_bytes), (4, 400));
    assert_eq!(engine.reader().count().unwrap(), 4);
}

#[test]
fn writes_go_on_while_a_job_is_out() {
    let (disk, mut engine) = fixture::new(options());
    put(&mut engine, b"before", b"1");
    commit(&mut engine);
    let job = engine.flush_now().unwrap();
    put(&mut engine, b"before", b"2");
    put(&mut engine, b"meanwhile", b"3");
    commit(&mut engine);
    engine.flushed(job.run()).unwrap();
    assert_eq!(engine.stats().checkpoint, Lsn(1));
    assert_eq!(get(&engine.reader(), b"before"), Some(b"2".to_vec()));
    engine.close().unwrap();
    let (engine, report) = fixture::try_open(&disk, options()).unwrap();
    assert_eq!((report.checkpoint, report.replayed), (Lsn(1), 2));
    assert_eq!(get(&engine.reader(), b"meanwhile"), Some(b"3".to_vec()));
}

#[test]
fn nothing_to_flush_is_no_job() {
    let (_disk, mut engine) = fixture::new(options());
    assert!(engine.flush_job().is_none() && engine.flush_now().is_none());
    put(&mut engine, b"staged", b"1");
    assert!(engine.flush_now().is_none(), "what is staged has no place in the log yet");
    commit(&mut engine);
    flush(&mut engine);
    assert!(engine.flush_now().is_none());
}

#[test]
fn an_engine_that_nobody_writes_to_writes_nothing() {
    let (disk, engine) = fixture::new(options());
    let before = disk.counters();
    assert_eq!(engine.reader().count().unwrap(), 0);
    assert_eq!(get(&engine.reader(), b"key"), None);
    engine.close().unwrap();
    assert_eq!(disk.counters().segment_bytes, before.segment_bytes);
    assert!(disk.counters().segment_bytes == 0, "the first segment comes with the first append");
}

#[test]
fn timestamps_never_go_back() {
    let (disk, mut engine) = fixture::new(options());
    put(&mut engine, b"key", b"1");
    commit(&mut engine);
    let first = engine.hlc();
    assert_eq!(first.millis(), NOW_MS);
    let write = unison_engine::Write::put(b"key", b"2");
    engine.stage(&write, 0).unwrap();
    commit(&mut engine);
    let second = engine.hlc();
    assert!(second > first);
    flush(&mut engine);
    engine.close().unwrap();
    let mut engine = fixture::open(&disk, options());
    assert!(engine.hlc() >= second, "from the checkpoint");
    engine.stage(&write, 5).unwrap();
    commit(&mut engine);
    let third = engine.hlc();
    assert!(third > second);
    drop(engine);
    assert!(fixture::open(&disk, options()).hlc() >= third, "from the log");
}

#[test]
fn replay_longer_than_memory_flushes_on_its_way() {
    let (disk, mut engine) = fixture::new(EngineOptions { memtable_bytes: 1 << 20, ..options() });
    for number in 0..500_u16 {
        put(&mut engine, &number.to_be_bytes(), b"value");
    }
    commit(&mut engine);
    engine.close().unwrap();
    let (engine, report) = fixture::try_open(&disk, tiny()).unwrap();
    assert_eq!(report.replayed, 500);
    let stats = engine.stats();
    assert!(stats.flushes > 50 && stats.memtable_bytes < 2_000, "{stats:?}");
    assert_eq!(engine.reader().count().unwrap(), 500);
}
