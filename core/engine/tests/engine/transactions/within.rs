//! What an open transaction sees, and what its conditions are compared with.

use super::model::{abort, begin, commit, id, put, snapshot};
use crate::fixture::{self, NOW_MS, Sim, get, options};
use unison_base::Lsn;
use unison_engine::{
    ColumnNames, ColumnValues, Condition, Operation, TransactionError, Write, WriteError,
};

const LATER_MS: u64 = NOW_MS + 60_000;

fn within(engine: &mut Sim, operation: Operation<'_>) -> Result<Lsn, WriteError> {
    on(engine, operation, Condition::Always)
}

fn on(engine: &mut Sim, operation: Operation<'_>, condition: Condition) -> Result<Lsn, WriteError> {
    let write = Write { condition, ..Write::new(operation) }.within(id(1));
    engine.stage(&write, NOW_MS).map(|written| written.lsn)
}

fn row_of<'a>(columns: &'a [(&'a str, &'a [u8])]) -> [ColumnValues<'a>; 1] {
    [ColumnValues { row: b"r", columns }]
}

const NAME: [ColumnNames<'_>; 1] = [ColumnNames { row: b"r", columns: &["a"] }];

#[test]
fn it_sees_its_own_writes_and_nobody_else_does() {
    let (_disk, mut engine) = fixture::new(options());
    fixture::put(&mut engine, b"k", b"old");
    fixture::commit(&mut engine);
    begin(&mut engine, id(1)).unwrap();
    let lsn = put(&mut engine, id(1), b"k", b"new").unwrap().lsn;
    let own = engine.reader_within(id(1), NOW_MS).unwrap();
    assert_eq!((get(&own, b"k"), own.version(b"k").unwrap()), (Some(b"new".to_vec()), Some(lsn)));
    assert_eq!((own.applied(), own.snapshot().lsn()), (lsn, lsn));
    assert_eq!(get(&engine.staged_reader(NOW_MS).unwrap(), b"k"), Some(b"old".to_vec()));
    let other = put(&mut engine, id(1), b"k", b"newer").unwrap().lsn;
    assert_eq!(other, lsn.next());
    assert_eq!(get(&engine.reader(), b"k"), Some(b"old".to_vec()));
    abort(&mut engine, id(1)).unwrap();
    let gone = engine.reader_within(id(1), NOW_MS).unwrap_err();
    assert_eq!(gone, WriteError::Transaction(TransactionError::Aborted));
}

#[test]
fn what_is_staged_is_seen_before_it_is_published_and_what_is_held_stays() {
    let (_disk, mut engine) = fixture::new(options());
    fixture::put(&mut engine, b"k", b"1");
    fixture::commit(&mut engine);
    let held = engine.reader().held();
    fixture::put(&mut engine, b"k", b"2");
    assert_eq!(get(&engine.staged_reader(NOW_MS).unwrap(), b"k"), Some(b"2".to_vec()));
    assert_eq!(get(&engine.reader(), b"k"), Some(b"1".to_vec()));
    fixture::commit(&mut engine);
    assert_eq!(get(&engine.reader(), b"k"), Some(b"2".to_vec()));
    assert_eq!(get(&held, b"k"), Some(b"1".to_vec()));
    assert_eq!((held.applied(), held.count().unwrap()), (Lsn(1), 1));
}

#[test]
fn conditions_know_which_columns_are_left_to_the_transaction() {
    let (_disk, mut engine) = fixture::new(options());
    let row = row_of(&[("a", b"1")]);
    engine.stage(&Write::new(Operation::PutColumns(&row)), NOW_MS).unwrap();
    begin(&mut engine, id(1)).unwrap();
    let deleted = Operation::DeleteColumns(&NAME);
    on(&mut engine, deleted, Condition::Present).unwrap();
    let refused = on(&mut engine, deleted, Condition::Present).unwrap_err();
    assert_eq!(refused, WriteError::Conflict { current: None });
    let put = Operation::PutColumns(&row);
    let lsn = on(&mut engine, put, Condition::Absent).unwrap();
    let refused = on(&mut engine, put, Condition::Absent).unwrap_err();
    assert_eq!(refused, WriteError::Conflict { current: Some(lsn) });
    let newer = on(&mut engine, put, Condition::UnchangedSince(lsn)).unwrap();
    assert_eq!(newer, lsn.next());
    let want = Write { want_previous: true, ..Write::new(deleted) }.within(id(1));
    let counts: Vec<_> =
        (0..2).map(|_| engine.stage(&want, NOW_MS).unwrap().existing_keys).collect();
    assert_eq!(counts, [1, 0]);
}

#[test]
fn what_was_there_to_the_transaction_is_answered() {
    let (_disk, mut engine) = fixture::new(options());
    begin(&mut engine, id(1)).unwrap();
    let write = |value| Write { want_previous: true, ..Write::put(b"k", value) }.within(id(1));
    let mut ask = |value: &'static [u8]| {
        let previous = engine.stage(&write(value), NOW_MS).unwrap().previous;
        previous.map(|value| value.bytes().unwrap().to_vec())
    };
    assert_eq!(ask(b"1"), None);
    assert_eq!(ask(b"2"), Some(b"1".to_vec()));
}

#[test]
fn times_that_it_sets_are_seen_by_it() {
    let (_disk, mut engine) = fixture::new(options());
    fixture::put(&mut engine, b"k", b"v");
    begin(&mut engine, id(1)).unwrap();
    let expire = Write::new(Operation::Expire { key: b"k" }).expiring_at(LATER_MS).within(id(1));
    engine.stage(&expire, NOW_MS).unwrap();
    let own = engine.reader_within(id(1), NOW_MS).unwrap();
    assert_eq!(own.expires_at(b"k").unwrap(), Some(LATER_MS));
    assert_eq!(get(&own, b"k"), Some(b"v".to_vec()));
    let late = engine.reader_within(id(1), NOW_MS).unwrap().at(LATER_MS);
    assert_eq!((get(&late, b"k"), late.count().unwrap()), (None, 0));
    let refused = Write { condition: Condition::Absent, ..Write::put(b"k", b"w") }.within(id(1));
    let refused = engine.stage(&refused, NOW_MS).unwrap_err();
    assert_eq!(refused, WriteError::Conflict { current: Some(Lsn(3)) });
}

#[test]
fn a_row_that_it_emptied_and_filled_again_lasts() {
    let (_disk, mut engine) = fixture::new(options());
    let row = row_of(&[("a", b"1")]);
    let write = Write::new(Operation::PutColumns(&row)).expiring_at(LATER_MS);
    engine.stage(&write, NOW_MS).unwrap();
    begin(&mut engine, id(1)).unwrap();
    let own = engine.reader_within(id(1), NOW_MS).unwrap();
    assert_eq!(own.row_expires_at(b"r").unwrap(), Some(LATER_MS));
    within(&mut engine, Operation::DeleteColumns(&NAME)).unwrap();
    within(&mut engine, Operation::PutColumns(&row)).unwrap();
    let own = engine.reader_within(id(1), NOW_MS).unwrap();
    assert_eq!(own.row_expires_at(b"r").unwrap(), Some(0));
    commit(&mut engine, id(1), &[]).unwrap();
    assert_eq!(snapshot(&mut engine).row(b"r").unwrap().unwrap().expires_at(), 0);
}

#[test]
fn a_key_that_is_written_again_and_again_is_read_as_it_is_last() {
    let (_disk, mut engine) = fixture::new(options());
    begin(&mut engine, id(1)).unwrap();
    for number in 0..5_000_u32 {
        put(&mut engine, id(1), b"k", &number.to_le_bytes()).unwrap();
        if number % 7 == 0 {
            let own = engine.reader_within(id(1), NOW_MS).unwrap();
            assert_eq!(get(&own, b"k"), Some(number.to_le_bytes().to_vec()));
        }
    }
}

#[test]
fn what_expired_for_all_since_it_was_said_to_live_longer_is_gone_in_it_too() {
    let (_disk, mut engine) = fixture::new(options());
    engine.stage(&Write::put(b"k", b"v").expiring_at(NOW_MS + 10), NOW_MS).unwrap();
    fixture::commit(&mut engine);
    begin(&mut engine, id(1)).unwrap();
    let longer = Write::new(Operation::Expire { key: b"k" }).expiring_at(LATER_MS).within(id(1));
    engine.stage(&longer, NOW_MS).unwrap();
    assert_eq!(get(&engine.reader_within(id(1), NOW_MS).unwrap(), b"k"), Some(b"v".to_vec()));
    assert!(engine.expire(NOW_MS + 20).unwrap().is_some());
    // By a clock that has gone back it would live, by what is in the log it does not.
    assert_eq!(get(&engine.reader_within(id(1), NOW_MS).unwrap(), b"k"), None);
    let refused = engine.stage(&longer, NOW_MS).unwrap_err();
    assert_eq!(refused, WriteError::Conflict { current: None });
}

#[test]
fn what_is_kept_to_read_in_it_is_counted_and_does_not_grow_with_each_overwriting() {
    const OWN_MIN: usize = 4 << 10;
    const OWN_MAX: usize = 32 << 10;
    let (_disk, mut engine) = fixture::new(options());
    let none = engine.transactions_bytes();
    begin(&mut engine, id(1)).unwrap();
    begin(&mut engine, id(2)).unwrap();
    put(&mut engine, id(1), b"k", b"v").unwrap();
    let before = engine.transactions_bytes();
    for number in 0..700_u32 {
        let put = Operation::Put { key: b"k", value: &number.to_be_bytes() };
        on(&mut engine, put, Condition::Present).unwrap();
        fixture::commit(&mut engine);
        let grown = engine.transactions_bytes() - before;
        assert!(grown <= OWN_MAX, "{number}: {grown}");
        let own = engine.reader_within(id(1), NOW_MS).unwrap();
        assert_eq!(get(&own, b"k"), Some(number.to_be_bytes().to_vec()));
        let grown = engine.transactions_bytes() - before;
        assert!((OWN_MIN..=OWN_MAX).contains(&grown), "{number}: {grown}");
    }
    let both = engine.transactions_bytes();
    abort(&mut engine, id(1)).unwrap();
    assert!(engine.transactions_bytes() < both - OWN_MIN);
    commit(&mut engine, id(2), &[]).unwrap();
    assert_eq!(engine.transactions_bytes(), none);
}
