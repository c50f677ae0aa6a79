//! Reliability row 4 with the tree: a cut at every I/O of log and tree.

use crate::run::{Run, script};
use crate::verify::verify;
use std::time::Instant;
use unison_base::prng::Prng;
use unison_sim::disk::Cut;

const STATES: u64 = 3_000;
const STEPS: usize = 40;
const CUTS_A_MOMENT: usize = 3;

#[test]
fn a_cut_at_every_io_of_log_and_tree_keeps_every_promise() {
    let started = Instant::now();
    let (mut states, mut runs, mut flushes, mut retired, mut settled) = (0, 0, 0, 0, 0);
    for seed in 0.. {
        let mut run = Run::new(seed);
        run.play(&script(seed, STEPS));
        runs += 1;
        (flushes, retired) = (flushes + run.flushes, retired + run.retired);
        settled += run.settled;
        let mut prng = Prng::new(seed);
        for (index, moment) in run.moments().iter().enumerate() {
            let tried = if moment.is_settled() { 1 } else { CUTS_A_MOMENT };
            for _ in 0..tried {
                let cut = Cut::ALL[usize::try_from(prng.below(7)).unwrap()];
                let left = moment.cut(cut, &mut prng);
                let guard = Repeat { seed, index, cut };
                verify(&left, run.expected(index), &mut prng);
                drop(guard);
                states += 1;
            }
        }
        if states >= STATES {
            break;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "power cuts with the tree: {states} states of {runs} runs, {flushes} flushes, {retired} \
         segments retired, {settled} settled, {seconds:.1} s"
    );
    assert!(flushes > 0 && retired > 0 && settled > 0, "a run that does nothing proves nothing");
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
