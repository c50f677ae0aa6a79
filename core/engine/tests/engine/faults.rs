//! One call of the medium fails, whichever it is: what was acknowledged is there, the engine goes on
//! or says that it must be opened again, and no value is ever wrong.

use crate::fixture::{self, NOW_MS, Sim, options};
use std::collections::BTreeMap;
use unison_engine::{EngineOptions, Write, WriteError};
use unison_ports::IoError;
use unison_sim::disk::{Calls, CrashDisk, Effect, Fault, When};

const GROUPS: u16 = 48;

/// Value of a key, and whether it was acknowledged.
type Written = BTreeMap<Vec<u8>, (Vec<u8>, bool)>;

fn fault_options() -> EngineOptions {
    EngineOptions { settle_below_percent: 90, ..options() }
}

/// Stages, appends and syncs a group; keys differ between groups, so each is there or not.
fn group(engine: &mut Sim, number: u16, written: &mut Written) -> Result<(), WriteError> {
    let keys = [[0, number], [1, number]].map(|key| key.map(u16::to_be_bytes).concat());
    for key in &keys {
        let value = [key.as_slice(), &[7; 3_000]].concat();
        written.insert(key.clone(), (value.clone(), false));
        engine.stage(&Write::put(key, &value), NOW_MS)?;
    }
    engine.append(NOW_MS)?;
    let outcome = engine.sync_ticket().run();
    let durable = engine.synced(outcome).map_err(|_| WriteError::Poisoned)?;
    engine.publish(durable);
    for key in keys {
        if let Some((_, acknowledged)) = written.get_mut(&key) {
            *acknowledged = true;
        }
    }
    Ok(())
}

fn tend(engine: &mut Sim, number: u16) {
    // Any of these may fail; none may harm.
    if number % 3 == 2
        && let Some(job) = engine.flush_now()
    {
        let _ = engine.flushed(job.run());
    }
    if number % 6 == 5 {
        let _ = engine.retire(None, NOW_MS);
        if let Some(job) = engine.settle_job() {
            let _ = engine.settled(job.run());
        }
    }
}

fn check(engine: &Sim, written: &Written) {
    let there: BTreeMap<_, _> =
        fixture::all(&engine.reader()).into_iter().map(|(key, value, _)| (key, value)).collect();
    for (key, (value, acknowledged)) in written {
        match there.get(key) {
            Some(found) => assert_eq!(found, value),
            None => assert!(!acknowledged, "key {key:?} was acknowledged and is gone"),
        }
    }
    assert!(there.keys().all(|key| written.contains_key(key)));
}

/// Runs the whole workload with one fault. Returns how many calls it made.
fn run(fault: Option<Fault>) -> u64 {
    let disk = CrashDisk::new();
    let mut engine = fixture::open(&disk, fault_options());
    let before = disk.counters().calls();
    if let Some(fault) = fault {
        disk.inject(fault);
    }
    let mut written = Written::new();
    for number in 0..GROUPS {
        if group(&mut engine, number, &mut written).is_err() {
            check(&engine, &written);
            // Of what failed, only a poisoned log must be opened anew; the tree may want it too.
            drop(engine);
            engine = reopened(&disk);
            check(&engine, &written);
        }
        tend(&mut engine, number);
    }
    let calls = disk.counters().calls() - before;
    check(&engine, &written);
    drop(engine);
    disk.heal();
    let engine = fixture::open(&disk, fault_options());
    check(&engine, &written);
    calls
}

/// The fault strikes once, so the second attempt succeeds at the latest.
fn reopened(disk: &CrashDisk) -> Sim {
    match fixture::try_open(disk, fault_options()) {
        Ok((engine, _)) => engine,
        Err(_) => fixture::open(disk, fault_options()),
    }
}

#[test]
fn any_call_fails_once() {
    let calls = run(None);
    assert!(calls > 200, "{calls} calls");
    for nth in 1..=calls {
        let effect = match nth % 3 {
            0 => Effect::Error(IoError::NoSpace),
            1 => Effect::Error(IoError::Device(5)),
            _ => Effect::Part { bytes: 100, error: IoError::Device(5) },
        };
        run(Some(Fault { calls: Calls::Any, when: When::Nth(nth), effect }));
    }
    println!("{calls} calls failed, one at a time");
}
