//! Calls of the medium that fail: once, for ever, in part, at every place of a run.

use crate::support::*;
use unison_base::Lsn;
use unison_ports::IoError;
use unison_sim::disk::{Calls, CrashDisk, Cut, Effect, Fault, SimStore, When};
use unison_walfs::{Log, LogReader, LogRole, StageError};

const MOST: u64 = 900;
const RECORDS: u64 = 400;

/// What a caller was told.
struct Told {
    /// Acknowledged as durable.
    durable: Lsn,
    /// Calls that failed.
    failures: u64,
    /// Whether a write was acknowledged after a failed sync.
    poisoned: bool,
    reader: LogReader<SimStore>,
}

/// Groups of three with a sync behind every second one. Goes on over failures of appends; after a
/// failed sync it only checks that nothing succeeds any more.
fn run(log: &mut Log<SimStore>) -> Told {
    let mut told = Told { durable: Lsn::ZERO, failures: 0, poisoned: false, reader: log.reader() };
    let mut attempts = 0;
    while log.appended().0 < RECORDS && attempts < RECORDS * 3 {
        attempts += 1;
        if let Err(poisoned) = group(log) {
            told.failures += 1;
            told.poisoned |= poisoned;
        }
        if attempts.is_multiple_of(2) {
            match log.sync() {
                Ok(durable) => {
                    assert!(!told.poisoned, "an acknowledgement after a failed sync");
                    told.durable = durable;
                }
                Err(_) => {
                    told.failures += 1;
                    told.poisoned = true;
                }
            }
        }
    }
    told
}

/// Stages and appends three records; says whether a failure is for good.
fn group(log: &mut Log<SimStore>) -> Result<(), bool> {
    let before = log.next_lsn();
    for _ in 0..3 {
        let lsn = log.next_lsn();
        let bytes = record(lsn, Some(log.durable()), body_bytes(lsn, MOST));
        match log.stage(&bytes) {
            Ok(_) => {}
            Err(StageError::SegmentFull) => {
                log.append_staged().map_err(|_| false)?;
                log.rotate(NOW_NS).map_err(|_| false)?;
                log.stage(&bytes).unwrap();
            }
            Err(StageError::Poisoned) => return Err(true),
            Err(error) => panic!("{error}"),
        }
    }
    log.append_staged().map(|_| ()).map_err(|_| {
        assert!(log.next_lsn() >= before, "no LSN is given back twice");
        false
    })
}

/// Everything acknowledged is there, in order, with nothing that was refused in between.
fn check(told: &Told, disk: &CrashDisk, cut: Cut, role: LogRole) {
    let found = read_all(&told.reader);
    assert_eq!(found.gaps, []);
    check_bodies(&found, MOST);
    let mut prng = unison_base::prng::Prng::new(told.durable.0);
    let after = disk.moment().cut(cut, &mut prng);
    let (log, _) = Log::open(store(&after), options(role), NOW_NS).unwrap();
    let recovered = read_all(&log.reader());
    assert_eq!(recovered.gaps, []);
    let lsns: Vec<_> = (1..=log.appended().0).collect();
    assert_eq!(recovered.lsns(), lsns);
    check_bodies(&recovered, MOST);
    assert!(
        log.appended() >= told.durable,
        "{} acknowledged, {} there",
        told.durable,
        log.appended()
    );
}

/// Calls of a kind that the run makes when nothing fails.
fn calls_of(calls: Calls) -> u64 {
    let disk = disk(false);
    let (mut log, _) = open(&disk);
    run(&mut log);
    let counters = disk.counters();
    match calls {
        Calls::Syncs => counters.syncs,
        Calls::Writes => counters.writes,
        Calls::Directory => counters.directory,
        _ => counters.calls(),
    }
}

fn at_every_call(calls: Calls, effects: &[Effect], from: fn(u64) -> When) -> (u64, u64) {
    let (mut cases, mut failures) = (0, 0);
    for nth in 2..=calls_of(calls) {
        for &effect in effects {
            let disk = disk(false);
            let (mut log, _) = open(&disk);
            disk.inject(Fault { calls, when: from(nth - 1), effect });
            let told = run(&mut log);
            for cut in [Cut::KEPT, Cut::LOST, Cut::REORDERED_SECTORS] {
                check(&told, &disk, cut, LogRole::Leader);
            }
            cases += 3;
            failures += told.failures;
        }
    }
    (cases, failures)
}

#[test]
fn a_sync_that_fails_at_any_place_is_the_last_acknowledgement() {
    let error = [Effect::Error(IoError::Device(5))];
    let (once, failures) = at_every_call(Calls::Syncs, &error, When::Nth);
    let (for_ever, more) = at_every_call(Calls::Syncs, &error, When::From);
    println!("{} states after failed syncs, {} refusals", once + for_ever, failures + more);
    assert!(failures > 0 && more > 0);
}

#[test]
fn a_write_that_fails_at_any_place_leaves_no_trace() {
    let effects = [
        Effect::Error(IoError::Device(5)),
        Effect::Part { bytes: 700, error: IoError::Device(5) },
        Effect::Late(IoError::Device(5)),
    ];
    let (cases, failures) = at_every_call(Calls::Writes, &effects, When::Nth);
    println!("{cases} states after failed writes, {failures} refusals");
    assert!(failures >= cases / 6);
}

#[test]
fn any_call_that_fails_once_loses_nothing_acknowledged() {
    let effects = [Effect::Error(IoError::Device(4))];
    let (cases, _) = at_every_call(Calls::Any, &effects, When::Nth);
    println!("{cases} states after any failed call");
}

#[test]
fn a_full_disk_at_any_call_heals_without_a_restart() {
    let (mut cases, mut refused) = (0, 0);
    for calls in [Calls::Writes, Calls::Directory] {
        for nth in 1..calls_of(calls) {
            let disk = disk(false);
            let (mut log, _) = open(&disk);
            disk.inject(Fault::for_ever(calls, nth, IoError::NoSpace));
            let mut told = run(&mut log);
            refused += told.failures;
            let before = read_all(&log.reader());
            assert_eq!(before.lsns(), (1..=log.appended().0).collect::<Vec<_>>());
            disk.heal();
            let again = run(&mut log);
            assert_eq!((log.appended().0 >= RECORDS, again.failures), (true, 0), "call {nth}");
            told.durable = log.sync().unwrap();
            check(&told, &disk, Cut::LOST, LogRole::Leader);
            cases += 1;
        }
    }
    println!("{cases} places at which the disk was full, {refused} refusals");
    assert!(refused > cases);
}

#[test]
fn a_disk_without_room_for_another_segment_is_an_error_at_its_creation() {
    let disk = disk(false);
    let (mut log, _) = open(&disk);
    disk.set_free_bytes(Some(SEGMENT_BYTES * 2 + 100));
    let told = run(&mut log);
    assert!(told.failures > 0 && !told.poisoned);
    let full = log.appended();
    assert_eq!(read_all(&log.reader()).records.len() as u64, full.0);
    disk.set_free_bytes(None);
    assert_eq!(run(&mut log).failures, 0);
    assert!(log.appended() > full);
    log.close().unwrap();
    check(&told, &disk, Cut::LOST, LogRole::Leader);
}

/// A frame of one sector whose body says which attempt wrote it.
fn sector(log: &Log<SimStore>, attempt: u8) -> Vec<u8> {
    let mut bytes = record(log.next_lsn(), Some(log.durable()), 0);
    bytes.resize(512 - 16, attempt);
    bytes
}

#[test]
fn frames_of_a_failed_append_never_come_back() {
    let mut seeds = 0;
    for seed in 0..100 {
        let disk = disk(false);
        let (mut log, _) = open(&disk);
        // Ends at a sector, so that each terminator lies in the sector behind its frame.
        log.stage(&record(Lsn(1), None, 448 - 16 - 56)).unwrap();
        log.append_staged().unwrap();
        log.sync().unwrap();
        disk.inject(Fault {
            calls: Calls::Writes,
            when: When::Nth(1),
            effect: Effect::Late(IoError::Device(5)),
        });
        for _ in 0..4 {
            let refused = sector(&log, 0xAA);
            log.stage(&refused).unwrap();
        }
        log.append_staged().unwrap_err();
        for _ in 0..2 {
            let taken = sector(&log, 0xBB);
            log.stage(&taken).unwrap();
            log.append_staged().unwrap();
        }
        let mut prng = unison_base::prng::Prng::new(seed);
        let after = disk.moment().cut(Cut::REORDERED_SECTORS, &mut prng);
        let found = read_all(&open(&after).0.reader());
        assert!(found.records.len() <= 3, "an extra record");
        assert!(found.records.iter().all(|(_, bytes)| bytes.last() != Some(&0xAA)));
        seeds += 1;
    }
    println!("{seeds} cuts behind a failed append");
}

#[test]
fn what_an_opening_calls_durable_survives_whatever_fails_meanwhile() {
    let (mut refused, mut opened) = (0, 0);
    for role in [LogRole::Leader, LogRole::Follower] {
        for nth in 1..12 {
            let disk = disk(false);
            let (mut log, _) = open(&disk);
            fill(&mut log, 20, 300);
            (0..5).for_each(|_| drop(stage(&mut log, 300)));
            log.append_staged().unwrap();
            disk.inject(Fault::once(Calls::Syncs, 1, IoError::Device(5)));
            log.sync().unwrap_err();
            drop(log);
            disk.inject(Fault::once(Calls::Writes, nth, IoError::Device(5)));
            let Ok((log, _)) = Log::open(store(&disk), options(role), NOW_NS) else {
                refused += 1;
                continue;
            };
            opened += 1;
            let after = disk.moment().cut(Cut::LOST, &mut unison_base::prng::Prng::new(nth));
            let (again, _) = Log::open(store(&after), options(role), NOW_NS).unwrap();
            assert!(again.appended() >= log.durable(), "{role:?}, write {nth}");
        }
    }
    assert!(refused > 0 && opened > 0, "{refused} refused, {opened} opened");
}
