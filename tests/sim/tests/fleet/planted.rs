//! Checkers that see nothing prove nothing, and neither do those that see something else: each bug
//! has to be found by a check that it breaks.

use unison_sim::fleet::{self, Options, Plant, Promise};

/// Seeds within which each bug has to be found.
const SEEDS_MAX: u64 = 200;

/// Which promises a bug may break first.
const fn broken_by(plant: Plant) -> &'static [Promise] {
    match plant {
        Plant::AnswerBeforeSync => &[Promise::Acknowledged],
        Plant::CursorPlusOne => &[Promise::Lag, Promise::Convergence],
        Plant::CrcUnchecked => &[Promise::Prefix],
        Plant::StaleFrames => &[Promise::Written, Promise::State, Promise::Acknowledged],
        Plant::ApplyTwice => &[Promise::Written, Promise::State],
        Plant::FlushBeforeSync => &[Promise::Acknowledged, Promise::Damage, Promise::State],
        Plant::HideFindings => &[Promise::Damage],
        Plant::BusyForEver => &[Promise::Writable],
        Plant::LostInProcess => &[Promise::Acknowledged],
        Plant::ShowPrepared => &[Promise::State, Promise::Transactions],
        Plant::ForgetCommit | Plant::HalfCommit => &[Promise::State, Promise::Conditions],
        Plant::HalfObject => &[Promise::State],
        Plant::IgnoreConditions => &[Promise::Conditions],
        Plant::DropPatternMessage | Plant::ForgetRetained => &[Promise::State],
        Plant::ShowExpired | Plant::HideByClock => &[Promise::State],
    }
}

#[test]
fn every_planted_bug_is_found_by_the_check_that_it_breaks() {
    for plant in Plant::ALL {
        let found = (0..SEEDS_MAX).find_map(|seed| {
            let outcome = fleet::run(&Options { plant: Some(plant), ..Options::new(seed) });
            outcome.breach.map(|breach| (seed, breach))
        });
        let (seed, breach) = found.unwrap_or_else(|| panic!("{plant:?} was not found"));
        println!("{:18} found by seed {seed:3}: {breach}", format!("{plant:?}"));
        assert!(broken_by(plant).contains(&breach.promise), "{plant:?}: {breach}");
    }
}
