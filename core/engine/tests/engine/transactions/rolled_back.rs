//! Transactions of which a record could not be written.

use super::model::{abort, begin, commit, id, put};
use crate::fixture::{self, NOW_MS, Sim, follower_options, get, options};
use crate::follow::fetch;
use unison_base::Lsn;
use unison_engine::{Check, Model, TransactionError, WriteError};
use unison_ports::IoError;
use unison_sim::disk::{Calls, CrashDisk, Fault};

fn fail_append(disk: &CrashDisk, engine: &mut Sim) {
    disk.inject(Fault::once(Calls::Writes, 1, IoError::Device(5)));
    assert!(matches!(engine.append(NOW_MS), Err(WriteError::Append(_))));
}

/// Nothing of the transaction happens here or on a follower, and nobody holds it open.
fn check_over(engine: &mut Sim, number: u64) {
    let again = put(engine, id(number), b"b", b"2").unwrap_err();
    assert_eq!(again, WriteError::Transaction(TransactionError::Failed));
    begin(engine, id(99)).unwrap();
    commit(engine, id(99), &[]).unwrap();
    fixture::commit(engine);
    assert_eq!(engine.open_transactions(), 0);
    let (_disk, mut follower) = fixture::new(follower_options());
    fetch(engine, &mut follower, 4_000, u64::MAX);
    assert_eq!((follower.open_transactions(), follower.stats().skipped_records), (0, 0));
    for key in [b"a", b"b"] {
        assert_eq!(get(&engine.reader(), key), None);
        assert_eq!(get(&follower.reader(), key), None);
    }
}

#[test]
fn one_that_lost_a_write_never_happens() {
    let (disk, mut engine) = fixture::new(options());
    begin(&mut engine, id(1)).unwrap();
    put(&mut engine, id(1), b"a", b"1").unwrap();
    fixture::commit(&mut engine);
    put(&mut engine, id(1), b"b", b"2").unwrap();
    fail_append(&disk, &mut engine);
    check_over(&mut engine, 1);
}

#[test]
fn one_that_lost_its_commit_never_happens() {
    let (disk, mut engine) = fixture::new(options());
    begin(&mut engine, id(1)).unwrap();
    put(&mut engine, id(1), b"a", b"1").unwrap();
    fixture::commit(&mut engine);
    commit(&mut engine, id(1), &[]).unwrap();
    fail_append(&disk, &mut engine);
    assert_eq!(engine.open_transactions(), 1, "the log still has its beginning");
    check_over(&mut engine, 1);
}

#[test]
fn one_that_lost_its_beginning_never_was() {
    let (disk, mut engine) = fixture::new(options());
    begin(&mut engine, id(1)).unwrap();
    put(&mut engine, id(1), b"a", b"1").unwrap();
    commit(&mut engine, id(1), &[]).unwrap();
    fail_append(&disk, &mut engine);
    assert_eq!(engine.open_transactions(), 0);
    check_over(&mut engine, 1);
}

#[test]
fn one_that_lost_its_end_is_ended_again() {
    for conflict in [false, true] {
        let (disk, mut engine) = fixture::new(options());
        begin(&mut engine, id(1)).unwrap();
        put(&mut engine, id(1), b"a", b"1").unwrap();
        fixture::commit(&mut engine);
        if conflict {
            let check = Check { model: Model::KeyValue, key: b"a", version: Lsn(9) };
            commit(&mut engine, id(1), &[check]).unwrap_err();
        } else {
            abort(&mut engine, id(1)).unwrap();
        }
        assert_eq!(engine.open_transactions(), 0);
        fail_append(&disk, &mut engine);
        assert_eq!(engine.open_transactions(), 1, "the log still has its beginning");
        check_over(&mut engine, 1);
    }
}
