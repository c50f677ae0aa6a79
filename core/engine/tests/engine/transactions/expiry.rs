//! Transactions that touch rows which expire: a commit repeats when they do, if that still holds.

use super::model::{begin, commit, id};
use crate::fixture::{self, NOW_MS, Sim, options};
use unison_engine::{ColumnValues, Operation, Write, WriteError};

const SOON: u64 = NOW_MS + 100;

fn columns(engine: &mut Sim, expires_at: u64, transaction: bool) {
    let rows = [ColumnValues { row: b"r", columns: &[("c", b"1")] }];
    let write = Write { expires_at, ..Write::new(Operation::PutColumns(&rows)) };
    let write = if transaction { write.within(id(1)) } else { write };
    engine.stage(&write, NOW_MS).unwrap();
}

fn expire(engine: &mut Sim, expires_at: u64) {
    let write = Write { expires_at, ..Write::new(Operation::ExpireRow { row: b"r" }) };
    engine.stage(&write, NOW_MS).unwrap();
}

/// A row that expires then is changed in a transaction that is not committed.
fn begun(before: u64, asked: u64) -> Sim {
    let (_disk, mut engine) = fixture::new(options());
    columns(&mut engine, before, false);
    begin(&mut engine, id(1)).unwrap();
    columns(&mut engine, asked, true);
    engine
}

#[test]
fn a_change_of_expiry_meanwhile_is_a_conflict_and_stays() {
    for (before, after) in [(SOON, 0), (0, SOON), (SOON, SOON + 1)] {
        let mut engine = begun(before, 0);
        expire(&mut engine, after);
        let refused = commit(&mut engine, id(1), &[]);
        assert!(matches!(refused, Err(WriteError::Conflict { current: Some(_) })), "{refused:?}");
        fixture::commit(&mut engine);
        assert_eq!(engine.reader().row_expires_at(b"r").unwrap(), Some(after));
    }
}

#[test]
fn a_row_that_expires_meanwhile_is_a_conflict() {
    let mut engine = begun(SOON, 0);
    let write = Write::new(Operation::Commit(&[])).within(id(1));
    let refused = engine.stage(&write, SOON).unwrap_err();
    assert_eq!(refused, WriteError::Conflict { current: None });
}

#[test]
fn an_expiry_that_is_as_before_or_given_is_none() {
    for (before, asked) in [(0, 0), (SOON, 0), (0, SOON)] {
        let mut engine = begun(before, asked);
        if asked > 0 {
            expire(&mut engine, SOON + 7);
        }
        commit(&mut engine, id(1), &[]).unwrap();
        fixture::commit(&mut engine);
        let expected = before.max(asked);
        assert_eq!(engine.reader().row_expires_at(b"r").unwrap(), Some(expected));
    }
}
