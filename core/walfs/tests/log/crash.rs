//! Power cuts at every call, with unsynced writes kept, lost, torn and reordered.

use crate::support::*;
use unison_base::prng::Prng;
use unison_base::{Lsn, SegmentId};
use unison_sim::disk::{CrashDisk, Cut, Moment};
use unison_walfs::{Log, LogRole};

const MOST: u64 = 1_500;

/// A run with what was durable at each moment.
fn moments() -> Vec<(Moment, Lsn)> {
    let disk = disk(false);
    disk.record_moments();
    let (mut log, _) = open(&disk);
    let mut moments: Vec<(Moment, Lsn)> = Vec::new();
    let mut take = |durable: Lsn| {
        moments.extend(disk.take_moments().into_iter().map(|moment| (moment, durable)));
    };
    while log.tail().segment < SegmentId(4) {
        for _ in 0..1 + log.next_lsn().0 % 5 {
            stage(&mut log, MOST);
        }
        log.append_staged().unwrap();
        take(log.durable());
        if let Some(preparation) = log.preparation() {
            log.install(preparation.run());
        }
        if log.appended().0.is_multiple_of(3) {
            let before = log.durable();
            log.sync().unwrap();
            take(before);
        }
    }
    let durable = log.durable();
    log.close().unwrap();
    moments.extend(disk.take_moments().into_iter().map(|moment| (moment, durable)));
    moments
}

/// Opens, checks, appends a little, and checks once more after another opening.
fn check(disk: &CrashDisk, durable: Lsn, role: LogRole) -> Lsn {
    let (mut log, report) = Log::open(store(disk), options(role), NOW_NS).unwrap();
    let found = read_all(&log.reader());
    assert_eq!(found.lsns(), (1..=log.appended().0).collect::<Vec<_>>(), "{report:?}");
    assert!(log.appended() >= durable, "{durable} acknowledged, {report:?}");
    check_bodies(&found, MOST);
    let rungs = report.rungs;
    assert_eq!((rungs.rot_segments, rungs.gaps, rungs.stale_segments), (0, 0, 0), "{report:?}");
    for _ in 0..3 {
        stage(&mut log, MOST);
    }
    log.append_staged().unwrap();
    log.sync().unwrap();
    let last = log.appended();
    drop(log);
    let (log, _) = Log::open(store(disk), options(role), NOW_NS).unwrap();
    assert_eq!(read_all(&log.reader()).records.len() as u64, last.0);
    last
}

#[test]
fn what_was_durable_survives_every_cut() {
    let moments = moments();
    let mut states = 0;
    for (at, (moment, durable)) in moments.iter().enumerate() {
        for (kind, cut) in Cut::ALL.into_iter().enumerate() {
            for seed in 0..3 {
                let mut prng = Prng::new((at * 100 + kind * 10 + seed) as u64);
                check(&moment.cut(cut, &mut prng), *durable, LogRole::Leader);
                states += 1;
            }
        }
    }
    println!("{states} states from {} moments", moments.len());
}

#[test]
fn recovery_that_is_cut_itself_changes_nothing() {
    let moments = moments();
    let mut states = 0;
    for (at, (moment, durable)) in moments.iter().enumerate().skip(1).step_by(3) {
        let mut prng = Prng::new(at as u64);
        let disk = moment.cut(Cut::REORDERED_SECTORS, &mut prng);
        disk.record_moments();
        let (mut log, _) = open(&disk);
        let recovered = log.appended();
        stage(&mut log, MOST);
        log.append_staged().unwrap();
        drop(log);
        for again in disk.take_moments() {
            for cut in Cut::ALL {
                let disk = again.cut(cut, &mut prng);
                let (log, _) = open(&disk.copy());
                // What one opening served is durable, though nobody was told before.
                let served = log.appended() >= recovered || log.appended() >= *durable;
                assert!(served, "{recovered} served, {} there", log.appended());
                check(&disk, *durable, LogRole::Leader);
                states += 1;
            }
        }
    }
    println!("{states} states of cut recoveries");
}

/// The checker has to notice a log that acknowledges before it syncs.
#[test]
fn a_planted_early_acknowledgement_is_noticed() {
    let moments = moments();
    let noticed = moments.iter().enumerate().filter(|(at, (moment, durable))| {
        let disk = moment.cut(Cut::LOST, &mut Prng::new(*at as u64));
        let early = durable.plus(1);
        open(&disk).0.appended() < early
    });
    let noticed = noticed.count();
    println!("noticed at {noticed} of {} moments", moments.len());
    assert!(noticed > moments.len() / 4);
}
