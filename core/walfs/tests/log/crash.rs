//! Power cuts at every call, with unsynced writes kept, lost, torn and reordered.

use crate::planted::{Bug, Planted};
use crate::support::*;
use std::sync::Arc;
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

/// What a run over a store with a planted bug acknowledged, and whether a cut shows that it lied.
fn lies(bug: Bug) -> (usize, usize) {
    let (mut cases, mut noticed) = (0, 0);
    for seed in 0..60 {
        let disk = disk(false);
        let store = Arc::new(Planted { store: disk.store("wal"), bug });
        let (mut log, _) = Log::open(store, options(LogRole::Leader), NOW_NS).unwrap();
        for _ in 0..5 + seed {
            stage(&mut log, MOST);
            log.append_staged().unwrap();
            log.sync().unwrap();
        }
        let cut = disk.moment().cut(Cut::LOST, &mut Prng::new(seed));
        cases += 1;
        let served = read_all(&open(&cut).0.reader()).records.len();
        noticed += usize::from((served as u64) < log.durable().0);
    }
    (cases, noticed)
}

/// The checker itself is checked: it has to notice a medium that lies.
#[test]
fn planted_bugs_are_noticed() {
    assert_eq!(lies(Bug::None).1, 0);
    for bug in [Bug::SkipSync, Bug::DropLastRecord, Bug::Misdirect] {
        let (cases, noticed) = lies(bug);
        println!("{bug:?}: noticed in {noticed} of {cases}");
        assert!(noticed > cases / 2, "{bug:?}");
    }
}
