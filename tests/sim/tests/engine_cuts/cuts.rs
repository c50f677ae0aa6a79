//! Reliability row 4 with the tree: a cut at every I/O of log and tree.

use crate::run::{Run, script};
use crate::verify::verify;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;
use unison_base::prng::Prng;
use unison_sim::disk::Cut;
use unison_sim::planted::Bug;

/// States on every commit; `UNISON_STATES` asks for more, `UNISON_SEED` begins elsewhere.
const STATES: u64 = 4_000;
const STATES_FOR_A_BUG: u64 = 4_000;
const STEPS: usize = 40;
const CUTS_A_MOMENT: usize = 3;

/// What one run through the states saw.
#[derive(Debug, Default)]
struct Tally {
    states: u64,
    runs: u64,
    flushes: u64,
    retired: u64,
    settled: u64,
}

impl Tally {
    /// Goes through runs, moments and cuts; panics when a promise is broken.
    fn explore(&mut self, bug: Bug, seed: u64, states: u64) {
        for seed in seed.. {
            let mut run = Run::new(seed, bug);
            run.play(&script(seed, STEPS));
            self.runs += 1;
            self.flushes += run.flushes;
            self.retired += run.retired;
            self.settled += run.settled;
            self.cut_everywhere(&run, seed);
            if self.states >= states {
                return;
            }
        }
    }

    fn cut_everywhere(&mut self, run: &Run, seed: u64) {
        let mut prng = Prng::new(seed);
        for (index, moment) in run.moments().iter().enumerate() {
            let tried = if moment.is_settled() { 1 } else { CUTS_A_MOMENT };
            for _ in 0..tried {
                let cut = Cut::ALL[usize::try_from(prng.below(7)).unwrap()];
                let guard = Repeat { seed, index, cut };
                self.states += 1;
                verify(&moment.cut(cut, &mut prng), run.expected(index), &mut prng);
                drop(guard);
            }
        }
    }
}

/// A number from the environment.
fn asked(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn a_cut_at_every_io_of_log_and_tree_keeps_every_promise() {
    let started = Instant::now();
    let mut tally = Tally::default();
    tally.explore(Bug::None, asked("UNISON_SEED", 0), asked("UNISON_STATES", STATES));
    let seconds = started.elapsed().as_secs_f64();
    println!("power cuts with the tree: {tally:?}, {seconds:.1} s");
    // Runs that do nothing would prove nothing.
    assert!(tally.flushes > 10 && tally.retired > 5 && tally.settled > 5, "{tally:?}");
}

/// Says, when a check panics, how to get there again.
struct Repeat {
    seed: u64,
    index: usize,
    cut: Cut,
}

impl Drop for Repeat {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("seed {}, {:?} at moment {}", self.seed, self.cut, self.index);
        }
    }
}

#[test]
fn every_planted_bug_is_found() {
    let bugs = [Bug::AnswerBeforeSync, Bug::SkipSync, Bug::SkipTreeSync];
    let found = bugs.map(|bug| {
        let mut tally = Tally::default();
        let explore = AssertUnwindSafe(|| tally.explore(bug, 0, STATES_FOR_A_BUG));
        let found = catch_unwind(explore).err();
        (bug, tally.states, found.map(|panic| panic.downcast_ref::<String>().cloned()))
    });
    for (bug, states, found) in found {
        println!("{:20} found after {states:6} states: {found:?}", format!("{bug:?}"));
        assert!(found.is_some(), "{bug:?} was not found in {states} states");
    }
}
