//! What a failed append, sync or flush leaves behind: nothing that was not promised.

use crate::fixture::{self, NOW_MS, commit, flush, get, options, put};
use unison_base::Lsn;
use unison_base::prng::Prng;
use unison_engine::{Condition, FlushError, Operation, Write, WriteError};
use unison_ports::IoError;
use unison_sim::disk::{Calls, Cut, Fault};

#[test]
fn a_failed_append_takes_everything_staged_back() {
    let (disk, mut engine) = fixture::new(options());
    put(&mut engine, b"kept", b"1");
    commit(&mut engine);
    put(&mut engine, b"kept", b"2");
    put(&mut engine, b"lost", b"3");
    disk.inject(Fault::once(Calls::Writes, 1, IoError::Device(5)));
    assert!(matches!(engine.append(NOW_MS), Err(WriteError::Append(_))));
    assert_eq!((engine.appended(), engine.next_lsn()), (Lsn(1), Lsn(2)));
    assert_eq!(engine.stats().rolled_back, 1);
    // Conditions no longer see what is gone.
    let operation = Operation::Put { key: b"lost", value: b"4" };
    let write =
        Write { condition: Condition::Absent, want_previous: true, ..Write::new(operation) };
    assert_eq!(engine.stage(&write, NOW_MS).unwrap().lsn, Lsn(2));
    commit(&mut engine);
    let reader = engine.reader();
    assert_eq!(get(&reader, b"kept"), Some(b"1".to_vec()));
    assert_eq!(get(&reader, b"lost"), Some(b"4".to_vec()));
    flush(&mut engine);
    drop(engine);
    let engine = fixture::open(&disk, options());
    assert_eq!(get(&engine.reader(), b"kept"), Some(b"1".to_vec()));
    assert_eq!(get(&engine.reader(), b"lost"), Some(b"4".to_vec()));
}

#[test]
fn a_full_medium_is_named_and_writes_go_on_when_there_is_room_again() {
    let (disk, mut engine) = fixture::new(options());
    let value = vec![1; 20_000];
    put(&mut engine, b"first", &value);
    commit(&mut engine);
    disk.set_free_bytes(Some(0));
    let mut refused = None;
    for number in 0..6_u8 {
        let write = Write::put(core::slice::from_ref(&number), &value);
        if let Err(error) = engine.stage(&write, NOW_MS) {
            refused = Some((number, error));
            break;
        }
    }
    let (number, error) = refused.expect("three of them fill a segment");
    assert_eq!(error, WriteError::NoSpace);
    // What was staged before went into the old segment.
    assert_eq!(engine.appended(), Lsn(1 + u64::from(number)));
    commit(&mut engine);
    assert_eq!(get(&engine.reader(), &[number - 1]), Some(value.clone()));
    disk.set_free_bytes(None);
    put(&mut engine, &[number], &value);
    commit(&mut engine);
    assert_eq!(get(&engine.reader(), &[number]), Some(value));
}

#[test]
fn after_a_failed_sync_nothing_is_taken_any_more() {
    let (disk, mut engine) = fixture::new(options());
    put(&mut engine, b"durable", b"1");
    commit(&mut engine);
    put(&mut engine, b"doubtful", b"2");
    engine.append(NOW_MS).unwrap();
    disk.inject(Fault::once(Calls::Syncs, 1, IoError::Device(5)));
    let outcome = engine.sync_ticket().run();
    assert!(engine.synced(outcome).is_err());
    assert_eq!((engine.durable(), engine.applied()), (Lsn(1), Lsn(1)));
    let write = Write::put(b"more", b"3");
    assert_eq!(engine.stage(&write, NOW_MS).unwrap_err(), WriteError::Poisoned);
    let outcome = engine.sync_ticket().run();
    assert!(engine.synced(outcome).is_err(), "a later sync proves nothing");
    assert_eq!(get(&engine.reader(), b"durable"), Some(b"1".to_vec()));
    let disk = disk.crash(Cut::LOST, &mut Prng::new(1));
    let engine = fixture::open(&disk, options());
    assert_eq!(get(&engine.reader(), b"durable"), Some(b"1".to_vec()));
    assert_eq!(get(&engine.reader(), b"doubtful"), None);
}

#[test]
fn a_flush_whose_log_cannot_be_synced_leaves_the_tree_alone() {
    let (disk, mut engine) = fixture::new(options());
    put(&mut engine, b"key", b"1");
    let appended = engine.append(NOW_MS).unwrap();
    engine.publish(appended);
    let job = engine.flush_now().unwrap();
    disk.inject(Fault::once(Calls::Syncs, 1, IoError::Device(5)));
    let writes = disk.counters().tree_bytes;
    let result = job.run();
    assert_eq!(disk.counters().tree_bytes, writes);
    assert!(matches!(engine.flushed(result).unwrap_err(), FlushError::Sync(_)));
    assert_eq!(engine.stats().checkpoint, Lsn::ZERO);
    assert_eq!(get(&engine.reader(), b"key"), Some(b"1".to_vec()));
}

#[test]
fn a_flush_that_fails_at_any_call_loses_nothing() {
    for nth in 1..40 {
        let (disk, mut engine) = fixture::new(options());
        for round in 0..3_u8 {
            put(&mut engine, b"same", &[round]);
            put(&mut engine, &[round], b"other");
            commit(&mut engine);
            if round == 0 {
                flush(&mut engine);
            }
        }
        let expected = fixture::all(&engine.reader());
        disk.inject(Fault::once(Calls::Any, nth, IoError::Device(5)));
        let job = engine.flush_now().unwrap();
        let result = engine.flushed(job.run());
        disk.heal();
        assert_eq!(fixture::all(&engine.reader()), expected, "call {nth}");
        drop(result);
        drop(engine);
        let engine = fixture::open(&disk, options());
        assert_eq!(fixture::all(&engine.reader()), expected, "call {nth}");
    }
}
