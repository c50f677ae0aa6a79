//! Reliability rows 7 and 8 with power cuts: one call of a workload fails, the process starts again
//! and goes on, the power goes. What a failed sync covered is in doubt for ever (A3), so the log must
//! not build on it; what a failed write left must not come back to life.

use crate::verify::verify;
use crate::workload::{Run, script};
use std::time::Instant;
use unison_base::prng::Prng;
use unison_ports::IoError;
use unison_sim::disk::{Calls, Cut, Effect, Fault, When};
use unison_sim::planted::Bug;

const SEEDS: u64 = 12;
const STEPS: usize = 20;
const BROKEN: IoError = IoError::Device(5);
const CUTS: [Cut; 4] = [Cut::LOST, Cut::KEPT, Cut::TORN_SECTOR, Cut::REORDERED_SECTORS];
const FAILURES: [(Calls, Effect); 7] = [
    (Calls::Syncs, Effect::Error(BROKEN)),
    (Calls::Writes, Effect::Error(BROKEN)),
    (Calls::Writes, Effect::Part { bytes: 130, error: IoError::NoSpace }),
    (Calls::Writes, Effect::Late(BROKEN)),
    (Calls::Directory, Effect::Error(IoError::NoSpace)),
    (Calls::Directory, Effect::Late(BROKEN)),
    (Calls::Reads, Effect::Error(BROKEN)),
];

/// Runs a workload whose `nth` call of a kind fails; `None` when there are fewer.
fn run_with_failure(seed: u64, nth: u64, (calls, effect): (Calls, Effect)) -> Option<Run> {
    let steps = script(seed, STEPS);
    let mut run = Run::fresh(Bug::None, false);
    run.inject(Fault { calls, when: When::Nth(nth), effect });
    if run.play(&steps).is_some() {
        return None;
    }
    let stopped = run.steps_begun(usize::MAX);
    let _ = run.play(&steps[stopped..]);
    Some(run)
}

/// Every call of the kind fails once; how many did, and states after a cut.
fn every_call(seed: u64, failure: (Calls, Effect)) -> (u64, u64) {
    let (mut failures, mut states) = (0, 0);
    for nth in 1.. {
        let Some(run) = run_with_failure(seed, nth, failure) else { break };
        failures += 1;
        let mut prng = Prng::new(seed << 8 | nth);
        for (index, moment) in run.moments().iter().enumerate() {
            let cut = CUTS[usize::try_from(prng.below(4)).unwrap()];
            let left = moment.cut(cut, &mut prng);
            states += 1;
            if let Err(violation) = verify(&left, Bug::None, run.expected(index), &mut prng) {
                panic!("seed {seed}, call {nth} of {failure:?}, {cut:?} at {index}: {violation:?}");
            }
        }
    }
    (failures, states)
}

#[test]
fn a_call_that_fails_breaks_no_promise() {
    let started = Instant::now();
    let mut all = (0, 0);
    for failure in FAILURES {
        let each = (0..SEEDS).map(|seed| every_call(seed, failure));
        let (failures, states) = each.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        println!("{failure:?}: {failures} failures, {states} states after them");
        all = (all.0 + failures, all.1 + states);
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("failed calls: {}, {} states after them, {seconds:.1} s", all.0, all.1);
    assert!(all.0 > 300 && all.1 > 10_000, "{all:?}");
}
