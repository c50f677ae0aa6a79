//! A follower that begins anew with another history: the two are never mixed.

use crate::support::*;
use unison_base::prng::Prng;
use unison_base::{Lsn, SegmentId};
use unison_ports::{IoError, SegmentFile, SegmentKind, SegmentStore};
use unison_sim::disk::{Calls, CrashDisk, Cut, Fault};
use unison_walfs::{CutError, LogRole};

/// A leader's log of four segments, and one whose first segment has the number and the LSNs that
/// would come next.
fn histories() -> (Source, Source) {
    let (mut first, mut second) = (source(6), source(6));
    first.runs.retain(|(run, _)| run.segment.0 <= 4);
    second.runs.retain(|(run, _)| run.segment.0 > 4);
    (first, second)
}

fn take(log: &mut Log<'_>, source: &Source) {
    for (run, frames) in &source.runs {
        log.append_run(*run, frames, NOW_NS).unwrap();
    }
    log.sync().unwrap();
}

/// Sets what is there aside, takes the other history, and leads it.
fn go_over(disk: &CrashDisk, other: &Source) {
    let store = disk.store("wal");
    with_log(&store, LogRole::Follower, |log, _| {
        log.start_over(NOW_NS).unwrap();
        take(log, other);
    });
    lead(disk, other);
}

fn lead(disk: &CrashDisk, other: &Source) {
    with_log(&disk.store("wal"), LogRole::Leader, |log, report| {
        assert_eq!((log.first(), report.rungs.gaps), (other.runs[0].0.first, 0), "{report:?}");
        check_whole(log);
    });
}

#[test]
fn two_histories_are_never_mixed_wherever_the_power_is_cut() {
    let (first, second) = histories();
    let disk = disk();
    with_log(&disk.store("wal"), LogRole::Follower, |log, _| take(log, &first));
    disk.record_moments();
    with_log(&disk.store("wal"), LogRole::Follower, |log, _| log.start_over(NOW_NS).unwrap());
    let mut moments = disk.take_moments();
    moments.push(disk.moment());
    let mut states = 0;
    for (at, moment) in moments.iter().enumerate() {
        for (kind, cut) in Cut::ALL.into_iter().enumerate() {
            let disk = moment.cut(cut, &mut Prng::new((at * 100 + kind) as u64));
            go_over(&disk, &second);
            states += 1;
        }
    }
    // Nothing but the marks keeps the two apart behind the last of them.
    for (kind, cut) in Cut::ALL.into_iter().enumerate() {
        let disk = disk.crash(cut, &mut Prng::new(kind as u64));
        with_log(&disk.store("wal"), LogRole::Follower, |log, report| {
            assert_eq!((log.appended(), report.events.len()), (Lsn::ZERO, 0));
            take(log, &second);
        });
        lead(&disk, &second);
    }
    println!("{states} states");
}

#[test]
fn beginning_anew_goes_on_where_it_failed() {
    let (first, second) = histories();
    for call in 1..40 {
        let disk = disk();
        let store = disk.store("wal");
        with_log(&store, LogRole::Follower, |log, _| {
            take(log, &first);
            disk.inject(Fault::once(Calls::Any, call, IoError::Device(5)));
            let begun = log.start_over(NOW_NS);
            disk.heal();
            if let Err(error) = begun {
                assert_eq!(error, CutError::Io(IoError::Device(5)));
                log.start_over(NOW_NS).unwrap();
            }
            assert_eq!((log.first(), log.segments()), (Lsn(1), 0));
            take(log, &second);
            check_whole(log);
        });
        lead(&disk, &second);
    }
}

/// What a power cut left of the making of a segment takes no place for ever.
#[test]
fn a_segment_that_was_never_begun_goes_too() {
    let (first, second) = histories();
    let disk = disk();
    let store = disk.store("wal");
    with_log(&store, LogRole::Follower, |log, _| take(log, &first));
    drop(store.create(SegmentId(9), SEGMENT_BYTES).unwrap());
    with_log(&store, LogRole::Follower, |log, _| log.start_over(NOW_NS).unwrap());
    let mut log = 0;
    store.list(&mut |entry| log += usize::from(entry.kind == SegmentKind::Log)).unwrap();
    assert_eq!(log, 0);
    go_over(&disk, &second);
}

/// A cut between the mark and the setting aside: what is still served says nothing wrong of itself.
#[test]
fn a_mark_on_a_segment_of_the_log_is_taken_off() {
    let (first, _) = histories();
    for role in [LogRole::Follower, LogRole::Leader] {
        let disk = disk();
        let store = disk.store("wal");
        with_log(&store, LogRole::Follower, |log, _| take(log, &first));
        with_log(&store, LogRole::Follower, |log, _| {
            // It is listed, opened and marked, and then keeps its role.
            disk.inject(Fault::for_ever(Calls::Directory, 3, IoError::Device(5)));
            assert!(log.start_over(NOW_NS).is_err());
        });
        disk.heal();
        let last = with_log(&store, role, |log, _| log.appended());
        assert!(last > Lsn(1));
        for id in 1..=4 {
            let file = store.open(SegmentId(id), SegmentKind::Log).unwrap();
            let mut flags = [0; 4];
            file.read_at(40, &mut flags).unwrap();
            assert_eq!(u32::from_le_bytes(flags) & unison_walfs::layout::FLAG_DISCARDED, 0);
        }
    }
}
