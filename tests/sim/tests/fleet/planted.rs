//! Checkers that see nothing prove nothing.

use unison_sim::fleet::{self, Options, Plant};

/// Seeds within which each bug has to be found.
const SEEDS_MAX: u64 = 200;

#[test]
fn every_planted_bug_is_found_by_the_fleet() {
    for plant in Plant::ALL {
        let found = (0..SEEDS_MAX).find_map(|seed| {
            let outcome = fleet::run(&Options { plant: Some(plant), ..Options::new(seed) });
            outcome.breach.map(|breach| (seed + 1, breach))
        });
        let (seeds, breach) = found.unwrap_or_else(|| panic!("{plant:?} was not found"));
        println!("{:18} found within {seeds:3} seeds: {breach}", format!("{plant:?}"));
    }
}
