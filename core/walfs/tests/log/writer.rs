//! Staging, groups, rotation, sync, close.

use crate::support::*;
use unison_base::frame::TERMINATOR_BYTES;
use unison_base::{Lsn, SegmentId};
use unison_ports::{IoError, SegmentFile, SegmentKind, SegmentStore};
use unison_sim::disk::{Calls, Fault};
use unison_walfs::layout::SegmentHeader;
use unison_walfs::{AppendError, Bound, StageError, Step, SyncError};

#[test]
fn an_empty_store_is_an_empty_log_and_costs_nothing() {
    let disk = disk(false);
    let (mut log, report) = open(&disk);
    assert_eq!((report.first, report.last), (Lsn::FIRST, Lsn::ZERO));
    assert_eq!((log.next_lsn(), log.appended(), log.durable()), (Lsn(1), Lsn::ZERO, Lsn::ZERO));
    assert!(log.reader().cursor(Lsn::FIRST, Bound::Durable).unwrap().next().unwrap().is_none());
    assert!(log.preparation().is_none());
    log.sync().unwrap();
    log.close().unwrap();
    assert_eq!((disk.counters().writes, disk.counters().syncs), (0, 0));
}

#[test]
fn a_group_is_one_write_that_ends_in_zeros() {
    let disk = disk(false);
    let (mut log, _) = open(&disk);
    log.create_first(NOW_NS).unwrap();
    let before = disk.counters();
    let mut frames = 0;
    for _ in 0..5 {
        stage(&mut log, 300);
    }
    frames += log.staged_bytes() as u64;
    assert_eq!(log.append_staged(), Ok(Lsn(5)));
    let after = disk.counters();
    assert_eq!(after.writes - before.writes, 1);
    assert_eq!(after.segment_bytes - before.segment_bytes, frames + TERMINATOR_BYTES as u64);
    assert_eq!(after.syncs, before.syncs);
    assert_eq!((log.durable(), log.sync()), (Lsn::ZERO, Ok(Lsn(5))));
    assert_eq!(log.sync(), Ok(Lsn(5)));
    assert_eq!(disk.counters().syncs, before.syncs + 1, "nothing new needs no sync");
}

#[test]
fn records_must_carry_the_next_lsn_and_fit() {
    let disk = disk(false);
    let (mut log, _) = open(&disk);
    let expected = Err(StageError::NotDense { expected: Lsn(1) });
    assert_eq!(log.stage(&record(Lsn(2), None, 5)), expected);
    assert_eq!(log.stage(b"no record"), expected);
    let limit = SEGMENT_BYTES - 64 - 16;
    let largest = record(Lsn(1), None, limit as usize - 56);
    let too_large = record(Lsn(1), None, limit as usize - 55);
    assert_eq!(log.stage(&too_large), Err(StageError::TooLarge { limit }));
    log.stage(&largest).unwrap();
    let second = record(Lsn(2), None, 0);
    assert_eq!(log.stage(&second), Err(StageError::SegmentFull));
    assert_eq!(log.rotate(NOW_NS), Err(AppendError::Staged));
    log.append_staged().unwrap();
    log.rotate(NOW_NS).unwrap();
    log.stage(&second).unwrap();
    assert_eq!(log.append_staged(), Ok(Lsn(2)));
    assert_eq!(read_all(&log.reader()).lsns(), [1, 2]);
    log.close().unwrap();
    let (log, _) = open(&disk);
    assert_eq!(read_all(&log.reader()).records[0].1, largest);
}

#[test]
fn discarded_records_take_no_lsn() {
    let disk = disk(false);
    let (mut log, _) = open(&disk);
    stage(&mut log, 50);
    stage(&mut log, 50);
    log.discard_staged();
    assert_eq!(log.next_lsn(), Lsn(1));
    stage(&mut log, 50);
    assert_eq!(log.append_staged(), Ok(Lsn(1)));
}

#[test]
fn many_segments_come_back_as_they_were() {
    for mapped in [false, true] {
        let disk = disk(mapped);
        let (mut log, _) = open(&disk);
        fill(&mut log, 2_000, 700);
        let tail = log.tail();
        let found = read_all(&log.reader());
        check_bodies(&found, 700);
        assert_eq!(found.records.len(), 2_000);
        let segments = log.reader().segments();
        assert!(segments.len() > 10);
        log.close().unwrap();
        let (log, report) = open(&disk);
        assert_eq!(report.rungs, Default::default());
        assert_eq!((log.tail(), log.appended(), log.durable()), (tail, Lsn(2_000), Lsn(2_000)));
        assert_eq!(read_all(&log.reader()), found);
        assert_eq!(log.reader().segments(), segments);
        println!(
            "{} records in {} segments, mapped: {mapped}",
            found.records.len(),
            segments.len()
        );
    }
}

#[test]
fn opening_and_closing_an_idle_log_writes_nothing() {
    let disk = disk(false);
    let (mut log, _) = open(&disk);
    fill(&mut log, 300, 700);
    log.close().unwrap();
    let before = disk.counters();
    for _ in 0..3 {
        open(&disk).0.close().unwrap();
    }
    let after = disk.counters();
    assert_eq!((after.writes, after.syncs), (before.writes, before.syncs));
}

#[test]
fn a_segment_made_ahead_is_taken_by_the_rotation() {
    let disk = disk(false);
    let (mut log, _) = open(&disk);
    let mut used = 0;
    while log.tail().segment < SegmentId(6) {
        stage(&mut log, 900);
        log.append_staged().unwrap();
        if let Some(preparation) = log.preparation() {
            assert!(log.preparation().is_none(), "handed out once");
            let made = std::thread::spawn(|| preparation.run()).join().unwrap();
            log.install(made);
            assert!(log.preparation().is_none(), "one is ready");
            used += 1;
        }
    }
    assert_eq!(used, 5);
    log.sync().unwrap();
    let last = log.appended();
    drop(log);
    let (log, report) = open(&disk);
    assert_eq!((log.appended(), report.rungs), (last, Default::default()));
}

#[test]
fn a_preparation_that_the_log_did_not_wait_for_does_no_harm() {
    let disk = disk(false);
    let (mut log, _) = open(&disk);
    let mut late = Vec::new();
    while log.tail().segment < SegmentId(4) {
        stage(&mut log, 900);
        log.append_staged().unwrap();
        late.extend(log.preparation());
    }
    let called_off: Vec<_> = late.into_iter().map(|preparation| preparation.run()).collect();
    assert!(called_off.iter().all(|made| matches!(made, Err(IoError::Exists))));
    called_off.into_iter().for_each(|made| log.install(made));
    let mut made = None;
    while made.is_none() {
        stage(&mut log, 900);
        log.append_staged().unwrap();
        made = log.preparation().map(|preparation| preparation.run());
    }
    assert_eq!(log.rotate(1), Err(AppendError::NextSegmentPending), "numbers have no gaps");
    log.install(made.unwrap());
    log.rotate(1).unwrap();
    assert_eq!(log.tail().segment, SegmentId(5));
    stage(&mut log, 900);
    log.append_staged().unwrap();
    log.sync().unwrap();
    let found = read_all(&log.reader());
    assert_eq!(found.gaps, []);
    drop(log);
    assert_eq!(read_all(&open(&disk).0.reader()), found);
}

#[test]
fn a_ticket_covers_earlier_segments_and_writes_their_seals_behind_the_sync() {
    let disk = disk(false);
    let (mut log, _) = open(&disk);
    while log.tail().segment < SegmentId(3) {
        stage(&mut log, 900);
        log.append_staged().unwrap();
    }
    let sealed = |id| {
        let mut bytes = [0; 64];
        store(&disk).open(SegmentId(id), SegmentKind::Log).unwrap().read_at(0, &mut bytes).unwrap();
        SegmentHeader::decode(&bytes).unwrap().is_sealed()
    };
    assert!(!sealed(1) && !sealed(2));
    let ticket = log.sync_ticket();
    let covers = ticket.covers();
    let outcome = std::thread::spawn(|| ticket.run()).join().unwrap();
    stage(&mut log, 900);
    log.append_staged().unwrap();
    assert_eq!(log.completed(outcome), Ok(covers));
    assert!(sealed(1) && sealed(2) && !sealed(3));
    assert_eq!(log.appended(), covers.next());
    assert_eq!(log.durable(), covers);
    let ticket = log.sync_ticket();
    log.rotate(NOW_NS).unwrap();
    assert!(!sealed(3));
    let outcome = ticket.run();
    log.completed(outcome).unwrap();
    assert!(sealed(3), "the ticket covered it before it was sealed");
}

#[test]
fn a_seal_is_told_only_when_the_next_segment_holds_a_durable_record() {
    let disk = disk(false);
    let (mut log, _) = open(&disk);
    fill(&mut log, 20, 700);
    let mut cursor = log.reader().cursor(Lsn(1), Bound::Durable).unwrap();
    let first = cursor.next_run(1 << 20).unwrap().unwrap();
    assert!(matches!(first, Step::Run { first: Lsn(1), count: 20, .. }));
    let end = log.tail().offset;
    log.rotate(NOW_NS).unwrap();
    assert!(cursor.next_run(1 << 20).unwrap().is_none());
    stage(&mut log, 700);
    log.append_staged().unwrap();
    assert!(cursor.next_run(1 << 20).unwrap().is_none());
    log.sync().unwrap();
    let Some(Step::Seal { segment, offset, next_bytes }) = cursor.next_run(1 << 20).unwrap() else {
        panic!("a seal comes first");
    };
    assert_eq!((segment, offset, next_bytes), (SegmentId(1), end, SEGMENT_BYTES));
    let second = cursor.next_run(1 << 20).unwrap().unwrap();
    assert!(matches!(second, Step::Run { segment: SegmentId(2), offset: 64, count: 1, .. }));
}

#[test]
fn a_failed_sync_poisons_the_log() {
    for for_ever in [false, true] {
        let disk = disk(false);
        let (mut log, _) = open(&disk);
        fill(&mut log, 10, 100);
        stage(&mut log, 100);
        log.append_staged().unwrap();
        let fault = if for_ever { Fault::for_ever } else { Fault::once };
        disk.inject(fault(Calls::Syncs, 1, IoError::Device(5)));
        assert_eq!(log.sync(), Err(SyncError::Io(IoError::Device(5))));
        assert_eq!(log.sync(), Err(SyncError::Poisoned));
        assert_eq!(log.stage(&record(Lsn(12), None, 1)), Err(StageError::Poisoned));
        assert_eq!(log.rotate(NOW_NS), Err(AppendError::Poisoned));
        assert_eq!(log.durable(), Lsn(10));
        assert_eq!(log.close(), Err(SyncError::Poisoned));
    }
}
