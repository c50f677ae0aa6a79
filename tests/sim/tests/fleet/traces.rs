//! The same seed tells the same story.

use unison_sim::fleet::{self, Options};

#[test]
fn a_hundred_seeds_tell_the_same_story_twice() {
    for seed in 0..100 {
        let options = Options { minutes: 1, ..Options::new(seed) };
        let (first, second) = (fleet::run(&options), fleet::run(&options));
        assert_eq!((&first.breach, &second.breach), (&None, &None), "seed {seed}");
        assert!(first.events > 0 && first.records > 0, "seed {seed}: nothing happened");
        assert_eq!(first.hash, second.hash, "seed {seed}");
        assert_eq!(first.digests, second.digests, "seed {seed}");
    }
}

/// The story of one seed on every machine and in every build. Whatever changes what nodes do or say
/// changes it: `cargo run -p unison-sim --bin sim -- --seeds 3..4 --minutes 1 --hashes` prints the
/// new one, which belongs here once the change is meant.
const STORY_OF_SEED_3: (u64, u64) = (0x6eb6_5a66_8769_66b9, 6_874);

#[test]
fn the_story_of_a_seed_is_the_same_on_every_machine_and_in_every_build() {
    let outcome = fleet::run(&Options { minutes: 1, ..Options::new(3) });
    assert_eq!(outcome.breach, None);
    assert_eq!((outcome.hash, outcome.events), STORY_OF_SEED_3, "{:#x}", outcome.hash);
}
