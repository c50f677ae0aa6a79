//! Power cuts at every call, with unsynced writes kept, lost, torn and reordered.

use crate::planted::{Bug, Planted};
use crate::support::*;
use unison_base::Lsn;
use unison_base::prng::Prng;
use unison_sim::disk::{CrashDisk, Cut, Moment};
use unison_walfs::LogRole;

/// A run with what was durable at each moment.
fn moments(role: LogRole) -> Vec<(Moment, Lsn)> {
    let disk = disk();
    disk.record_moments();
    let store = disk.store("wal");
    let mut moments: Vec<(Moment, Lsn)> = Vec::new();
    let mut take = |durable: Lsn| {
        moments.extend(disk.take_moments().into_iter().map(|moment| (moment, durable)));
    };
    with_log(&store, role, |log, _| match role {
        LogRole::Leader => {
            while log.segments() < 4 {
                let before = log.durable();
                (0..1 + log.next_lsn().0 % 5).for_each(|_| stage(log));
                log.append_staged(NOW_NS).unwrap();
                take(before);
                if log.appended().0.is_multiple_of(3) {
                    let before = log.durable();
                    log.sync().unwrap();
                    take(before);
                }
            }
        }
        LogRole::Follower => {
            for (run, frames) in source(3).runs {
                let before = log.durable();
                log.append_run(run, &frames, NOW_NS).unwrap();
                take(before);
                if log.appended().0.is_multiple_of(2) {
                    let before = log.durable();
                    log.sync().unwrap();
                    take(before);
                }
            }
        }
    });
    moments
}

/// Opens, checks, appends a little, and checks once more after another opening.
fn check(disk: &CrashDisk, durable: Lsn, role: LogRole) {
    let store = disk.store("wal");
    let last = with_log(&store, role, |log, report| {
        check_whole(log);
        assert!(log.appended() >= durable, "{durable} acknowledged, {report:?}");
        let rungs = report.rungs;
        assert_eq!((rungs.rot_segments, rungs.gaps, rungs.stale_segments), (0, 0, 0));
        match role {
            LogRole::Leader => fill(log, log.appended().0 + 3),
            LogRole::Follower => {
                let rest = source(4).runs;
                let wanted = |first: Lsn, count: u32| first.plus(count.into()) > log.next_lsn();
                let rest = rest.into_iter().filter(|(run, _)| wanted(run.first, run.count));
                for (run, frames) in rest.take(2).collect::<Vec<_>>() {
                    log.append_run(run, &frames, NOW_NS).unwrap();
                }
                log.sync().unwrap();
            }
        }
        log.appended()
    });
    with_log(&store, role, |log, _| {
        check_whole(log);
        assert_eq!(log.appended(), last);
    });
}

fn cut_everywhere(role: LogRole) {
    let moments = moments(role);
    let mut states = 0;
    for (at, (moment, durable)) in moments.iter().enumerate() {
        for (kind, cut) in Cut::ALL.into_iter().enumerate() {
            let mut prng = Prng::new((at * 100 + kind) as u64);
            check(&moment.cut(cut, &mut prng), *durable, role);
            states += 1;
        }
    }
    println!("{states} states from {} moments", moments.len());
}

#[test]
fn what_a_leader_had_durable_survives_every_cut() {
    cut_everywhere(LogRole::Leader);
}

#[test]
fn what_a_follower_had_durable_survives_every_cut() {
    cut_everywhere(LogRole::Follower);
}

#[test]
fn recovery_that_is_cut_itself_changes_nothing() {
    let mut states = 0;
    for role in [LogRole::Leader, LogRole::Follower] {
        for (at, (moment, durable)) in moments(role).iter().enumerate().skip(1).step_by(4) {
            let mut prng = Prng::new(at as u64);
            let disk = moment.cut(Cut::REORDERED_SECTORS, &mut prng);
            disk.record_moments();
            with_log(&disk.store("wal"), role, |log, _| check_whole(log));
            for again in disk.take_moments() {
                for cut in Cut::ALL {
                    check(&again.cut(cut, &mut prng), *durable, role);
                    states += 1;
                }
            }
        }
    }
    println!("{states} states of cut recoveries");
}

/// In how many of the runs over a store with a planted bug a cut shows that it lied.
fn lies(bug: Bug) -> (usize, usize) {
    let (mut cases, mut noticed) = (0, 0);
    for seed in 0..40 {
        let disk = disk();
        let store = Planted { store: disk.store("wal"), bug };
        let durable = with_log(&store, LogRole::Leader, |log, _| {
            for _ in 0..5 + seed {
                stage(log);
                log.append_staged(NOW_NS).unwrap();
                log.sync().unwrap();
            }
            log.durable()
        });
        let cut = disk.moment().cut(Cut::LOST, &mut Prng::new(seed));
        cases += 1;
        with_log(&cut.store("wal"), LogRole::Leader, |log, _| {
            noticed += usize::from((read_all(log).0.len() as u64) < durable.0);
        });
    }
    (cases, noticed)
}

/// The checker itself is checked: it has to notice a medium that lies.
#[test]
fn planted_bugs_are_noticed() {
    assert_eq!(lies(Bug::None).1, 0);
    for bug in [Bug::SkipSync, Bug::DropLastRecord, Bug::Misdirect] {
        let (cases, noticed) = lies(bug);
        assert!(noticed > cases / 2, "{bug:?}: noticed in {noticed} of {cases}");
    }
}
