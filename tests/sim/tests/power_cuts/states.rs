//! Reliability row 4: a cut at every I/O, unsynced writes kept, lost, torn, reordered.

use crate::DIRECTORY;
use crate::verify::{Violation, verify};
use crate::workload::{Run, script};
use std::collections::BTreeMap;
use std::time::Instant;
use unison_base::prng::Prng;
use unison_sim::disk::{Cut, Moment};
use unison_sim::planted::Bug;

/// States on every commit; `UNISON_STATES` asks for more, `UNISON_SEED` begins elsewhere.
const STATES: u64 = 200_000;
const STATES_FOR_A_BUG: u64 = 20_000;
const STEPS: usize = 24;

/// What one run through the states found.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) states: u64,
    runs: u64,
    moments: u64,
    /// States by the newest record's distance from what was acknowledged: 0, some, all.
    outcomes: BTreeMap<&'static str, u64>,
}

/// A promise that was broken, and how to get there again.
#[derive(Debug)]
#[expect(dead_code, reason = "read by people, through Debug")]
pub(crate) struct Found {
    pub(crate) seed: u64,
    pub(crate) moment: usize,
    pub(crate) cut: Cut,
    pub(crate) violation: Violation,
}

fn cuts(moment: &Moment) -> &'static [Cut] {
    const MORE: [Cut; 10] = [
        Cut::KEPT,
        Cut::LOST,
        Cut::TORN_SECTOR,
        Cut::TORN_PAGE,
        Cut::TORN_BYTE,
        Cut::TORN_BYTE,
        Cut::REORDERED_PAGES,
        Cut::REORDERED_SECTORS,
        Cut::REORDERED_SECTORS,
        Cut::REORDERED_SECTORS,
    ];
    if moment.is_settled() { &MORE[..1] } else { &MORE }
}

/// Goes through runs, moments and cuts until `states` were checked or a promise is broken.
pub(crate) fn explore(bug: Bug, seed: u64, states: u64) -> (Tally, Result<(), Found>) {
    let mut tally = Tally::default();
    for seed in seed.. {
        let mut run = Run::fresh(bug, seed % 2 == 1);
        let _ = run.play(&script(seed, STEPS));
        tally.runs += 1;
        let result = explore_run(&run, seed, bug, states, &mut tally);
        if result.is_err() || tally.states >= states {
            return (tally, result);
        }
    }
    (tally, Ok(()))
}

fn explore_run(
    run: &Run,
    seed: u64,
    bug: Bug,
    states: u64,
    tally: &mut Tally,
) -> Result<(), Found> {
    let mut prng = Prng::new(seed ^ 0xC0FF_EE00);
    for (index, moment) in run.moments().iter().enumerate() {
        tally.moments += 1;
        let expected = run.expected(index);
        for &cut in cuts(moment) {
            if tally.states >= states {
                return Ok(());
            }
            tally.states += 1;
            let left = moment.cut(cut, &mut prng);
            bug.tamper(&left, DIRECTORY, &mut prng);
            let recovered = verify(&left, bug, expected, &mut prng).map_err(|violation| Found {
                seed,
                moment: index,
                cut,
                violation,
            })?;
            let outcome = if recovered == expected.appended {
                "all"
            } else if recovered == expected.acknowledged {
                "acknowledged only"
            } else {
                "in between"
            };
            *tally.outcomes.entry(outcome).or_default() += 1;
        }
    }
    Ok(())
}

/// A number from the environment.
fn asked(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn a_cut_at_every_io_keeps_every_promise() {
    let started = Instant::now();
    let states = asked("UNISON_STATES", STATES);
    let (tally, result) = explore(Bug::None, asked("UNISON_SEED", 0), states);
    println!(
        "power cuts: {} states, {} moments of {} runs, recovered {:?}, {:.1} s",
        tally.states,
        tally.moments,
        tally.runs,
        tally.outcomes,
        started.elapsed().as_secs_f64(),
    );
    if let Err(found) = result {
        panic!("{found:?}");
    }
    assert_eq!(tally.states, states);
    // A suite whose cuts lose nothing, or everything, would prove nothing.
    for outcome in ["all", "acknowledged only", "in between"] {
        assert!(tally.outcomes[outcome] > states / 200, "{outcome}: {:?}", tally.outcomes);
    }
}

/// Those that one cut brings to light.
const PLANTED: [Bug; 7] = [
    Bug::SkipSync,
    Bug::SkipThirdSync,
    Bug::AnswerBeforeSync,
    Bug::SkipDirectorySync,
    Bug::DropLastRecord,
    Bug::ReorderWrites,
    Bug::DamageNeighbour,
];

#[test]
fn every_planted_bug_is_found() {
    for bug in PLANTED {
        let (tally, result) = explore(bug, 0, STATES_FOR_A_BUG);
        let found = result.err();
        let violation = found.as_ref().map(|found| &found.violation);
        println!("{:20} found after {:6} states: {violation:?}", format!("{bug:?}"), tally.states);
        assert!(found.is_some(), "{bug:?} was not found in {} states", tally.states);
    }
}
