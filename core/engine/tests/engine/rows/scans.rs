//! Scans over many rows: in pages, over memory and tree, past rows that were deleted.

use super::model::{Flat, read, scan};
use crate::fixture::{self, Sim, commit, flush, options, stage};
use unison_base::Lsn;
use unison_engine::{ColumnNames, ColumnValues, EngineOptions, Operation, RowScanRequest};
use unison_sim::disk::CrashDisk;

const ROWS: u16 = 400;

fn put(engine: &mut Sim, row: u16, columns: &[(&str, &[u8])]) {
    let row = &row.to_be_bytes();
    stage(engine, Operation::PutColumns(&[ColumnValues { row, columns }])).unwrap();
}

/// Rows in the tree, in memory and in both, some deleted, some thinned out.
fn filled() -> (CrashDisk, Sim) {
    let (disk, mut engine) = fixture::new(EngineOptions { memtable_bytes: 4 << 20, ..options() });
    for row in 0..ROWS {
        put(&mut engine, row, &[("a", b"tree"), ("b", b"tree"), ("c", b"tree")]);
        fixture::put(&mut engine, &row.to_be_bytes(), b"a key between");
    }
    commit(&mut engine);
    flush(&mut engine);
    for row in (0..ROWS).step_by(3) {
        put(&mut engine, row, &[("b", b"memory")]);
    }
    for row in (0..ROWS).step_by(7) {
        stage(&mut engine, Operation::DeleteRows(&[&row.to_be_bytes()])).unwrap();
    }
    for row in (0..ROWS).step_by(11) {
        let (row, columns) = (&row.to_be_bytes()[..], &["a", "c"][..]);
        stage(&mut engine, Operation::DeleteColumns(&[ColumnNames { row, columns }])).unwrap();
    }
    for row in (0..ROWS).step_by(14) {
        put(&mut engine, row, &[("again", b"memory")]);
    }
    commit(&mut engine);
    (disk, engine)
}

fn expected() -> Vec<(u16, String, Vec<u8>)> {
    let columns = |row: u16| {
        if row.is_multiple_of(7) {
            return if row.is_multiple_of(14) { vec![("again", "memory")] } else { vec![] };
        }
        let b = if row.is_multiple_of(3) { "memory" } else { "tree" };
        let all = [("a", "tree"), ("b", b), ("c", "tree")];
        all.into_iter().filter(|(name, _)| !row.is_multiple_of(11) || *name == "b").collect()
    };
    let cells = (0..ROWS).flat_map(|row| {
        columns(row).into_iter().map(move |(name, value)| (row, name.into(), value.into()))
    });
    cells.collect()
}

fn shown(cells: &[Flat]) -> Vec<(u16, String, Vec<u8>)> {
    let row = |row: &[u8]| u16::from_be_bytes(row.try_into().unwrap());
    cells.iter().map(|(key, _, name, value, _)| (row(key), name.clone(), value.clone())).collect()
}

#[test]
fn rows_are_scanned_over_memory_and_tree_in_both_directions() {
    let (_disk, mut engine) = filled();
    for _ in 0..2 {
        let snapshot = engine.reader().snapshot();
        let mut expected = expected();
        assert_eq!(shown(&scan(&snapshot, RowScanRequest::default())), expected);
        expected.reverse();
        let backward = RowScanRequest { reverse: true, ..RowScanRequest::default() };
        assert_eq!(shown(&scan(&snapshot, backward)), expected);
        assert_eq!(snapshot.count().unwrap(), u64::from(ROWS));
        drop(snapshot);
        flush(&mut engine);
    }
    let rows = expected().iter().map(|(row, ..)| *row).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(engine.stats().tree_rows, rows.len() as u64);
}

#[test]
fn pages_end_anywhere_and_go_on_behind_their_last_cell() {
    let (_disk, engine) = filled();
    let snapshot = engine.reader().snapshot();
    for reverse in [false, true] {
        let whole = scan(&snapshot, RowScanRequest { reverse, ..RowScanRequest::default() });
        for length in [1, 2, 5, 100, 2_000] {
            let mut pages: Vec<Flat> = Vec::new();
            loop {
                let last = pages.last().map(|(row, _, name, ..)| (row.clone(), name.clone()));
                let after = last.as_ref().map(|(row, name)| (row.as_slice(), name.as_str()));
                let request = RowScanRequest { reverse, after, ..RowScanRequest::default() };
                let cells = snapshot.rows(request).unwrap().take(length);
                let before = pages.len();
                pages.extend(cells.map(|cell| read(cell.unwrap())));
                if pages.len() == before {
                    break;
                }
            }
            assert_eq!(pages, whole, "pages of {length}, reverse {reverse}");
        }
    }
}

#[test]
fn one_row_deleted_and_written_many_times_stays_one_look() {
    let (_disk, mut engine) = fixture::new(EngineOptions { memtable_bytes: 4 << 20, ..options() });
    for number in 0..3_000_u32 {
        let value = number.to_be_bytes();
        put(&mut engine, 1, &[("a", &value), ("b", &value)]);
        if number % 1_000 == 500 {
            stage(&mut engine, Operation::DeleteRows(&[&[0, 1]])).unwrap();
        }
    }
    commit(&mut engine);
    let cells = scan(&engine.reader().snapshot(), RowScanRequest::default());
    assert_eq!(cells.len(), 2);
    assert_eq!((cells[0].1, &cells[0].3), (Lsn(3_003), &2_999_u32.to_be_bytes().to_vec()));
}
