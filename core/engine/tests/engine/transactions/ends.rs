//! How transactions end, and what is refused.

use super::model::{abort, begin, chunk, commit, id, put, snapshot};
use crate::fixture::{self, NOW_MS, Sim, follower_options, get, options};
use crate::follow::fetch;
use unison_base::limits::{BATCH_OPERATIONS_MAX, TRANSACTION_INDEX_BYTES_MAX, TRANSACTIONS_MAX};
use unison_base::{Lsn, SegmentId};
use unison_engine::{
    Check, ColumnValues, Condition, CutError, EngineOptions, Model, Operation, TransactionError,
    Write, WriteError,
};
use unison_ports::{SegmentKind, SegmentStore};
use unison_sim::disk::{CrashDisk, Damage, File};

fn refused<T: std::fmt::Debug>(result: Result<T, WriteError>) -> TransactionError {
    match result.unwrap_err() {
        WriteError::Transaction(error) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_of_it_is_there_at_once_with_the_version_of_its_commit() {
    let (_disk, mut engine) = fixture::new(options());
    begin(&mut engine, id(1)).unwrap();
    put(&mut engine, id(1), b"a", b"1").unwrap();
    let row = [ColumnValues { row: b"r", columns: &[("c", b"22")] }];
    engine.stage(&Write::new(Operation::PutColumns(&row)).within(id(1)), NOW_MS).unwrap();
    chunk(&mut engine, id(1), b"o", b"333").unwrap();
    let before = snapshot(&mut engine);
    assert!(before.get(b"a").unwrap().is_none() && before.row(b"r").unwrap().is_none());
    assert!(before.object(b"o").unwrap().is_none());
    let written = commit(&mut engine, id(1), &[]).unwrap();
    assert_eq!(written.lsn, Lsn(5));
    assert_eq!(written.checksum, Some(unison_base::checksum::crc32(b"122333")));
    let after = snapshot(&mut engine);
    assert_eq!(after.get(b"a").unwrap().unwrap().lsn(), Lsn(5));
    assert_eq!(after.row(b"r").unwrap().unwrap().lsn(), Lsn(5));
    assert_eq!(after.object(b"o").unwrap().unwrap().lsn(), Lsn(5));
    assert!(before.get(b"a").unwrap().is_none(), "what was held does not change");
}

#[test]
fn whoever_asks_again_is_told_how_it_ended() {
    let (_disk, mut engine) = fixture::new(options());
    assert_eq!(refused(put(&mut engine, id(1), b"a", b"1")), TransactionError::Unknown);
    for number in 1..=3 {
        begin(&mut engine, id(number)).unwrap();
        assert_eq!(refused(begin(&mut engine, id(number))), TransactionError::Exists);
        put(&mut engine, id(number), b"a", b"1").unwrap();
    }
    commit(&mut engine, id(1), &[]).unwrap();
    abort(&mut engine, id(2)).unwrap();
    let wrong = [Check { model: Model::KeyValue, key: b"a", version: Lsn(1) }];
    let current = Some(Lsn(7));
    assert_eq!(commit(&mut engine, id(3), &wrong).unwrap_err(), WriteError::Conflict { current });
    assert_eq!(refused(commit(&mut engine, id(1), &[])), TransactionError::Committed);
    assert_eq!(refused(put(&mut engine, id(2), b"a", b"1")), TransactionError::Aborted);
    assert_eq!(refused(abort(&mut engine, id(3))), TransactionError::Conflict);
    assert_eq!(refused(begin(&mut engine, id(1))), TransactionError::Exists);
    assert_eq!(engine.open_transactions(), 0);
    let alone = engine.stage(&Write::new(Operation::Abort), NOW_MS);
    assert_eq!(refused(alone), TransactionError::Missing);
    let operation = Operation::PutChunk { object: b"o", chunk: b"" };
    assert_eq!(refused(engine.stage(&Write::new(operation), NOW_MS)), TransactionError::Missing);
}

#[test]
fn one_that_takes_too_long_is_aborted() {
    let (_disk, mut engine) = fixture::new(options());
    let (idle, total) = (options().transaction_idle_ms, options().transaction_total_ms);
    for number in 1..=2 {
        begin(&mut engine, id(number)).unwrap();
    }
    let late = NOW_MS + idle + 1;
    let write = Write::put(b"a", b"1").within(id(1));
    assert_eq!(refused(engine.stage(&write, late)), TransactionError::TimedOut);
    assert_eq!(engine.tend_transactions(late).unwrap(), 1);
    assert_eq!(refused(put(&mut engine, id(2), b"a", b"1")), TransactionError::TimedOut);
    engine.stage(&Write::new(Operation::Begin).within(id(3)), late).unwrap();
    let write = Write::put(b"a", b"1").within(id(3));
    for step in 1..total / idle + 1 {
        engine.stage(&write, late + step * idle).unwrap();
    }
    assert_eq!(refused(engine.stage(&write, late + total + 1)), TransactionError::TimedOut);
    assert_eq!(engine.open_transactions(), 0);
}

#[test]
fn conditions_hold_when_asked_and_at_the_commit() {
    let (_disk, mut engine) = fixture::new(options());
    fixture::put(&mut engine, b"a", b"1");
    let conditional = |condition| Write { condition, ..Write::put(b"a", b"2") }.within(id(1));
    begin(&mut engine, id(1)).unwrap();
    let error = engine.stage(&conditional(Condition::Absent), NOW_MS).unwrap_err();
    assert_eq!(error, WriteError::Conflict { current: Some(Lsn(1)) });
    engine.stage(&conditional(Condition::UnchangedSince(Lsn(1))), NOW_MS).unwrap();
    // Its own write is there to it.
    engine.stage(&conditional(Condition::Present), NOW_MS).unwrap();
    fixture::put(&mut engine, b"a", b"3");
    let error = commit(&mut engine, id(1), &[]).unwrap_err();
    assert_eq!(error, WriteError::Conflict { current: Some(Lsn(5)) });
    fixture::commit(&mut engine);
    assert_eq!(get(&engine.reader(), b"a"), Some(b"3".to_vec()));
}

#[test]
fn there_is_a_limit_to_how_many_and_how_large() {
    let (_disk, mut engine) = fixture::new(EngineOptions::default());
    for number in 0..TRANSACTIONS_MAX as u64 {
        begin(&mut engine, id(number)).unwrap();
    }
    let limit = TRANSACTIONS_MAX;
    assert_eq!(refused(begin(&mut engine, id(9_999))), TransactionError::TooMany { limit });
    let keys: Vec<_> = (0..5_000_u32).map(u32::to_be_bytes).collect();
    let mut puts = 0_u32;
    let refusal = loop {
        let values: Vec<Vec<u8>> =
            keys.iter().map(|key| [&puts.to_be_bytes(), &key[..]].concat()).collect();
        let pairs: Vec<(&[u8], &[u8])> =
            values.iter().map(|key| (key.as_slice(), &b""[..])).collect();
        match engine.stage(&Write::new(Operation::PutBatch(&pairs)).within(id(0)), NOW_MS) {
            Ok(_) => puts += 1,
            Err(error) => break error,
        }
    };
    let limit = TRANSACTION_INDEX_BYTES_MAX;
    assert!(
        matches!(refusal, WriteError::Transaction(TransactionError::TooLarge { bytes, limit: l })
            if bytes > limit && l == limit),
        "{refusal:?}"
    );
    assert_eq!(puts, 15, "5,000 keys of 8 bytes take 525,000 bytes");
    commit(&mut engine, id(0), &[]).unwrap();
    assert_eq!(snapshot(&mut engine).count().unwrap(), 75_000);
}

#[test]
fn a_restart_ends_what_was_open_and_followers_hear_of_it() {
    let (disk, mut engine) = fixture::new(options());
    begin(&mut engine, id(1)).unwrap();
    put(&mut engine, id(1), b"a", b"1").unwrap();
    fixture::commit(&mut engine);
    let (_follower_disk, mut follower) = fixture::new(follower_options());
    fetch(&engine, &mut follower, 4_000, u64::MAX);
    assert_eq!(follower.open_transactions(), 1);
    drop(engine);
    let mut engine = fixture::open(&disk, options());
    begin(&mut engine, id(2)).unwrap();
    assert_eq!(engine.open_transactions(), 1, "the one before is aborted in the log");
    assert_eq!(engine.next_lsn(), Lsn(5));
    fixture::commit(&mut engine);
    fetch(&engine, &mut follower, 4_000, u64::MAX);
    assert_eq!(follower.open_transactions(), 1);
    assert_eq!(refused(commit(&mut engine, id(1), &[])), TransactionError::Failed);
    fixture::commit(&mut engine);
    assert_eq!(get(&engine.reader(), b"a"), None);
}

#[test]
fn a_follower_whose_commit_is_cut_away_holds_the_transaction_open_again() {
    let (_disk, mut engine) = fixture::new(options());
    begin(&mut engine, id(1)).unwrap();
    put(&mut engine, id(1), b"a", b"1").unwrap();
    commit(&mut engine, id(1), &[]).unwrap();
    fixture::commit(&mut engine);
    let (_follower_disk, mut follower) = fixture::new(follower_options());
    fetch(&engine, &mut follower, 4_000, u64::MAX);
    assert_eq!(get(&follower.reader(), b"a"), Some(b"1".to_vec()));
    for keep in [2, 1, 2] {
        follower.cut_after(Lsn(keep), NOW_MS).unwrap();
        assert_eq!((get(&follower.reader(), b"a"), follower.open_transactions()), (None, 1));
        fetch(&engine, &mut follower, 4_000, u64::MAX);
        assert_eq!(get(&follower.reader(), b"a"), Some(b"1".to_vec()));
        assert_eq!((follower.open_transactions(), follower.stats().skipped_records), (0, 0));
    }
}

/// A follower whose tree has been flushed while a transaction was open that it began in its first
/// segment; the commit is in the log behind the checkpoint, or comes later.
fn flushed_while_open(commits: bool) -> (Sim, CrashDisk, Sim) {
    let (_disk, mut engine) = fixture::new(options());
    begin(&mut engine, id(1)).unwrap();
    put(&mut engine, id(1), b"a", b"1").unwrap();
    while engine.log().segments().len() < 2 {
        fixture::put(&mut engine, b"other", &[7; 4_000]);
        fixture::commit(&mut engine);
    }
    let (disk, mut follower) = fixture::new(follower_options());
    fetch(&engine, &mut follower, 4_000, u64::MAX);
    fixture::flush(&mut follower);
    commit(&mut engine, id(1), &[]).unwrap();
    fixture::commit(&mut engine);
    if commits {
        fetch(&engine, &mut follower, 4_000, u64::MAX);
        assert_eq!(get(&follower.reader(), b"a"), Some(b"1".to_vec()));
    }
    (engine, disk, follower)
}

#[test]
fn what_an_open_transaction_had_written_below_the_checkpoint_is_missed() {
    for commits in [true, false] {
        let (_engine, disk, follower) = flushed_while_open(commits);
        drop(follower);
        let (_, report) = fixture::try_open(&disk, follower_options()).unwrap();
        assert_eq!((report.gaps, report.missing), (0, 0));
        disk.store("ns").remove(SegmentId::FIRST, SegmentKind::Log).unwrap();
        let (follower, report) = fixture::try_open(&disk, follower_options()).unwrap();
        assert!(report.gaps == 1 && report.missing > 1, "{report:?}");
        assert_eq!(get(&follower.reader(), b"a"), None);
    }
}

#[test]
fn a_cut_that_cannot_tell_what_an_open_transaction_had_written_says_so() {
    let (engine, disk, mut follower) = flushed_while_open(true);
    let last = follower.appended();
    follower.cut_after(last.prev(), NOW_MS).unwrap();
    assert_eq!(follower.open_transactions(), 1);
    fetch(&engine, &mut follower, 4_000, u64::MAX);
    let prepared = engine.log().locate(Lsn(2)).unwrap().position;
    let file = File::Segment(prepared.segment, SegmentKind::Log);
    let offset = u64::from(prepared.offset) + 20;
    disk.damage("ns", file, Damage::FlipBit { offset, bit: 2 }).unwrap();
    let cut = follower.cut_after(last.prev(), NOW_MS);
    assert_eq!(cut, Err(CutError::Transactions));
}

#[test]
fn time_is_that_of_the_clock_whatever_timestamps_and_jumps() {
    let (_disk, mut engine) = fixture::new(options());
    let idle = options().transaction_idle_ms;
    // A clock that was seventy years ahead: timestamps stay there.
    engine.stage(&Write::put(b"a", b"1"), NOW_MS + 70 * 365 * 86_400_000).unwrap();
    begin(&mut engine, id(1)).unwrap();
    assert_eq!(engine.tend_transactions(NOW_MS + idle).unwrap(), 0);
    assert_eq!(engine.tend_transactions(NOW_MS + idle + 1).unwrap(), 1);
    begin(&mut engine, id(2)).unwrap();
    let back = NOW_MS - 86_400_000;
    assert_eq!(engine.tend_transactions(back).unwrap(), 0);
    assert_eq!(engine.tend_transactions(back + idle + 1).unwrap(), 1);
}

#[test]
fn what_is_at_the_limit_is_refused_and_breaks_nothing() {
    let (_disk, mut engine) = fixture::new(EngineOptions::default());
    begin(&mut engine, id(1)).unwrap();
    let keys: Vec<_> = (0..79_890_u64).map(u64::to_be_bytes).collect();
    for keys in keys.chunks(5_000) {
        let pairs: Vec<(&[u8], &[u8])> = keys.iter().map(|key| (&key[..], &b""[..])).collect();
        engine.stage(&Write::new(Operation::PutBatch(&pairs)).within(id(1)), NOW_MS).unwrap();
    }
    let left = TRANSACTION_INDEX_BYTES_MAX - 79_890 * 105;
    assert!((114..200).contains(&left), "room for a chunk and not for its object's head: {left}");
    let refusal = refused(chunk(&mut engine, id(1), b"o", b"1"));
    assert!(matches!(refusal, TransactionError::TooLarge { .. }), "{refusal:?}");
    commit(&mut engine, id(1), &[]).unwrap();
    assert_eq!(snapshot(&mut engine).count().unwrap(), 79_890);
}

#[test]
fn a_commit_asks_for_so_many_versions() {
    let (_disk, mut engine) = fixture::new(options());
    begin(&mut engine, id(1)).unwrap();
    let check = Check { model: Model::KeyValue, key: b"a", version: Lsn(0) };
    let error = commit(&mut engine, id(1), &vec![check; BATCH_OPERATIONS_MAX + 1]).unwrap_err();
    assert!(matches!(error, WriteError::BatchOperations { .. }), "{error}");
    let error = commit(&mut engine, id(1), &[Check { key: b"", ..check }]).unwrap_err();
    assert!(matches!(error, WriteError::KeyLength { bytes: 0, .. }), "{error}");
    commit(&mut engine, id(1), &vec![check; BATCH_OPERATIONS_MAX]).unwrap();
}

#[test]
fn an_upload_does_not_go_on_when_its_node_was_away() {
    let (disk, mut engine) = fixture::new(options());
    begin(&mut engine, id(1)).unwrap();
    chunk(&mut engine, id(1), b"o", b"333").unwrap();
    fixture::commit(&mut engine);
    assert_eq!(engine.uploaded_bytes(id(1), b"o"), Ok(3));
    assert_eq!(engine.uploaded_bytes(id(1), b"another"), Ok(0));
    drop(engine);
    let mut engine = fixture::open(&disk, options());
    // Before and behind the record that says so.
    for _ in 0..2 {
        assert_eq!(engine.uploaded_bytes(id(1), b"o"), Err(TransactionError::Failed));
        engine.tend_transactions(NOW_MS).unwrap();
        fixture::commit(&mut engine);
        assert_eq!(engine.open_transactions(), 0);
    }
    assert_eq!(engine.uploaded_bytes(id(2), b"o"), Err(TransactionError::Unknown));
}
