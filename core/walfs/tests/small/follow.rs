//! A follower's log: the very bytes at the very place, or nothing.

use crate::support::*;
use unison_base::frame::FrameError;
use unison_base::prng::Prng;
use unison_base::{Lsn, Position, SegmentId};
use unison_ports::{IoError, SegmentFile, SegmentKind, SegmentStore};
use unison_sim::disk::{Calls, Cut, Fault, SimStore};
use unison_walfs::{LogRole, RunError, RunHeader};

fn take(log: &mut Log<'_>, source: &Source) {
    for (run, frames) in &source.runs {
        log.append_run(*run, frames, NOW_NS).unwrap();
    }
    log.sync().unwrap();
}

fn check_bytes(store: &SimStore, source: &Source) {
    for (run, frames) in &source.runs {
        let bytes = bytes_of(store, run.segment);
        let at = run.offset as usize;
        assert!(&bytes[at..at + frames.len()] == frames.as_slice(), "{run:?}");
    }
}

#[test]
fn a_follower_has_the_same_bytes() {
    let (disk, source) = (disk(), source(4));
    let store = disk.store("wal");
    with_log(&store, LogRole::Follower, |log, _| {
        for (run, frames) in &source.runs {
            log.append_run(*run, frames, NOW_NS).unwrap();
            assert_eq!(log.append_run(*run, frames, NOW_NS), Ok(log.appended()), "twice is once");
            let end = Position { segment: run.segment, offset: run.offset + frames.len() as u32 };
            assert_eq!(log.tail(), end);
            if end.offset == source.ends[run.segment.0 as usize - 1] {
                log.seal_at(run.segment, end.offset, NOW_NS).unwrap();
                log.seal_at(run.segment, end.offset, NOW_NS).unwrap();
                assert_eq!(log.tail(), Position { segment: run.segment.next(), offset: 64 });
            }
        }
        check_whole(log);
        let newest = log.newest().unwrap();
        let bytes = bytes_of(&store, newest.position.segment);
        let at = newest.position.offset as usize;
        assert_eq!(newest.crc.to_le_bytes(), bytes[at..at + 4]);
    });
    check_bytes(&store, &source);
    with_log(&store, LogRole::Follower, |log, report| {
        assert_eq!(report.rungs.sealed_newest, 1);
        check_whole(log);
    });
}

#[test]
fn what_is_no_sound_run_for_this_place_is_refused_whole() {
    let (disk, source) = (disk(), source(2));
    let store = disk.store("wal");
    let mut prng = Prng::new(3);
    with_log(&store, LogRole::Follower, |log, _| {
        for (index, (run, frames)) in source.runs.iter().enumerate() {
            let (before, tail) = (log.appended(), log.tail());
            let mut damaged = frames.clone();
            let at = prng.between(0, frames.len() as u64 - 1) as usize;
            damaged[at] ^= 1 << prng.between(0, 7);
            let mut lies = vec![
                (*run, damaged),
                (RunHeader { count: run.count + 1, ..*run }, frames.clone()),
                (RunHeader { first: run.first.next(), ..*run }, frames.clone()),
                (RunHeader { segment: SegmentId(0), ..*run }, frames.clone()),
                (RunHeader { offset: run.offset + 4, ..*run }, frames.clone()),
                (*run, frames[..frames.len() - 8].to_vec()),
            ];
            if index > 0 {
                lies.push((RunHeader { offset: run.offset + 8, ..*run }, frames.clone()));
            }
            if run.offset > 64 {
                lies.push((RunHeader { segment: SegmentId(9), ..*run }, frames.clone()));
            }
            if let Some((run, frames)) = source.runs.get(index + 1).filter(|_| index > 0) {
                lies.push((*run, frames.clone()));
            }
            for (run, frames) in lies {
                assert!(log.append_run(run, &frames, NOW_NS).is_err(), "{run:?}");
                assert_eq!((log.appended(), log.tail()), (before, tail));
            }
            log.append_run(*run, frames, NOW_NS).unwrap();
        }
        let (run, frames) = &source.runs[0];
        let mut flipped = frames.clone();
        flipped[20] ^= 1;
        let Err(RunError::Frame { at, error }) = log.append_run(*run, &flipped, NOW_NS) else {
            panic!("a damaged frame was taken");
        };
        assert_eq!((at.offset, error), (64, FrameError::Checksum));
        check_whole(log);
    });
    check_bytes(&store, &source);
}

#[test]
fn a_damaged_segment_is_reported_set_aside_and_fetched_again() {
    for damaged in 1..=3 {
        let (disk, source) = (disk(), source(4));
        let store = disk.store("wal");
        with_log(&store, LogRole::Follower, |log, _| take(log, &source));
        let file = store.open(SegmentId(damaged), SegmentKind::Log).unwrap();
        file.write_at(30_000, &[0x5A; 64]).unwrap();
        drop(file);
        with_log(&store, LogRole::Follower, |log, report| {
            assert_eq!(report.rungs.rot_segments, 1, "{report:?}");
            assert_eq!(report.events[0].at.segment, SegmentId(damaged));
            check_whole(log);
            assert_eq!(log.segments(), damaged as usize - 1);
            take(log, &source);
            check_whole(log);
        });
        check_bytes(&store, &source);
    }
}

#[test]
fn what_was_set_aside_gives_way_when_there_is_no_room() {
    let (disk, source) = (disk(), source(3));
    let store = disk.store("wal");
    disk.set_free_bytes(Some(3 * SEGMENT_BYTES));
    with_log(&store, LogRole::Follower, |log, _| {
        take(log, &source);
        log.start_over(NOW_NS).unwrap();
        assert_eq!((log.appended(), log.newest(), log.segments()), (Lsn::ZERO, None, 0));
        take(log, &source);
        check_whole(log);
    });
    with_log(&store, LogRole::Follower, |log, _| check_whole(log));
    check_bytes(&store, &source);
}

#[test]
fn a_follower_without_room_retires_its_oldest_segment() {
    let (disk, source) = (disk(), source(SEGMENTS as u32 + 3));
    let store = disk.store("wal");
    let mut retired = 0;
    with_log(&store, LogRole::Follower, |log, _| {
        for (run, frames) in &source.runs {
            if log.append_run(*run, frames, NOW_NS) == Err(RunError::Io(IoError::NoSpace)) {
                log.retire_first().unwrap().unwrap();
                retired += 1;
                log.append_run(*run, frames, NOW_NS).unwrap();
            }
        }
        log.sync().unwrap();
        check_whole(log);
    });
    assert_eq!(retired, 3);
    with_log(&store, LogRole::Follower, |log, _| {
        check_whole(log);
        assert!(log.first() > Lsn(1));
        assert_eq!(
            log.appended(),
            source
                .runs
                .last()
                .map(|(run, _)| { run.first.plus(u64::from(run.count) - 1) })
                .unwrap()
        );
    });
}

/// What a leader's records call durable is so on the leader's medium, not on this one.
#[test]
fn what_an_opening_after_a_failed_sync_serves_survives_a_cut() {
    for seed in 0..20 {
        let (disk, source) = (disk(), source(1));
        let store = disk.store("wal");
        with_log(&store, LogRole::Follower, |log, _| {
            for (run, frames) in &source.runs {
                log.append_run(*run, frames, NOW_NS).unwrap();
            }
            disk.inject(Fault::once(Calls::Syncs, 1, IoError::Device(5)));
            assert!(log.sync().is_err());
        });
        let served = with_log(&store, LogRole::Follower, |log, _| log.durable());
        assert!(served > Lsn::ZERO);
        let cut = disk.crash(Cut::LOST, &mut Prng::new(seed));
        with_log(&cut.store("wal"), LogRole::Follower, |log, _| {
            check_whole(log);
            assert!(log.appended() >= served, "{served} served, {} there", log.appended());
        });
    }
}
