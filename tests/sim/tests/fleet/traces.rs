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
