//! Damage where there is no room: the log can always be written again, and be opened.

use crate::support::*;
use unison_base::prng::Prng;
use unison_base::{Lsn, SegmentId};
use unison_ports::{IoError, SegmentFile, SegmentKind, SegmentStore};
use unison_sim::disk::{Calls, CrashDisk, Cut, Effect, Fault, SimStore, When};
use unison_walfs::{AppendError, LogRole, StageError};

/// A leader's log that takes the whole table, its segments sealed but for the newest.
fn full() -> CrashDisk {
    let disk = disk();
    with_log(&disk.store("wal"), LogRole::Leader, |log, _| {
        while log.segments() < SEGMENTS {
            append(log);
        }
        (0..20).for_each(|_| append(log));
        assert_eq!(log.segments(), SEGMENTS);
    });
    disk
}

fn append(log: &mut Log<'_>) {
    stage(log);
    log.append_staged(NOW_NS).unwrap();
    log.sync().unwrap();
}

/// Appends a record as a node does that lets its oldest records go.
fn put(log: &mut Log<'_>) -> Lsn {
    let bytes = record(log.next_lsn(), log.durable());
    match log.stage(&bytes) {
        Err(StageError::SegmentFull) => {
            while let Err(error) = log.rotate(NOW_NS) {
                assert_eq!(error, AppendError::Io(IoError::NoSpace));
                log.retire_first().unwrap().unwrap();
            }
            log.stage(&bytes).unwrap();
        }
        staged => drop(staged.unwrap()),
    }
    log.append_staged(NOW_NS).unwrap();
    log.sync().unwrap()
}

/// Hurts the newest segment, in the middle or at its first record.
fn hurt(store: &SimStore, offset: u64) {
    let file = store.open(SegmentId(SEGMENTS as u32), SegmentKind::Log).unwrap();
    file.write_at(offset, &[0x5A; 8]).unwrap();
    file.sync().unwrap();
}

/// A hurt log that takes the table but for one place, or all of it, and its newest LSN.
fn hurt_and_full(offset: u64, retire: bool) -> (CrashDisk, Lsn) {
    let disk = full();
    let store = disk.store("wal");
    let last = with_log(&store, LogRole::Leader, |log, _| {
        if retire {
            log.retire_first().unwrap().unwrap();
        }
        log.appended()
    });
    hurt(&store, offset);
    (disk, last)
}

fn kinds(store: &SimStore, kind: SegmentKind) -> usize {
    let mut count = 0;
    store.list(&mut |entry| count += usize::from(entry.kind == kind)).unwrap();
    count
}

#[test]
fn a_full_log_with_damage_in_its_newest_segment_is_written_again() {
    for offset in [64, 3_000] {
        let disk = full();
        let store = disk.store("wal");
        let last = with_log(&store, LogRole::Leader, |log, _| log.appended());
        hurt(&store, offset);
        for round in 0..2 {
            with_log(&store, LogRole::Leader, |log, report| {
                assert_eq!(report.rungs.rot_segments, 1, "{report:?}");
                assert_eq!((report.rungs.repairs_failed, log.appended()), (1, last));
                let bytes = record(log.next_lsn(), log.durable());
                assert_eq!(log.stage(&bytes), Err(StageError::SegmentFull), "opening {round}");
            });
        }
        with_log(&store, LogRole::Leader, |log, _| assert_eq!(put(log), last.next()));
        with_log(&store, LogRole::Leader, |log, report| {
            assert_eq!((report.rungs.repairs_failed, log.appended()), (0, last.next()));
            // Damaged segments leave as others do, and free their place on the medium.
            (0..1_000).for_each(|_| assert!(put(log) > last));
            check_whole(log);
        });
        assert_eq!(kinds(&store, SegmentKind::Aside), 0);
        assert!(kinds(&store, SegmentKind::Log) <= SEGMENTS);
    }
}

#[test]
fn a_damaged_segment_that_is_retired_frees_its_room() {
    let disk = full();
    let store = disk.store("wal");
    disk.set_free_bytes(Some(0));
    let file = store.open(SegmentId(1), SegmentKind::Log).unwrap();
    file.write_at(3_000, &[0x5A; 8]).unwrap();
    drop(file);
    with_log(&store, LogRole::Leader, |log, report| {
        assert_eq!(report.rungs.rot_segments, 1);
        assert_eq!(kinds(&store, SegmentKind::Aside), 1);
        (0..100).for_each(|_| assert!(put(log) > Lsn(1)));
        assert!(log.first() > Lsn(1));
        assert_eq!(kinds(&store, SegmentKind::Aside), 0);
        check_whole(log);
    });
}

/// Whatever is left of an opening that is cut or fails is opened again.
#[test]
fn an_opening_of_a_full_log_with_damage_may_be_cut_anywhere() {
    let mut states = 0;
    for (offset, retire) in [(64, false), (64, true), (3_000, false), (3_000, true)] {
        let (disk, last) = hurt_and_full(offset, retire);
        disk.record_moments();
        with_log(&disk.store("wal"), LogRole::Leader, |log, _| put(log));
        for (at, moment) in disk.take_moments().into_iter().enumerate() {
            for (kind, cut) in Cut::ALL.into_iter().enumerate() {
                let mut prng = Prng::new((at * 100 + kind) as u64);
                let disk = moment.cut(cut, &mut prng);
                let store = disk.store("wal");
                assert!(kinds(&store, SegmentKind::Log) <= SEGMENTS);
                with_log(&store, LogRole::Leader, |log, _| {
                    assert!(log.appended() >= last, "no LSN is given out twice");
                    assert!(put(log) > last);
                });
                with_log(&store, LogRole::Leader, |log, _| assert!(log.appended() > last));
                states += 1;
            }
        }
    }
    println!("{states} states");
    assert!(states > 100);
}

#[test]
fn an_opening_that_cannot_set_aside_is_tried_again() {
    for (offset, retire) in [(64, false), (64, true), (3_000, false), (3_000, true)] {
        let hurt = hurt_and_full(offset, retire).0;
        for call in 1..20 {
            let disk = hurt.copy();
            let store = disk.store("wal");
            disk.inject(Fault::once(Calls::Directory, call, IoError::Device(5)));
            let mut buffer = [0; BUFFER_BYTES];
            drop(Log::open(&store, options(LogRole::Leader), &mut buffer, NOW_NS));
            disk.heal();
            assert!(kinds(&store, SegmentKind::Log) <= SEGMENTS);
            with_log(&store, LogRole::Leader, |log, _| assert!(put(log) > Lsn(1)));
        }
    }
}

/// Without the damaged segment nothing would say which LSNs are taken.
#[test]
fn what_is_set_aside_stays_while_the_next_lsn_follows_from_it() {
    for offset in [64, 3_000] {
        let disk = disk();
        let store = disk.store("wal");
        let last = with_log(&store, LogRole::Leader, |log, _| {
            (0..20).for_each(|_| append(log));
            log.appended()
        });
        let file = store.open(SegmentId(1), SegmentKind::Log).unwrap();
        file.write_at(offset, &[0x5A; 8]).unwrap();
        drop(file);
        with_log(&store, LogRole::Leader, |log, _| {
            assert_eq!((log.remove_aside(), log.retire_first()), (Ok(0), Ok(None)));
        });
        with_log(&store, LogRole::Leader, |log, _| {
            assert_eq!(log.appended(), last);
            append(log);
            assert_eq!(log.remove_aside(), Ok(1));
            assert_eq!(log.first(), last.next());
            check_whole(log);
        });
        with_log(&store, LogRole::Leader, |log, _| {
            assert_eq!((log.first(), log.appended()), (last.next(), last.next()));
        });
    }
}

/// Makes room as a node does that prefers new records to old ones. False when there is none to make.
fn make_room(log: &mut Log<'_>) -> bool {
    log.retire_first().unwrap().is_some() || log.remove_aside().unwrap() > 0
}

/// As [`put`], on a medium that has fewer places than the table.
fn put_where_there_is_room(log: &mut Log<'_>) -> Lsn {
    let full = AppendError::Io(IoError::NoSpace);
    let bytes = record(log.next_lsn(), log.durable());
    for _ in 0..3 * SEGMENTS {
        match log.stage(&bytes) {
            Ok(_) => match log.append_staged(NOW_NS) {
                Ok(_) => return log.sync().unwrap(),
                Err(error) => assert!(error == full && make_room(log), "{error}"),
            },
            Err(StageError::SegmentFull) => {
                if let Err(error) = log.rotate(NOW_NS) {
                    assert!(error == full && make_room(log), "{error}");
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("a record finds no room however often some is made");
}

/// Segments that were set aside, with records that are served of them and without, take up a whole
/// medium, again and again; the log goes on, and no LSN is given out twice.
#[test]
fn segments_set_aside_never_keep_a_log_from_being_written() {
    let mut full = 0;
    for places in [2, 3, 4] {
        for offsets in [[64, 64, 64], [3_000, 3_000, 3_000], [64, 3_000, 64], [3_000, 64, 64]] {
            let disk = disk();
            disk.set_free_bytes(Some(places * SEGMENT_BYTES));
            let store = disk.store("wal");
            let mut last = Lsn::ZERO;
            for round in 0..24 {
                let newest = with_log(&store, LogRole::Leader, |log, report| {
                    assert!(log.appended() >= last, "{last} was given out: {report:?}");
                    full += u64::from(disk.free_bytes() == Some(0));
                    let records = if round % 5 == 4 { 150 } else { 12 };
                    (0..records).for_each(|_| last = put_where_there_is_room(log));
                    log.tail().segment
                });
                let file = store.open(newest, SegmentKind::Log).unwrap();
                file.write_at(offsets[round % 3], &[0x5A; 8]).unwrap();
                file.sync().unwrap();
            }
            assert!(kinds(&store, SegmentKind::Aside) < places as usize);
        }
    }
    assert!(full > 100, "{full} openings on a full medium");
}

/// What is served of a segment is not served any more once it may be gone.
#[test]
fn nothing_is_read_from_a_segment_whose_removal_failed() {
    let mut failed = 0;
    for late in [false, true] {
        for call in 1..12 {
            let disk = full();
            let store = disk.store("wal");
            for id in [1, 2] {
                let file = store.open(SegmentId(id), SegmentKind::Log).unwrap();
                file.write_at(30_000, &[0x5A; 8]).unwrap();
            }
            with_log(&store, LogRole::Leader, |log, report| {
                assert_eq!(report.rungs.rot_segments, 2);
                let before = read_all(log).0.len();
                let error = IoError::Device(5);
                let effect = if late { Effect::Late(error) } else { Effect::Error(error) };
                disk.inject(Fault { calls: Calls::Directory, when: When::Nth(call), effect });
                failed += u64::from(log.remove_aside().is_err());
                disk.heal();
                let (records, _) = read_all(log);
                check_bodies(&records);
                assert!(records.len() <= before);
                log.remove_aside().unwrap();
                assert_eq!(kinds(&store, SegmentKind::Aside), 0);
                check_whole(log);
            });
        }
    }
    assert!(failed > 4, "{failed} removals failed");
}
