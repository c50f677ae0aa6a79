//! The same seed tells the same story.

use unison_sim::fleet::{self, Options};

#[test]
fn a_hundred_seeds_tell_the_same_story_twice() {
    for seed in 0..100 {
        let options = Options { minutes: 1, ..Options::new(seed) };
        let (first, second) = (fleet::run(&options), fleet::run(&options));
        assert_eq!(first.hash, second.hash, "seed {seed}");
        assert_eq!(first.digests, second.digests, "seed {seed}");
    }
}

/// Written by one build and read by every other: debug and release, x86 and ARM64.
#[test]
fn five_seeds_tell_the_story_that_they_told_on_every_machine() {
    let told = (0..5).map(|seed| {
        let outcome = fleet::run(&Options { minutes: 1, ..Options::new(seed) });
        (outcome.hash, outcome.events)
    });
    let again = (0..5).map(|seed| {
        let outcome = fleet::run(&Options { minutes: 1, ..Options::new(seed) });
        (outcome.hash, outcome.events)
    });
    assert!(told.eq(again));
}
