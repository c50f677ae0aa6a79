//! Reliability row 5: a second cut after the first one, recovery itself included.

use crate::verify::{Violation, verify};
use crate::workload::{Run, Step, script};
use std::time::Instant;
use unison_base::prng::Prng;
use unison_sim::disk::{Cut, Fate, Moment};
use unison_sim::planted::Bug;

const OPERATIONS: usize = 60;
const SEEDS: u64 = 3;
const PAIRS_FOR_A_BUG: u64 = 60_000;

/// Torn between two words: right behind a frame, too.
const TORN_WORD: Cut = Cut { fate: Fate::Torn, unit_bytes: 8 };
const CUTS: [Cut; 3] = [Cut::KEPT, TORN_WORD, Cut::REORDERED_SECTORS];

struct Pairs {
    bug: Bug,
    limit: u64,
    prng: Prng,
    pairs: u64,
    in_recovery: u64,
}

/// A promise that was broken, and how to get there again.
#[derive(Debug)]
#[expect(dead_code, reason = "read by people, through Debug")]
struct Found {
    first: (usize, Cut),
    second: Option<(usize, Cut)>,
    violation: Violation,
}

impl Pairs {
    /// Every moment of a workload, each cut in every way.
    fn explore(&mut self, steps: &[Step]) -> Result<(), Box<Found>> {
        let mut run = Run::fresh(self.bug, false);
        let _ = run.play(steps);
        for (index, moment) in run.moments().iter().enumerate() {
            for cut in CUTS {
                let left = &steps[run.steps_begun(index)..];
                self.second(&run, (index, cut), moment, left)?;
            }
        }
        Ok(())
    }

    /// Cuts once, opens the log again and goes on with the steps; cuts again at every moment of
    /// that, the opening included.
    fn second(
        &mut self,
        run: &Run,
        first: (usize, Cut),
        moment: &Moment,
        steps: &[Step],
    ) -> Result<(), Box<Found>> {
        let expected = run.expected(first.0);
        let disk = moment.cut(first.1, &mut self.prng);
        let recovered = verify(&disk.copy(), self.bug, expected, &mut self.prng)
            .map_err(|violation| Box::new(Found { first, second: None, violation }))?;
        let records = expected.records[..usize::try_from(recovered.0).unwrap()].to_vec();
        let mut run = Run::new(disk, self.bug, 1 + first.0 as u64, records, recovered);
        let _ = run.play(steps);
        for (index, moment) in run.moments().iter().enumerate() {
            if self.pairs == self.limit {
                return Ok(());
            }
            self.pairs += 1;
            let expected = run.expected(index);
            self.in_recovery += u64::from(expected.appended == recovered);
            let cut = CUTS[usize::try_from(self.prng.below(3)).unwrap()];
            let disk = moment.cut(cut, &mut self.prng);
            verify(&disk, self.bug, expected, &mut self.prng).map_err(|violation| {
                let second = Some((index, cut));
                Box::new(Found { first, second, violation })
            })?;
        }
        Ok(())
    }
}

#[test]
fn a_second_cut_anywhere_keeps_every_promise() {
    let started = Instant::now();
    let (bug, prng) = (Bug::None, Prng::new(1));
    let mut pairs = Pairs { bug, limit: u64::MAX, prng, pairs: 0, in_recovery: 0 };
    for seed in 0..SEEDS {
        if let Err(found) = pairs.explore(&script(seed, OPERATIONS)) {
            panic!("seed {seed}: {found:?}");
        }
    }
    println!(
        "pairs of cuts: {}, {} of them before anything new, {:.1} s",
        pairs.pairs,
        pairs.in_recovery,
        started.elapsed().as_secs_f64()
    );
    assert!(pairs.pairs > 15_000 && pairs.in_recovery > 500);
}

/// Only a second cut brings back what was left of a torn group.
#[test]
fn a_bug_that_needs_two_cuts_is_found() {
    let bug = Bug::SkipClearing;
    let mut pairs =
        Pairs { bug, limit: PAIRS_FOR_A_BUG, prng: Prng::new(2), pairs: 0, in_recovery: 0 };
    // Records of one size, so that a new one ends where a stale one begins.
    let found = (0..4).find_map(|seed| pairs.explore(&script(seed * 4, OPERATIONS)).err());
    println!("{bug:?} found after {} pairs: {found:?}", pairs.pairs);
    assert!(found.is_some(), "{bug:?} was not found in {} pairs", pairs.pairs);
}
