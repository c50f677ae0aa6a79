//! Conditions and previous values, against what is staged as much as against what is flushed.

use crate::fixture::{self, NOW_MS, Sim, commit, flush, options, put};
use unison_base::Lsn;
use unison_engine::{Condition, Operation, Write, WriteError};

fn conditional(engine: &mut Sim, key: &[u8], condition: Condition) -> Result<Lsn, WriteError> {
    let operation = Operation::Put { key, value: b"new" };
    let write = Write { condition, want_previous: false, ..Write::new(operation) };
    engine.stage(&write, NOW_MS).map(|written| written.lsn)
}

/// Where the key's newest version is when the condition is checked.
fn everywhere(check: impl Fn(&mut Sim, Lsn)) {
    let (_disk, mut engine) = fixture::new(options());
    let lsn = put(&mut engine, b"key", b"old");
    check(&mut engine, lsn);
    let (_disk, mut engine) = fixture::new(options());
    let lsn = put(&mut engine, b"key", b"old");
    commit(&mut engine);
    check(&mut engine, lsn);
    let (_disk, mut engine) = fixture::new(options());
    let lsn = put(&mut engine, b"key", b"old");
    commit(&mut engine);
    flush(&mut engine);
    check(&mut engine, lsn);
    let (disk, mut engine) = fixture::new(options());
    let lsn = put(&mut engine, b"key", b"old");
    commit(&mut engine);
    drop(engine);
    check(&mut fixture::open(&disk, options()), lsn);
}

#[test]
fn absent_and_present() {
    everywhere(|engine, lsn| {
        let refused = Err(WriteError::Conflict { current: Some(lsn) });
        assert_eq!(conditional(engine, b"key", Condition::Absent), refused);
        let refused = Err(WriteError::Conflict { current: None });
        assert_eq!(conditional(engine, b"other", Condition::Present), refused);
        assert!(conditional(engine, b"key", Condition::Present).is_ok());
        assert!(conditional(engine, b"other", Condition::Absent).is_ok());
    });
}

#[test]
fn unchanged_since_is_that_version_and_no_other() {
    everywhere(|engine, lsn| {
        for other in [Lsn(0), lsn.next(), Lsn::MAX] {
            let refused = Err(WriteError::Conflict { current: Some(lsn) });
            assert_eq!(conditional(engine, b"key", Condition::UnchangedSince(other)), refused);
        }
        let second = conditional(engine, b"key", Condition::UnchangedSince(lsn)).unwrap();
        let refused = Err(WriteError::Conflict { current: Some(second) });
        assert_eq!(conditional(engine, b"key", Condition::UnchangedSince(lsn)), refused);
        assert!(conditional(engine, b"new", Condition::UnchangedSince(Lsn::ZERO)).is_ok());
    });
}

#[test]
fn a_removed_key_is_absent() {
    everywhere(|engine, lsn| {
        fixture::delete(engine, b"key");
        let refused = Err(WriteError::Conflict { current: None });
        assert_eq!(conditional(engine, b"key", Condition::UnchangedSince(lsn)), refused);
        assert!(conditional(engine, b"key", Condition::Absent).is_ok());
    });
}

#[test]
fn one_key_of_a_batch_that_violates_the_condition_stops_all_of_it() {
    everywhere(|engine, lsn| {
        let before = engine.next_lsn();
        let pairs: [(&[u8], &[u8]); 3] = [(b"a", b"1"), (b"key", b"2"), (b"z", b"3")];
        let operation = Operation::PutBatch(&pairs);
        let write =
            Write { condition: Condition::Absent, want_previous: false, ..Write::new(operation) };
        let refused = engine.stage(&write, NOW_MS).map(|written| written.lsn);
        assert_eq!(refused, Err(WriteError::Conflict { current: Some(lsn) }));
        assert_eq!(engine.next_lsn(), before);
        commit(engine);
        assert_eq!(fixture::get(&engine.reader(), b"a"), None);
    });
}

#[test]
fn the_previous_value_is_told_wherever_it_was() {
    everywhere(|engine, lsn| {
        let operation = Operation::Delete { key: b"key" };
        let write =
            Write { condition: Condition::Always, want_previous: true, ..Write::new(operation) };
        let written = engine.stage(&write, NOW_MS).unwrap();
        assert_eq!((written.existed, written.existing_keys), (Some(true), 1));
        let previous = written.previous.unwrap();
        assert_eq!((previous.lsn(), &*previous.bytes().unwrap()), (lsn, &b"old"[..]));
        let again = engine.stage(&write, NOW_MS).unwrap();
        assert_eq!((again.existed, again.existing_keys), (Some(false), 0));
        assert!(again.previous.is_none());
    });
}

#[test]
fn a_batch_says_how_many_of_its_keys_were_there() {
    everywhere(|engine, _| {
        let operation = Operation::DeleteBatch(&[b"key", b"never", b"nowhere"]);
        let write =
            Write { condition: Condition::Always, want_previous: true, ..Write::new(operation) };
        let written = engine.stage(&write, NOW_MS).unwrap();
        assert_eq!((written.existed, written.existing_keys), (Some(true), 1));
    });
}
