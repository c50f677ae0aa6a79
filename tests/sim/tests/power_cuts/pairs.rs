//! Reliability row 5: a second cut after the first one, recovery itself included.

use crate::planted::Bug;
use crate::verify::verify;
use crate::workload::{Run, Step, script};
use std::time::Instant;
use unison_base::prng::Prng;
use unison_sim::disk::{Cut, Moment};

const OPERATIONS: usize = 60;
const SEEDS: u64 = 4;
const CUTS: [Cut; 3] = [Cut::KEPT, Cut::TORN_BYTE, Cut::REORDERED_SECTORS];

struct Pairs {
    seed: u64,
    steps: Vec<Step>,
    prng: Prng,
    pairs: u64,
    in_recovery: u64,
}

impl Pairs {
    /// Cuts once, opens the log again and goes on with the steps; cuts again at every moment of
    /// that, the opening included.
    fn second(&mut self, first: &Run, index: usize, moment: &Moment, cut: Cut) {
        let expected = first.expected(index);
        let left = moment.cut(cut, &mut self.prng);
        let context = |what: &str| format!("seed {}, {cut:?} at {index}, {what}", self.seed);
        let recovered = verify(&left.copy(), Bug::None, expected, &mut self.prng)
            .unwrap_or_else(|violation| panic!("{}: {violation:?}", context("one cut")));
        let records = expected.records[..usize::try_from(recovered.0).unwrap()].to_vec();
        let mut second = Run::new(left, Bug::None, 1 + index as u64, records, recovered);
        second.play(&self.steps[first.steps_begun(index)..]);
        for (index, moment) in second.moments().iter().enumerate() {
            let cut = CUTS[usize::try_from(self.prng.below(3)).unwrap()];
            let left = moment.cut(cut, &mut self.prng);
            self.pairs += 1;
            self.in_recovery += u64::from(second.expected(index).appended == recovered);
            verify(&left, Bug::None, second.expected(index), &mut self.prng).unwrap_or_else(
                |violation| panic!("{}: {violation:?}", context(&format!("{cut:?} at {index}"))),
            );
        }
    }
}

#[test]
fn a_second_cut_anywhere_keeps_every_promise() {
    let started = Instant::now();
    let mut total = (0, 0);
    for seed in 0..SEEDS {
        let steps = script(seed, OPERATIONS);
        let mut run = Run::fresh(Bug::None);
        run.play(&steps);
        let mut pairs = Pairs { seed, steps, prng: Prng::new(seed), pairs: 0, in_recovery: 0 };
        for (index, moment) in run.moments().iter().enumerate() {
            for cut in CUTS {
                pairs.second(&run, index, moment, cut);
            }
        }
        total = (total.0 + pairs.pairs, total.1 + pairs.in_recovery);
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("pairs of cuts: {}, {} of them before anything new, {seconds:.1} s", total.0, total.1);
    assert!(total.0 > 50_000 && total.1 > 2_000, "{total:?}");
}
