//! What wide rows with long keys take in memory: bounded for one write, for a group, and for what a
//! leader or a disk sends.

use crate::fixture::{self, NOW_MS, Sim, commit, flush, options, stage};
use crate::follow::{framed, record};
use flatbuffers::FlatBufferBuilder;
use unison_base::Lsn;
use unison_base::limits::{INDEX_BYTES_MAX, INDEX_ENTRY_BYTES, KEY_MAX};
use unison_engine::{
    ApplyError, ColumnNames, ColumnRange, ColumnValues, EngineOptions, Operation, WriteError,
};
use unison_schemas::{
    ColumnData, ColumnDataArgs, EntryType, OperationType, RowUpdateEntry, RowUpdateEntryArgs,
};
use unison_walfs::{Bound, LogRole, RunHeader, Step};

const MEMTABLE_BYTES: usize = 1 << 20;

fn wide() -> EngineOptions {
    EngineOptions {
        memtable_bytes: MEMTABLE_BYTES,
        memtables_max: 1,
        checkpoint_log_bytes: u64::MAX,
        segment_bytes: 16 << 20,
        ..options()
    }
}

/// Zeros are written twice.
const HEAD_BYTES: usize = 1 + 2 * KEY_MAX + 2;

/// What so many columns with names of four bytes take.
fn index_bytes(columns: usize) -> usize {
    HEAD_BYTES + INDEX_ENTRY_BYTES + columns * (HEAD_BYTES + 4 + INDEX_ENTRY_BYTES)
}

fn names(columns: usize) -> Vec<String> {
    (0..columns).map(|number| format!("{number:04}")).collect()
}

fn put(engine: &mut Sim, columns: usize) -> Result<Lsn, WriteError> {
    let names = names(columns);
    let columns: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    let rows = [ColumnValues { row: &[0; KEY_MAX], columns: &columns }];
    stage(engine, Operation::PutColumns(&rows)).map(|written| written.lsn)
}

fn columns(engine: &Sim) -> usize {
    let row = engine.reader().snapshot().row(&[0; KEY_MAX]).unwrap();
    row.map_or(0, |row| row.columns(ColumnRange::default()).unwrap().count())
}

/// As many columns as one write may name.
fn most() -> usize {
    (1..).take_while(|&columns| index_bytes(columns) <= INDEX_BYTES_MAX).count()
}

#[test]
fn a_write_that_takes_too_much_of_the_index_is_refused_before_it_takes_an_lsn() {
    let (disk, mut engine) = fixture::new(wide());
    let (too_many, limit) = (most() + 1, INDEX_BYTES_MAX);
    let refused = WriteError::IndexBytes { bytes: index_bytes(too_many), limit };
    assert_eq!(put(&mut engine, too_many), Err(refused));
    let names = names(too_many);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let rows = [ColumnNames { row: &[0; KEY_MAX], columns: &names }];
    assert_eq!(stage(&mut engine, Operation::DeleteColumns(&rows)).unwrap_err(), refused);
    let rows = vec![&[0; KEY_MAX][..]; 1_000];
    let refused = stage(&mut engine, Operation::DeleteRows(&rows)).unwrap_err();
    assert!(matches!(refused, WriteError::IndexBytes { .. }), "{refused}");
    assert_eq!(engine.next_lsn(), Lsn(1));
    put(&mut engine, most()).unwrap();
    commit(&mut engine);
    assert_eq!(columns(&engine), most());
    engine.close().unwrap();
    assert_eq!(columns(&fixture::open(&disk, wide())), most());
}

#[test]
fn a_group_is_not_staged_beyond_what_memory_may_hold() {
    let (_disk, mut engine) = fixture::new(wide());
    let refused = (0..100).find_map(|_| put(&mut engine, most()).err());
    assert!(matches!(refused, Some(WriteError::Busy(_))), "{refused:?}");
    let memory = engine.stats().memtable_bytes;
    assert!(memory <= 2 * (MEMTABLE_BYTES + 2 * INDEX_BYTES_MAX), "{memory}");
    let staged = engine.next_lsn();
    commit(&mut engine);
    flush(&mut engine);
    assert_eq!(engine.appended().next(), staged);
    assert_eq!(columns(&engine), most());
}

fn row_entry(row_bytes: usize, columns: usize) -> Vec<u8> {
    let mut builder = FlatBufferBuilder::new();
    let name = Some(builder.create_string("n"));
    let column = ColumnDataArgs { name, value: None };
    let columns: Vec<_> = (0..columns).map(|_| ColumnData::create(&mut builder, &column)).collect();
    let columns = Some(builder.create_vector(&columns));
    let length = u32::try_from(row_bytes).unwrap().to_be_bytes();
    let key = [&[0xFD][..], &length, &vec![b'r'; row_bytes]].concat();
    let key = Some(builder.create_vector(&key));
    let args = RowUpdateEntryArgs { key, columns, ..RowUpdateEntryArgs::default() };
    let root = RowUpdateEntry::create(&mut builder, &args);
    builder.finish_minimal(root);
    builder.finished_data().to_vec()
}

/// 2.6 GB if it were taken.
#[test]
fn a_record_that_takes_too_much_of_the_index_is_stored_and_passed_over() {
    let role = LogRole::Follower;
    for operation in [OperationType::Insert, OperationType::Delete] {
        let (disk, mut follower) = fixture::new(EngineOptions { role, ..wide() });
        let payload = record(operation, EntryType::Row, &row_entry(65_000, 40_000));
        let (run, frames) = framed(&payload);
        let run = RunHeader { segment_bytes: 16 << 20, ..run };
        assert_eq!(follower.apply_run(run, &frames, NOW_MS), Ok(Lsn(1)));
        assert_eq!((follower.stats().skipped_records, follower.stats().memtable_bytes), (1, 0));
        follower.close().unwrap();
        let mut follower = fixture::open(&disk, EngineOptions { role, ..wide() });
        assert_eq!((follower.stats().skipped_records, follower.stats().memtable_bytes), (1, 0));
        let stored = follower.log().cursor(Lsn(1), Bound::Appended).unwrap().next().unwrap();
        assert_eq!(&*stored.unwrap().payload, payload.as_slice());
        flush(&mut follower);
        assert_eq!((follower.stats().skipped_records, follower.stats().tree_rows), (1, 0));
    }
}

#[test]
fn a_run_of_wide_rows_is_taken_in_parts_that_memory_can_hold() {
    let (_disk, mut leader) = fixture::new(EngineOptions { memtable_bytes: 1 << 30, ..wide() });
    for _ in 0..40 {
        put(&mut leader, 300).unwrap();
    }
    commit(&mut leader);
    let log = leader.log();
    let step = log.cursor(Lsn(1), Bound::Durable).unwrap().next_run(1 << 20).unwrap().unwrap();
    let Step::Run { segment, offset, first, count, segment_bytes, frames } = step else {
        panic!("a run comes first")
    };
    assert_eq!(count, 40, "one run of 100 MB of keys");
    let run = RunHeader { segment, offset, first, count, segment_bytes };
    let role = LogRole::Follower;
    let (_disk, mut follower) = fixture::new(EngineOptions { role, ..wide() });
    let mut refused = 0;
    while let Err(error) = follower.apply_run(run, &frames, NOW_MS) {
        assert!(matches!(error, ApplyError::Busy(_)), "{error}");
        let memory = follower.stats().memtable_bytes;
        assert!(memory <= 2 * (MEMTABLE_BYTES + INDEX_BYTES_MAX), "{memory}");
        flush(&mut follower);
        refused += 1;
    }
    assert!(refused > 5, "{refused}");
    follower.publish(Lsn(40));
    assert_eq!((follower.appended(), columns(&follower)), (Lsn(40), 300));
    assert_eq!(follower.stats().skipped_records, 0);
}

#[test]
fn a_run_goes_as_far_as_there_is_room_and_a_record_beyond_it_is_refused() {
    let (_disk, mut leader) = fixture::new(EngineOptions { memtable_bytes: 1 << 30, ..wide() });
    for columns in [10, 20, 30, 400] {
        put(&mut leader, columns).unwrap();
    }
    commit(&mut leader);
    let log = leader.log();
    let step = log.cursor(Lsn(1), Bound::Durable).unwrap().next_run(1 << 20).unwrap().unwrap();
    let Step::Run { segment, offset, first, count, segment_bytes, frames } = step else {
        panic!("a run comes first")
    };
    let run = RunHeader { segment, offset, first, count, segment_bytes };
    let role = LogRole::Follower;
    let (_disk, mut follower) = fixture::new(EngineOptions { role, ..wide() });
    follower.set_index_room(index_bytes(10) + index_bytes(20));
    let room = 0;
    let refused = ApplyError::Memory { lsn: Lsn(3), bytes: index_bytes(30), room };
    assert_eq!(follower.apply_run(run, &frames, NOW_MS), Err(refused));
    assert_eq!(follower.appended(), Lsn(2), "the first part is there");
    let memory = follower.stats().memtable_bytes;
    follower.set_index_room(index_bytes(30) - 1);
    let refused =
        ApplyError::Memory { lsn: Lsn(3), bytes: index_bytes(30), room: index_bytes(30) - 1 };
    assert_eq!(follower.apply_run(run, &frames, NOW_MS), Err(refused));
    assert_eq!((follower.appended(), follower.stats().memtable_bytes), (Lsn(2), memory));
    follower.set_index_room(usize::MAX);
    assert_eq!(follower.apply_run(run, &frames, NOW_MS), Ok(Lsn(4)));
    follower.publish(Lsn(4));
    assert_eq!((columns(&follower), follower.stats().skipped_records), (400, 0));
}
