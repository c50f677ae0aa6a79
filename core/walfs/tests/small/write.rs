//! A leader's log: written, read, opened again, full.

use crate::support::*;
use unison_base::{Lsn, Position, SegmentId};
use unison_ports::{IoError, SegmentFile, SegmentKind, SegmentStore};
use unison_sim::disk::{Calls, Fault};
use unison_walfs::{
    AppendError, LogRole, ReadError, SmallOpenError, SmallReadError, StageError, SyncError,
};

#[test]
fn what_was_appended_is_read_and_opened_again() {
    let (disk, role) = (disk(), LogRole::Leader);
    let store = disk.store("wal");
    let newest = with_log(&store, role, |log, report| {
        assert_eq!((log.first(), log.next_lsn(), log.newest()), (Lsn(1), Lsn(1), None));
        assert_eq!((report.first, report.last), (Lsn(1), Lsn::ZERO));
        fill(log, 200);
        check_whole(log);
        assert!(log.segments() > 2);
        (log.newest(), log.tail())
    });
    for _ in 0..2 {
        with_log(&store, role, |log, report| {
            assert_eq!((log.newest(), log.tail()), newest);
            assert_eq!((report.first, report.last), (Lsn(1), Lsn(200)));
            assert!(report.events.is_empty(), "{report:?}");
            check_whole(log);
        });
    }
    with_log(&store, role, |log, _| {
        fill(log, 230);
        check_whole(log);
    });
}

#[test]
fn a_group_is_one_write_that_ends_in_zeros() {
    let disk = disk();
    let store = disk.store("wal");
    with_log(&store, LogRole::Leader, |log, _| {
        stage(log);
        log.append_staged(NOW_NS).unwrap();
        let before = disk.counters();
        let Position { segment, offset } = log.tail();
        store.open(segment, SegmentKind::Log).unwrap().write_at(offset.into(), &[7; 4000]).unwrap();
        let staged = (0..3).map(|_| stage(log)).count();
        let bytes = log.staged_bytes();
        log.append_staged(NOW_NS).unwrap();
        assert_eq!((disk.counters().writes - before.writes, staged), (2, 3));
        let file = bytes_of(&store, segment);
        let end = offset as usize + bytes;
        assert_eq!(log.tail().offset as usize, end);
        assert_eq!(file[end..end + 16], [0; 16]);
    });
}

#[test]
fn a_full_table_refuses_the_next_segment_until_the_first_is_retired() {
    let disk = disk();
    let store = disk.store("wal");
    with_log(&store, LogRole::Leader, |log, _| {
        assert_eq!(log.retire_first(), Ok(None));
        loop {
            let bytes = record(log.next_lsn(), log.durable());
            if log.stage(&bytes) == Err(StageError::SegmentFull) {
                if log.segments() == SEGMENTS {
                    break;
                }
                log.rotate(NOW_NS).unwrap();
                continue;
            }
            log.append_staged(NOW_NS).unwrap();
        }
        assert_eq!(log.rotate(NOW_NS), Err(AppendError::Io(IoError::NoSpace)));
        let first = log.retire_first().unwrap().unwrap();
        assert_eq!((log.first(), log.segments()), (first, SEGMENTS - 1));
        log.rotate(NOW_NS).unwrap();
        stage(log);
        log.append_staged(NOW_NS).unwrap();
        log.sync().unwrap();
        check_whole(log);
        let refused = log.visit(Lsn(1), &mut [], &mut |_| ());
        assert_eq!(refused, Err(SmallReadError::Read(ReadError::BehindRetention { first })));
        while log.retire_first().unwrap().is_some() {}
        assert_eq!(log.segments(), 1);
    });
    let next = with_log(&store, LogRole::Leader, |log, _| {
        check_whole(log);
        log.next_lsn()
    });
    assert!(next > Lsn(2));
}

#[test]
fn a_failed_append_takes_no_lsn_and_a_failed_sync_poisons() {
    let disk = disk();
    let store = disk.store("wal");
    with_log(&store, LogRole::Leader, |log, _| {
        fill(log, 5);
        disk.inject(Fault::once(Calls::Writes, 1, IoError::Device(5)));
        stage(log);
        assert_eq!(log.append_staged(NOW_NS), Err(AppendError::Io(IoError::Device(5))));
        assert_eq!((log.next_lsn(), log.staged_bytes()), (Lsn(6), 0));
        fill(log, 9);
        check_whole(log);
        disk.inject(Fault::once(Calls::Syncs, 1, IoError::Device(5)));
        stage(log);
        log.append_staged(NOW_NS).unwrap();
        assert_eq!(log.sync(), Err(SyncError::Io(IoError::Device(5))));
        assert_eq!(log.durable(), Lsn(9));
        assert_eq!(log.sync(), Err(SyncError::Poisoned));
        assert_eq!(log.stage(&record(Lsn(11), Lsn(9))), Err(StageError::Poisoned));
        assert_eq!(log.rotate(NOW_NS), Err(AppendError::Poisoned));
    });
    with_log(&store, LogRole::Leader, |log, _| check_whole(log));
}

#[test]
fn limits_are_named() {
    let disk = disk();
    let store = disk.store("wal");
    with_log(&store, LogRole::Leader, |log, _| {
        assert_eq!(
            log.stage(&record(Lsn(2), Lsn(0))),
            Err(StageError::NotDense { expected: Lsn(1) })
        );
        let mut large = record(Lsn(1), Lsn(0));
        large.resize(BUFFER_BYTES, 0);
        let limit = BUFFER_BYTES as u64 - 32;
        assert_eq!(log.stage(&large), Err(StageError::TooLarge { limit }));
        fill(log, 60);
    });
    let open = |bytes: usize| {
        let mut buffer = vec![0; bytes];
        Log::open(&store, options(LogRole::Leader), &mut buffer, NOW_NS).map(|_| ())
    };
    let refused = open(512).unwrap_err();
    assert!(matches!(refused, SmallOpenError::Buffer { segment: SegmentId(1), .. }), "{refused}");
    assert!(matches!(open(0), Err(SmallOpenError::Buffer { .. })));
    for id in 10..10 + SEGMENTS as u32 {
        store.create(SegmentId(id), SEGMENT_BYTES).unwrap();
    }
    assert_eq!(open(BUFFER_BYTES), Err(SmallOpenError::Segments { most: SEGMENTS }));
}
