//! Reliability row 7 with power cuts: a sync fails once, the process starts again and goes on. What
//! the failed sync covered is in doubt for ever (A3), so the log must not build on it.

use crate::verify::verify;
use crate::workload::{Run, script};
use std::time::Instant;
use unison_base::prng::Prng;
use unison_ports::IoError;
use unison_sim::disk::{Calls, Cut, Fault};
use unison_sim::planted::Bug;

const SEEDS: u64 = 8;
const STEPS: usize = 20;
const CUTS: [Cut; 3] = [Cut::LOST, Cut::TORN_SECTOR, Cut::REORDERED_SECTORS];

/// Runs a workload whose `nth` sync fails; `None` when there are fewer.
fn run_with_failure(seed: u64, nth: u64) -> Option<Run> {
    let steps = script(seed, STEPS);
    let mut run = Run::fresh(Bug::None, false);
    run.inject(Fault::once(Calls::Syncs, nth, IoError::Device(5)));
    run.play(&steps);
    let stopped = run.steps_begun(usize::MAX);
    if stopped == steps.len() {
        return None;
    }
    run.play(&steps[stopped..]);
    Some(run)
}

#[test]
fn what_a_failed_sync_covered_is_not_built_upon() {
    let started = Instant::now();
    let (mut states, mut failures) = (0, 0);
    for seed in 0..SEEDS {
        for nth in 1.. {
            let Some(run) = run_with_failure(seed, nth) else { break };
            failures += 1;
            let mut prng = Prng::new(seed << 8 | nth);
            for (index, moment) in run.moments().iter().enumerate() {
                let cut = CUTS[usize::try_from(prng.below(3)).unwrap()];
                let left = moment.cut(cut, &mut prng);
                states += 1;
                if let Err(violation) = verify(&left, Bug::None, run.expected(index), &mut prng) {
                    panic!("seed {seed}, sync {nth} fails, {cut:?} at {index}: {violation:?}");
                }
            }
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("failed syncs: {failures}, {states} states after them, {seconds:.1} s");
    assert!(failures > 40 && states > 2_000, "{failures}, {states}");
}
