//! Seeds that broke a promise once.
//!
//! What a seed decides changes with the atlas, so each finding also has a test of its own, where the
//! bug was; the seed is run for as long as it costs nothing.

use unison_sim::fleet::{self, Options};

const FOUND: [(u64, &str); 15] = [
    (
        98,
        "a disk failed one write while a follower set its suffix aside: readers went on to see \
         records that its log no longer had (engine: \
         `a_cut_that_fails_anywhere_leaves_what_the_log_holds`)",
    ),
    (
        61,
        "a sync of an edge's tree failed, its next process opened the tree as the page cache showed \
         it, and a power cut left pages that were never written (platform/linux: \
         `a_tree_whose_sync_fails_loses_its_name`)",
    ),
    (68, "the same at a hub"),
    (
        1802,
        "a misdirected block that looks like the beginning of a log: the checker did not know it",
    ),
    (
        4719,
        "a sync failed, the write that was to mend it failed too, and the log was opened all the \
         same: it called records durable that a power cut then took (walfs: tests of failed calls)",
    ),
    (
        79,
        "a hub whose append failed in its sync refused all writes from then on: the driver here did \
         not sync behind a failed append, as the platform's does",
    ),
    (
        1653,
        "setting a log aside failed on a full disk when the log was empty already: its records were \
         asked for from where it had ended before (node: \
         `a_log_that_is_empty_after_a_trouble_is_fetched_from_its_start`)",
    ),
    (2067, "a failed append that a power cut brings back: the model did not know it"),
    (
        2802,
        "an edge behind a cut line took itself for up to date for as long as a dead leader may be \
         silent, which one stall had stretched to minutes (link: \
         `silence_is_no_good_news_however_long_the_round_trip_was`)",
    ),
    (
        16798,
        "a hub that answers before the sync refused all writes for ever when its log took nothing \
         more: the driver here did not end it, as the platform's does",
    ),
    (
        18100,
        "a cut of an edge's log failed half way and took records that its tree pointed to: the \
         checker did not know that they are errors until they are fetched again",
    ),
    (
        162,
        "an edge lost a segment in which a transaction had begun that was open at its checkpoint: the \
         commit changed nothing there, and nobody was told (engine: \
         `what_an_open_transaction_had_written_below_the_checkpoint_is_missed`)",
    ),
    (265, "the same, seen three minutes later"),
    (
        537,
        "a medium had forgotten a write that the cache still showed: the checker took the disk for \
         sound",
    ),
    (
        2086,
        "a key whose new time a transaction had set expired for all, and was still there to that \
         transaction, by a clock that had gone back (engine: \
         `what_expired_for_all_since_it_was_said_to_live_longer_is_gone_in_it_too`)",
    ),
];

#[test]
fn what_was_found_once_stays_mended() {
    for (seed, what) in FOUND {
        let outcome = fleet::run(&Options::new(seed));
        assert_eq!(outcome.breach, None, "seed {seed}: {what}");
    }
}
