//! Power cuts at every call of a run with flushes, retention and settling: what was acknowledged is
//! there, and what is there is a prefix of what was written.

use crate::fixture::{self, NOW_MS, Pairs, Sim, commit, options};
use unison_base::Lsn;
use unison_base::prng::Prng;
use unison_engine::EngineOptions;
use unison_sim::disk::{CrashDisk, Cut, Moment};

struct Recorded {
    moments: Vec<Moment>,
    /// Moments kept when this LSN had been acknowledged.
    acknowledged: Vec<(usize, Lsn)>,
    /// The state after every record.
    history: Vec<Pairs>,
}

fn write(engine: &mut Sim, prng: &mut Prng) {
    let key = [b'a' + u8::try_from(prng.below(12)).unwrap()];
    if prng.chance(25) {
        fixture::delete(engine, &key);
    } else {
        let length = [3, 16, 400, 4_000][usize::try_from(prng.below(4)).unwrap()];
        let value = vec![u8::try_from(prng.below(256)).unwrap(); length];
        fixture::put(engine, &key, &value);
    }
}

fn tend(engine: &mut Sim, prng: &mut Prng) {
    if prng.chance(30) {
        fixture::flush(engine);
    }
    if prng.chance(30) {
        engine.retire(None, NOW_MS).unwrap();
        if let Some(job) = engine.settle_job() {
            engine.settled(job.run()).unwrap();
        }
    }
}

fn crash_options() -> EngineOptions {
    EngineOptions { settle_below_percent: 60, settle_job_bytes: 6_000, ..options() }
}

fn record(seed: u64, groups: u64) -> Recorded {
    let mut prng = Prng::new(seed);
    let disk = CrashDisk::new();
    disk.record_moments();
    let mut engine = fixture::open(&disk, crash_options());
    let mut recorded =
        Recorded { moments: Vec::new(), acknowledged: Vec::new(), history: vec![Pairs::new()] };
    for _ in 0..groups {
        let first = engine.next_lsn();
        let records = prng.between(1, 4);
        (0..records).for_each(|_| write(&mut engine, &mut prng));
        let last = commit(&mut engine);
        recorded.acknowledged.push((disk.moments(), last));
        for lsn in first.0..=last.0 {
            let snapshot = engine.reader().snapshot_at(Lsn(lsn));
            recorded.history.push(fixture::scan(&snapshot.unwrap(), Default::default()));
        }
        tend(&mut engine, &mut prng);
    }
    recorded.moments = disk.take_moments();
    recorded
}

fn check(recorded: &Recorded, at: usize, cut: Cut, prng: &mut Prng) {
    let disk = recorded.moments[at].cut(cut, prng);
    let done = recorded.acknowledged.iter().filter(|(moments, _)| *moments <= at);
    let acknowledged = done.map(|(_, lsn)| *lsn).max().unwrap_or_default();
    let (engine, report) = fixture::try_open(&disk, crash_options()).unwrap();
    let last = engine.appended();
    assert!(
        last >= acknowledged,
        "moment {at}, {cut:?}: {acknowledged} acknowledged, {last} there"
    );
    let there = fixture::all(&engine.reader());
    let expected = &recorded.history[usize::try_from(last.0).unwrap()];
    assert!(there == *expected, "moment {at}, {cut:?}, {report:?}");
    assert_eq!(engine.reader().count().unwrap(), expected.len() as u64);
    drop(engine);
    // A second start finds the same.
    let again = fixture::open(&disk, crash_options());
    assert_eq!((again.appended(), fixture::all(&again.reader())), (last, there));
}

#[test]
fn a_power_cut_at_any_call_keeps_what_was_acknowledged() {
    let mut prng = Prng::new(7);
    let mut states = 0;
    for seed in 0..3 {
        let recorded = record(seed, 30);
        for at in 0..recorded.moments.len() {
            for cut in Cut::ALL {
                check(&recorded, at, cut, &mut prng);
                states += 1;
            }
        }
    }
    println!("{states} states");
    assert!(states > 3_000, "{states} states");
}

#[test]
fn work_goes_on_after_a_power_cut_and_a_second_one() {
    let mut prng = Prng::new(8);
    for seed in 0..60 {
        let recorded = record(seed, 8);
        let at = usize::try_from(prng.below(recorded.moments.len() as u64)).unwrap();
        let cut = Cut::ALL[usize::try_from(prng.below(7)).unwrap()];
        let disk = recorded.moments[at].cut(cut, &mut prng);
        let mut engine = fixture::open(&disk, crash_options());
        for _ in 0..5 {
            write(&mut engine, &mut prng);
            commit(&mut engine);
            tend(&mut engine, &mut prng);
        }
        let expected = fixture::all(&engine.reader());
        let disk = disk.crash(Cut::LOST, &mut prng);
        let engine = fixture::open(&disk, crash_options());
        assert_eq!(fixture::all(&engine.reader()), expected, "seed {seed}");
    }
}
