//! Expiry, one rule at a time.

use crate::fixture::{self, Sim, commit, flush, follower_options, get, options};
use crate::follow::fetch;
use unison_base::Lsn;
use unison_engine::{
    ColumnNames, ColumnValues, EngineOptions, Operation, Pressure, Write, WriteError,
};

const T: u64 = 1_000;

fn put(engine: &mut Sim, key: &[u8], expires_at: u64) -> Lsn {
    let put = Write::put(key, b"value").expiring_at(expires_at);
    engine.stage(&put, T).unwrap().lsn
}

fn put_column(engine: &mut Sim, name: &str, expires_at: u64, now: u64) {
    let rows = [ColumnValues { row: b"row", columns: &[(name, b"value")] }];
    let write = Write::new(Operation::PutColumns(&rows)).expiring_at(expires_at);
    engine.stage(&write, now).unwrap();
}

fn columns(engine: &Sim, now: u64) -> Vec<String> {
    let row = engine.reader().at(now).snapshot().row(b"row").unwrap();
    let columns = row.map(|row| row.columns(unison_engine::ColumnRange::default()).unwrap());
    columns.into_iter().flatten().map(|column| column.unwrap().name).collect()
}

#[test]
fn a_key_is_gone_by_the_reader_s_clock_or_by_the_watermark() {
    let (_disk, mut engine) = fixture::new(options());
    put(&mut engine, b"key", T + 10);
    commit(&mut engine);
    let reader = engine.reader();
    assert_eq!(reader.expires_at(b"key").unwrap(), Some(T + 10));
    assert!(get(&reader.at(T + 9), b"key").is_some() && get(&reader.at(T + 10), b"key").is_none());
    assert!(get(&reader, b"key").is_some(), "no clock, no watermark");
    assert_eq!(engine.expire(T + 9).unwrap(), None);
    assert_eq!(engine.next_expiry().unwrap(), Some(T + 10));
    assert!(engine.expire(T + 20).unwrap().is_some());
    assert!(get(&reader, b"key").is_some(), "not published yet");
    commit(&mut engine);
    assert!(get(&reader, b"key").is_none() && reader.now_ms() == T + 20);
    assert!(reader.snapshot_at(Lsn(1)).unwrap().get(b"key").unwrap().is_some());
}

#[test]
fn nothing_is_written_when_nothing_is_due_and_by_a_clock_that_went_back() {
    let (_disk, mut engine) = fixture::new(options());
    put(&mut engine, b"key", T + 10);
    put(&mut engine, b"later", T + 1_000);
    assert!(engine.expire(T + 20).unwrap().is_some());
    for now in [T + 20, T + 999, T, 0] {
        assert_eq!(engine.expire(now).unwrap(), None, "{now}");
    }
    commit(&mut engine);
    flush(&mut engine);
    assert_eq!(engine.next_expiry().unwrap(), Some(T + 1_000));
    assert_eq!(engine.expire(T + 999).unwrap(), None);
    assert_eq!((engine.stats().tree_keys, engine.reader().count().unwrap()), (1, 1));
}

#[test]
fn a_put_without_a_time_lets_a_key_live_and_a_row_keep_its_time() {
    let (_disk, mut engine) = fixture::new(options());
    put(&mut engine, b"key", T + 10);
    put_column(&mut engine, "a", T + 10, T);
    put(&mut engine, b"key", 0);
    put_column(&mut engine, "b", 0, T);
    commit(&mut engine);
    let reader = engine.reader();
    assert_eq!(reader.expires_at(b"key").unwrap(), Some(0));
    assert_eq!(reader.row_expires_at(b"row").unwrap(), Some(T + 10));
    let forever = Write::new(Operation::ExpireRow { row: b"row" });
    engine.stage(&forever, T).unwrap();
    put_column(&mut engine, "c", 0, T);
    commit(&mut engine);
    assert_eq!(reader.row_expires_at(b"row").unwrap(), Some(0));
    assert_eq!(columns(&engine, T + 100), ["a", "b", "c"]);
}

#[test]
fn a_row_that_lost_its_last_column_forgets_when_it_was_to_expire() {
    for flushed in [false, true] {
        let (_disk, mut engine) = fixture::new(options());
        put_column(&mut engine, "a", T + 10, T);
        let names = [ColumnNames { row: b"row", columns: &["a"] }];
        engine.stage(&Write::new(Operation::DeleteColumns(&names)), T).unwrap();
        commit(&mut engine);
        if flushed {
            flush(&mut engine);
        }
        put_column(&mut engine, "b", 0, T);
        commit(&mut engine);
        assert_eq!(engine.reader().row_expires_at(b"row").unwrap(), Some(0));
        assert_eq!(columns(&engine, T + 100), ["b"]);
    }
}

#[test]
fn what_is_not_there_cannot_expire() {
    let (_disk, mut engine) = fixture::new(options());
    put(&mut engine, b"gone", T + 1);
    for operation in [
        Operation::Expire { key: b"none" },
        Operation::Expire { key: b"gone" },
        Operation::ExpireRow { row: b"none" },
    ] {
        let write = Write::new(operation).expiring_at(T + 100);
        let refused = engine.stage(&write, T + 1).unwrap_err();
        assert_eq!(refused, WriteError::Conflict { current: None });
    }
    assert_eq!(engine.next_lsn(), Lsn(2));
}

#[test]
fn a_change_of_the_time_does_not_write_the_value_again() {
    let (_disk, mut engine) = fixture::new(options());
    let value = vec![7; 40_000];
    engine.stage(&Write::put(b"key", &value), T).unwrap();
    commit(&mut engine);
    for flushed in [false, true] {
        let before = engine.tail();
        let write = Write::new(Operation::Expire { key: b"key" }).expiring_at(T + 100);
        let lsn = engine.stage(&write, T).unwrap().lsn;
        commit(&mut engine);
        assert!(engine.tail().offset - before.offset < 300);
        let found = engine.reader().get(b"key").unwrap().unwrap();
        assert_eq!((found.lsn(), found.expires_at()), (lsn, T + 100));
        assert_eq!(found.bytes().unwrap().len(), value.len());
        if !flushed {
            flush(&mut engine);
        }
    }
    flush(&mut engine);
    assert_eq!(engine.reader().get(b"key").unwrap().unwrap().len(), value.len());
    assert_eq!(engine.stats().live_bytes, 40_000);
}

/// The leader has removed the row when it is filled again, the follower has not.
#[test]
fn columns_of_a_row_that_expired_never_come_back_on_any_replica() {
    let (_disk, mut leader) = fixture::new(options());
    let (_follower_disk, mut follower) = fixture::new(follower_options());
    put_column(&mut leader, "old", T + 10, T);
    leader.expire(T + 10).unwrap().unwrap();
    commit(&mut leader);
    flush(&mut leader);
    assert_eq!(leader.stats().tree_rows, 0);
    put_column(&mut leader, "new", 0, T + 11);
    // By the clock alone the row has expired again and again: the watermark is raised first.
    put_column(&mut leader, "newer", T + 20, T + 11);
    put_column(&mut leader, "newest", 0, T + 20);
    commit(&mut leader);
    fetch(&leader, &mut follower, 1 << 20, u64::MAX);
    for _ in 0..2 {
        for engine in [&leader, &follower] {
            assert_eq!(columns(engine, 0), ["newest"]);
            assert_eq!(engine.reader().row_expires_at(b"row").unwrap(), Some(0));
            assert_eq!(engine.reader().snapshot().expired_to(), T + 20);
        }
        flush(&mut leader);
        flush(&mut follower);
    }
}

#[test]
fn a_version_that_comes_late_is_gone_from_the_start() {
    let (disk, mut engine) = fixture::new(options());
    put(&mut engine, b"due", T + 1);
    engine.expire(T + 50).unwrap().unwrap();
    put(&mut engine, b"late", T + 50);
    put(&mut engine, b"alive", T + 51);
    commit(&mut engine);
    let expected = |engine: &Sim| {
        let reader = engine.reader();
        assert!(get(&reader, b"late").is_none() && get(&reader, b"alive").is_some());
        assert_eq!(reader.count().unwrap(), 1);
    };
    expected(&engine);
    drop(engine);
    let mut engine = fixture::open(&disk, options());
    expected(&engine);
    flush(&mut engine);
    expected(&engine);
    assert_eq!(engine.stats().tree_keys, 1);
    engine.close().unwrap();
    // The watermark is in the tree's checkpoint too.
    let engine = fixture::open(&disk, options());
    assert_eq!(engine.reader().now_ms(), T + 50);
    expected(&engine);
}

#[test]
fn space_of_what_expired_comes_back_although_nobody_writes_and_then_nothing_is_done() {
    for flushed in [false, true] {
        let options = EngineOptions { removal_delay_ms: 1_000, removed_keys_max: 2, ..options() };
        let (_disk, mut engine) = fixture::new(options);
        for key in 0..5_u8 {
            let put = Write::put(core::slice::from_ref(&key), &[7; 3_000]);
            engine.stage(&put.expiring_at(T + 100), T).unwrap();
        }
        put(&mut engine, b"late", T + 500_000);
        commit(&mut engine);
        if flushed {
            flush(&mut engine);
        }
        assert!(!engine.free_expired(T + 1_100), "nobody has said that it expired");
        engine.expire(T + 101).unwrap().unwrap();
        assert!(!engine.free_expired(T + 1_100), "the record is not written");
        commit(&mut engine);
        assert!(!engine.free_expired(T + 1_099));
        assert!(engine.free_expired(T + 1_100) && !engine.free_expired(T + 1_100));
        let mut left = Vec::new();
        while let Some(job) = engine.flush_job() {
            engine.flushed(job.run()).unwrap();
            left.push(engine.stats().tree_keys);
            assert_eq!(engine.reader().count().unwrap(), 1);
        }
        assert_eq!(left, if flushed { vec![4, 2, 1] } else { vec![1] });
        assert_eq!(engine.stats().live_bytes, 0);
        for second in 2..100 {
            let now = T + second * 1_000;
            assert_eq!(engine.expire(now).unwrap(), None);
            assert!(!engine.free_expired(now) && engine.flush_job().is_none());
        }
    }
}

#[test]
fn what_expired_takes_no_memtable_while_one_waits_for_a_flush() {
    let options = EngineOptions { removal_delay_ms: 1_000, memtables_max: 2, ..options() };
    let (_disk, mut engine) = fixture::new(options);
    engine.stage(&Write::put(b"early", b"value").expiring_at(T + 100), T).unwrap();
    commit(&mut engine);
    engine.expire(T + 101).unwrap().unwrap();
    commit(&mut engine);
    assert!(engine.free_expired(T + 1_100));
    put(&mut engine, b"later", 0);
    commit(&mut engine);
    assert!(!engine.free_expired(T + 1_100), "nobody has flushed yet");
    assert_eq!(engine.pressure(), Pressure::FlushDue);
    flush(&mut engine);
    assert_eq!(engine.stats().tree_keys, 1);
}

#[test]
fn while_much_is_removed_what_others_write_stays_in_memory() {
    let options = EngineOptions { removal_delay_ms: 1_000, removed_keys_max: 2, ..options() };
    let (_disk, mut engine) = fixture::new(options);
    for key in 0..21_u8 {
        put(&mut engine, &[key], T + 100);
    }
    commit(&mut engine);
    flush(&mut engine);
    engine.expire(T + 101).unwrap().unwrap();
    commit(&mut engine);
    let (flushes, mut made_due, mut jobs) = (engine.stats().flushes, 0, 0);
    for second in 2..20 {
        let now = T + second * 1_000;
        put(&mut engine, b"session", now + 1_000_000);
        commit(&mut engine);
        made_due += u32::from(engine.free_expired(now));
        if let Some(job) = engine.flush_job() {
            engine.flushed(job.run()).unwrap();
            jobs += 1;
        }
    }
    assert_eq!(
        (made_due, engine.stats().flushes - flushes),
        (1, 1),
        "a memtable with one key each"
    );
    // The flush removed two, and each job behind it two more.
    assert_eq!((jobs, engine.stats().tree_keys), (11, 1));
    assert!(!engine.has_more_to_remove());
}
