//! One row at a time: limits, conditions wherever the row is, damage, and what other writers leave.

use super::model::{Change, columns, scan};
use crate::fixture::{self, Sim, commit, flush, options, stage};
use unison_base::limits::{
    BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, COLUMN_NAME_MAX, KEY_MAX, ROW_COLUMNS_MAX, VALUE_MAX,
};
use unison_base::{Lsn, SegmentId};
use unison_engine::{
    ColumnNames, ColumnRange, ColumnValues, Condition, EngineOptions, Operation, ReadError,
    RowScanRequest, WriteError,
};
use unison_ports::SegmentKind;
use unison_sim::disk::{Damage, File};
use unison_walfs::Bound;

fn put(engine: &mut Sim, row: &[u8], columns: &[(&str, &[u8])]) -> Lsn {
    stage(engine, Operation::PutColumns(&[ColumnValues { row, columns }])).unwrap().lsn
}

fn delete(engine: &mut Sim, row: &[u8], columns: &[&str]) -> Lsn {
    stage(engine, Operation::DeleteColumns(&[ColumnNames { row, columns }])).unwrap().lsn
}

fn large() -> EngineOptions {
    EngineOptions { segment_bytes: 16 << 20, memtable_bytes: 8 << 20, ..options() }
}

fn values(row: &[u8], columns: &[(&str, usize)]) -> Change {
    let columns = columns.iter().map(|&(name, bytes)| (name.to_owned(), vec![0; bytes]));
    Change::Put(vec![(row.to_vec(), columns.collect())])
}

fn numbered(columns: usize) -> (Vec<u8>, Vec<(String, Vec<u8>)>) {
    (b"row".to_vec(), (0..columns).map(|number| (number.to_string(), Vec::new())).collect())
}

fn names(columns: usize) -> Change {
    let names = (0..columns).map(|number| number.to_string()).collect();
    Change::Delete(vec![(b"row".to_vec(), names)])
}

/// Changes that break a limit, and how that is said.
fn beyond() -> Vec<(Change, WriteError)> {
    let columns = |columns| WriteError::Columns { columns, limit: ROW_COLUMNS_MAX };
    let name = |bytes| WriteError::ColumnLength { bytes, limit: COLUMN_NAME_MAX };
    let key = |bytes| WriteError::KeyLength { bytes, limit: KEY_MAX };
    let operations =
        |operations| WriteError::BatchOperations { operations, limit: BATCH_OPERATIONS_MAX };
    let long_name = "n".repeat(COLUMN_NAME_MAX + 1);
    let (half, row) = (BATCH_BYTES_MAX / 2, b"row");
    let value = WriteError::ValueLength { bytes: VALUE_MAX + 1, limit: VALUE_MAX };
    let bytes = WriteError::BatchBytes { bytes: BATCH_BYTES_MAX + 5, limit: BATCH_BYTES_MAX };
    vec![
        (Change::Put(vec![]), WriteError::EmptyBatch),
        (Change::Delete(vec![]), WriteError::EmptyBatch),
        (Change::DeleteRows(vec![]), WriteError::EmptyBatch),
        (values(b"", &[("a", 0)]), key(0)),
        (values(&[0; KEY_MAX + 1], &[("a", 0)]), key(KEY_MAX + 1)),
        (Change::DeleteRows(vec![b"row".to_vec(), vec![]]), key(0)),
        (values(row, &[]), columns(0)),
        (names(0), columns(0)),
        (Change::Put(vec![numbered(ROW_COLUMNS_MAX + 1)]), columns(ROW_COLUMNS_MAX + 1)),
        (names(ROW_COLUMNS_MAX + 1), columns(ROW_COLUMNS_MAX + 1)),
        (values(row, &[("", 0)]), name(0)),
        (values(row, &[("good", 0), (&long_name, 0)]), name(COLUMN_NAME_MAX + 1)),
        (Change::Delete(vec![(row.to_vec(), vec![long_name])]), name(COLUMN_NAME_MAX + 1)),
        (values(row, &[("a", VALUE_MAX + 1)]), value),
        (values(row, &[("a", half), ("b", half)]), bytes),
        (Change::Put(vec![numbered(ROW_COLUMNS_MAX); 3]), operations(3 * ROW_COLUMNS_MAX)),
        (
            Change::DeleteRows(vec![row.to_vec(); BATCH_OPERATIONS_MAX + 1]),
            operations(BATCH_OPERATIONS_MAX + 1),
        ),
    ]
}

#[test]
fn writes_beyond_a_limit_are_refused_before_they_take_an_lsn() {
    let (_disk, mut engine) = fixture::new(large());
    for (change, expected) in beyond() {
        let refused = change.stage(&mut engine, Condition::Always, false).unwrap_err();
        assert_eq!(refused, expected);
    }
    assert_eq!(engine.next_lsn(), Lsn(1));
}

#[test]
fn what_is_just_within_the_limits_is_taken() {
    let (disk, mut engine) = fixture::new(large());
    let (row, name) = (vec![0; KEY_MAX], "\0".repeat(COLUMN_NAME_MAX));
    let value = vec![7; VALUE_MAX];
    put(&mut engine, &row, &[(&name, &value)]);
    let names: Vec<String> = (0..ROW_COLUMNS_MAX).map(|number| format!("{number:04}")).collect();
    let wide: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
    put(&mut engine, b"wide", &wide);
    commit(&mut engine);
    for _ in 0..2 {
        let reader = engine.reader();
        let found = reader.column(&row, &name).unwrap().unwrap();
        assert_eq!(&*found.bytes().unwrap(), value.as_slice());
        let wide = reader.snapshot().row(b"wide").unwrap().unwrap();
        assert_eq!(columns(&wide, ColumnRange::default()).len(), ROW_COLUMNS_MAX);
        flush(&mut engine);
        drop((reader, wide, found));
        drop(engine);
        engine = fixture::open(&disk, large());
    }
}

#[test]
fn reads_name_the_limit_too() {
    let (_disk, engine) = fixture::new(options());
    let reader = engine.reader();
    let (long_row, long_name) = (vec![b'r'; KEY_MAX + 1], "n".repeat(COLUMN_NAME_MAX + 1));
    for row in [&b""[..], &long_row] {
        let refused = ReadError::KeyLength { bytes: row.len(), limit: KEY_MAX };
        assert_eq!(reader.column(row, "n").unwrap_err(), refused);
        assert_eq!(reader.row_version(row).unwrap_err(), refused);
        assert_eq!(reader.snapshot().row(row).unwrap_err(), refused);
    }
    for name in ["", &long_name] {
        let refused = ReadError::ColumnLength { bytes: name.len(), limit: COLUMN_NAME_MAX };
        assert_eq!(reader.column(b"r", name).unwrap_err(), refused);
    }
}

/// Where the row is when something is asked of it.
fn everywhere(check: impl Fn(&mut Sim, Lsn)) {
    for place in 0..4 {
        let (disk, mut engine) = fixture::new(options());
        put(&mut engine, b"row", &[("a", b"1"), ("b", b"2")]);
        let lsn = delete(&mut engine, b"row", &["b"]);
        if place > 0 {
            commit(&mut engine);
        }
        if place > 1 {
            flush(&mut engine);
        }
        if place > 2 {
            drop(engine);
            engine = fixture::open(&disk, options());
        }
        check(&mut engine, lsn);
    }
}

#[test]
fn a_row_has_the_version_of_its_newest_change() {
    everywhere(|engine, lsn| {
        let change = Change::Put(vec![(b"row".to_vec(), vec![("c".into(), vec![3])])]);
        let conditional = |engine: &mut Sim, condition| {
            change.stage(engine, condition, false).map(|written| written.lsn)
        };
        let refused = |current| Err(WriteError::Conflict { current });
        assert_eq!(conditional(engine, Condition::Absent), refused(Some(lsn)));
        assert_eq!(conditional(engine, Condition::UnchangedSince(lsn.prev())), refused(Some(lsn)));
        let next = conditional(engine, Condition::UnchangedSince(lsn)).unwrap();
        assert_eq!(conditional(engine, Condition::UnchangedSince(lsn)), refused(Some(next)));
        delete(engine, b"row", &["a"]);
        let last = delete(engine, b"row", &["c"]);
        assert_eq!(conditional(engine, Condition::UnchangedSince(last)), refused(None));
        assert_eq!(conditional(engine, Condition::Present), refused(None));
        assert!(conditional(engine, Condition::Absent).is_ok());
    });
}

#[test]
fn a_row_without_its_last_column_is_not_there() {
    everywhere(|engine, _| {
        delete(engine, b"row", &["a"]);
        commit(engine);
        for _ in 0..2 {
            let snapshot = engine.reader().snapshot();
            assert!(snapshot.row(b"row").unwrap().is_none());
            assert_eq!(engine.reader().row_version(b"row").unwrap(), None);
            assert_eq!(scan(&snapshot, RowScanRequest::default()), []);
            drop(snapshot);
            flush(engine);
        }
        assert_eq!(engine.stats().tree_rows, 0);
    });
}

#[test]
fn a_row_that_was_deleted_begins_empty() {
    everywhere(|engine, _| {
        stage(engine, Operation::DeleteRows(&[b"row"])).unwrap();
        let lsn = put(engine, b"row", &[("c", b"3")]);
        commit(engine);
        for _ in 0..2 {
            let row = engine.reader().snapshot().row(b"row").unwrap().unwrap();
            let expected = [("c".to_owned(), b"3".to_vec(), lsn)];
            assert_eq!(columns(&row, ColumnRange::default()), expected);
            assert_eq!(
                columns(&row, ColumnRange { reverse: true, ..Default::default() }),
                expected
            );
            assert!(row.column("a").unwrap().is_none());
            assert!(engine.reader().column(b"row", "a").unwrap().is_none());
            drop(row);
            flush(engine);
        }
    });
}

#[test]
fn keys_and_rows_of_the_same_name_do_not_meet() {
    everywhere(|engine, lsn| {
        fixture::put(engine, b"row", b"a key's value");
        stage(engine, Operation::DeleteBatch(&[b"other"])).unwrap();
        commit(engine);
        let reader = engine.reader();
        assert_eq!(fixture::get(&reader, b"row"), Some(b"a key's value".to_vec()));
        assert_eq!(reader.row_version(b"row").unwrap(), Some(lsn));
        assert_eq!(reader.count().unwrap(), 1);
        stage(engine, Operation::DeleteRows(&[b"row"])).unwrap();
        commit(engine);
        assert_eq!(fixture::get(&reader, b"row"), Some(b"a key's value".to_vec()));
        assert_eq!(reader.row_version(b"row").unwrap(), None);
        assert_eq!(reader.count().unwrap(), 1);
    });
}

#[test]
fn a_flipped_bit_is_an_error_and_never_a_wrong_value() {
    let (mut errors, mut checked) = (0, 0);
    for offset in (64..1_500).step_by(3) {
        for flushed in [false, true] {
            let (disk, mut engine) =
                fixture::new(EngineOptions { inline_value_bytes: 0, ..options() });
            put(&mut engine, b"row", &[("a", &[1; 600]), ("b", &[2; 600])]);
            commit(&mut engine);
            if flushed {
                flush(&mut engine);
            }
            let segment = File::Segment(SegmentId(1), SegmentKind::Log);
            disk.damage("ns", segment, Damage::FlipBit { offset, bit: 5 }).unwrap();
            let row = engine.reader().snapshot().row(b"row").unwrap().unwrap();
            for (name, value) in [("a", [1; 600]), ("b", [2; 600])] {
                checked += 1;
                let single = engine.reader().column(b"row", name).unwrap().unwrap();
                let columns = row.columns(ColumnRange::default()).unwrap().map(Result::unwrap);
                let scanned = columns.into_iter().find(|column| column.name == name).unwrap();
                for found in [single, row.column(name).unwrap().unwrap(), scanned.value] {
                    match found.bytes() {
                        Ok(bytes) => assert_eq!(&*bytes, value),
                        Err(error) => {
                            assert!(matches!(error, ReadError::Corrupt { .. }), "{error}");
                            errors += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(errors > 2_000 && checked > 1_500, "{errors} errors, {checked} checked");
}

#[test]
fn a_cut_keeps_which_record_deleted_a_row() {
    let (_disk, mut leader) = fixture::new(options());
    put(&mut leader, b"row", &[("a", b"1"), ("b", b"1")]);
    stage(&mut leader, Operation::DeleteRows(&[b"row"])).unwrap();
    put(&mut leader, b"row", &[("b", b"2")]);
    put(&mut leader, b"row", &[("c", b"gone")]);
    commit(&mut leader);
    // Each record is in a memtable of its own.
    let tiny = EngineOptions { memtable_bytes: 1, memtables_max: 5, ..fixture::follower_options() };
    let (_disk, mut follower) = fixture::new(tiny);
    let log = leader.log();
    let mut cursor = log.cursor(Lsn(1), Bound::Durable).unwrap();
    while let Some(step) = cursor.next_run(1).unwrap() {
        crate::follow::take(&mut follower, &step, false).unwrap();
    }
    follower.publish(Lsn(4));
    assert_eq!(follower.stats().frozen_memtables, 4);
    follower.cut_after(Lsn(3), fixture::NOW_MS).unwrap();
    for _ in 0..2 {
        let row = follower.reader().snapshot().row(b"row").unwrap().unwrap();
        let expected = [("b".to_owned(), b"2".to_vec(), Lsn(3))];
        assert_eq!(columns(&row, ColumnRange::default()), expected);
        drop(row);
        flush(&mut follower);
    }
}
