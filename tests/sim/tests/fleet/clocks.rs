//! Row 15: the order of records is that of their LSNs and of their timestamps, whatever a wall clock
//! shows. What expires when is the fleets' to show.

use std::sync::Arc;
use unison_base::prng::Prng;
use unison_base::{Hlc, Lsn};
use unison_engine::{Engine, EngineOptions, Write};
use unison_sim::disk::{CrashDisk, Cut, SimStore};

const CASES: u64 = 10_000;
/// Cases that one namespace sees, one behind the other.
const CASES_A_LOG: u64 = 50;
const RECORDS: u64 = 6;
const TODAY_MS: u64 = 1_767_225_600_000;
const HOUR_MS: u64 = 3_600_000;
const FIFTY_YEARS_MS: u64 = 438_000 * HOUR_MS;

/// A clock that shows something else at every look: 1970, fifty years off, frozen, an hour off.
fn wall_ms(case: u64, prng: &mut Prng) -> u64 {
    let right = TODAY_MS + case * 1_000 + prng.below(1_000);
    match prng.below(7) {
        0 => prng.below(10_000),
        1 => right + FIFTY_YEARS_MS,
        2 => right - FIFTY_YEARS_MS,
        3 => TODAY_MS,
        4 => right + HOUR_MS * prng.below(24),
        5 => right - HOUR_MS * prng.below(24),
        _ => right,
    }
}

fn open(disk: &CrashDisk, now_ms: u64) -> Engine<SimStore> {
    let options = EngineOptions {
        memtable_bytes: 4 << 10,
        segment_bytes: 64 << 10,
        ..EngineOptions::default()
    };
    let mut builder = redb::Builder::new();
    let tree = builder.set_cache_size(1 << 20).create_with_backend(disk.tree("ns")).unwrap();
    Engine::open(Arc::new(disk.store("ns")), tree, options, now_ms).unwrap().0
}

/// One case: some records under a clock that jumps, perhaps a flush, perhaps a power cut.
fn case(engine: &mut Engine<SimStore>, number: u64, prng: &mut Prng) {
    for _ in 0..RECORDS {
        let (before, lsn) = (engine.hlc(), engine.next_lsn());
        let key = prng.below(20).to_be_bytes();
        let written = engine.stage(&Write::put(&key, &lsn.0.to_be_bytes()), wall_ms(number, prng));
        assert_eq!(written.unwrap().lsn, lsn);
        assert!(engine.hlc() > before, "case {number}: {:?} behind {before:?}", engine.hlc());
        engine.append(wall_ms(number, prng)).unwrap();
        let durable = engine.synced(engine.sync_ticket().run()).unwrap();
        engine.publish(durable);
        let value = engine.reader().get(&key).unwrap().unwrap();
        assert_eq!((value.lsn(), &value.bytes().unwrap()[..]), (lsn, &lsn.0.to_be_bytes()[..]));
    }
    let job = if prng.chance(10) { engine.flush_now() } else { engine.flush_job() };
    if let Some(job) = job {
        drop(engine.flushed(job.run()).unwrap());
    }
}

#[test]
fn order_holds_whatever_the_clock_shows() {
    let (mut cuts, mut newest) = (0, Hlc::default());
    for log in 0..CASES / CASES_A_LOG {
        let prng = &mut Prng::new(log);
        let mut disk = CrashDisk::new();
        let mut engine = open(&disk, wall_ms(0, prng));
        for number in 0..CASES_A_LOG {
            case(&mut engine, number, prng);
            if prng.chance(20) {
                let (lsn, hlc): (Lsn, Hlc) = (engine.appended(), engine.hlc());
                drop(engine);
                disk = disk.crash(Cut::LOST, prng);
                engine = open(&disk, wall_ms(number, prng));
                assert_eq!((engine.appended(), engine.hlc()), (lsn, hlc), "log {log}");
                cuts += 1;
            }
        }
        newest = newest.max(engine.hlc());
    }
    println!("{CASES} cases, {cuts} power cuts, newest timestamp {newest:?}");
}
