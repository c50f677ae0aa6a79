//! Whether something was there meanwhile.

use crate::fixture::{self, Sim, commit, delete, flush, options, put, stage};
use unison_base::Lsn;
use unison_engine::{ColumnValues, EngineOptions, Operation};

fn came(engine: &Sim, after: Lsn) -> bool {
    engine.reader().came_since(b"k", after).unwrap()
}

fn changed(engine: &mut Sim, operation: Operation<'_>) {
    stage(engine, operation).unwrap();
    commit(engine);
}

#[test]
fn what_came_and_went_is_remembered_until_a_flush() {
    let (_disk, mut engine) = fixture::new(options());
    put(&mut engine, b"k", b"1");
    let before = commit(&mut engine);
    assert!(came(&engine, Lsn::ZERO) && !came(&engine, before));
    delete(&mut engine, b"k");
    let absent = commit(&mut engine);
    // One removal of nothing after the other.
    delete(&mut engine, b"k");
    commit(&mut engine);
    assert!(!came(&engine, absent));
    put(&mut engine, b"other", b"1");
    commit(&mut engine);
    assert!(!came(&engine, absent));
    put(&mut engine, b"k", b"2");
    delete(&mut engine, b"k");
    commit(&mut engine);
    assert!(came(&engine, absent));
    // Not behind it, and not by what is only staged.
    let gone = engine.reader().applied();
    put(&mut engine, b"k", b"3");
    delete(&mut engine, b"k");
    assert!(!came(&engine, gone));
    commit(&mut engine);
    assert!(came(&engine, gone));
    flush(&mut engine);
    assert!(!came(&engine, gone) && !came(&engine, Lsn::ZERO));
}

#[test]
fn it_is_remembered_over_memtables_and_of_rows_too() {
    let (_disk, mut engine) = fixture::new(options());
    let before = engine.reader().applied();
    let columns = [ColumnValues { row: b"k", columns: &[("c", b"1")] }];
    changed(&mut engine, Operation::DeleteRows(&[b"k"]));
    assert!(!came(&engine, before));
    changed(&mut engine, Operation::PutColumns(&columns));
    changed(&mut engine, Operation::DeleteRows(&[b"k"]));
    assert!(came(&engine, before));
    let (_disk, mut engine) = fixture::new(options());
    put(&mut engine, b"k", b"1");
    commit(&mut engine);
    let job = engine.flush_now();
    delete(&mut engine, b"k");
    let removed = commit(&mut engine);
    assert!(job.is_some() && came(&engine, Lsn::ZERO) && !came(&engine, removed));
}

#[test]
fn of_one_that_is_removed_over_and_over_it_is_assumed() {
    let (_disk, mut engine) = fixture::new(EngineOptions::default());
    let before = engine.reader().applied();
    for _ in 0..100 {
        delete(&mut engine, b"k");
    }
    commit(&mut engine);
    assert!(came(&engine, before));
}
