//! Cutting a follower's log on a medium that fails.

use crate::fixture::{self, NOW_MS, Sim, commit, follower_options, options};
use unison_base::Lsn;
use unison_base::limits::SEGMENT_BYTES_MIN;
use unison_engine::Engine;
use unison_ports::IoError;
use unison_sim::disk::{Calls, CrashDisk, Effect, Fault, SimStore, When};
use unison_walfs::{Bound, RunHeader, Step};

/// Records of a log with two segments, and the one to cut behind.
const RECORDS: u8 = 60;
const KEEP: Lsn = Lsn(50);

fn leader() -> (CrashDisk, Sim) {
    let (disk, mut leader) = fixture::new(options());
    let value = vec![7; usize::try_from(SEGMENT_BYTES_MIN / 40).unwrap()];
    for number in 0..RECORDS {
        fixture::put(&mut leader, &[number % 30], &value);
        commit(&mut leader);
    }
    (disk, leader)
}

/// Takes what is missing, and syncs it.
fn fetch(leader: &Sim, follower: &mut Engine<SimStore>) {
    let mut cursor = leader.log().cursor(follower.appended().next(), Bound::Durable).unwrap();
    while let Some(step) = cursor.next_run(1 << 20).unwrap() {
        match step {
            Step::Run { segment, offset, first, count, segment_bytes, frames } => {
                let run = RunHeader { segment, offset, first, count, segment_bytes };
                follower.apply_run(run, &frames, NOW_MS).unwrap();
            }
            Step::Seal { segment, offset, next_bytes } => {
                follower.seal_at(segment, offset, next_bytes, NOW_MS).unwrap();
            }
        }
    }
    let durable = follower.synced(follower.sync_ticket().run()).unwrap();
    follower.publish(durable);
}

/// A call that fails in the middle of a cut: readers see the log that is left, and what is fetched
/// again makes the leader's state. Found by the simulated fleet, seed 98: a disk that failed one
/// write while a follower set a suffix aside went on to show records that it no longer had.
#[test]
fn a_cut_that_fails_anywhere_leaves_what_the_log_holds() {
    let (_disk, leader) = leader();
    let due = fixture::all(&leader.reader());
    let mut failed = 0;
    for nth in 1..40 {
        for effect in [Effect::Error(IoError::Device(5)), Effect::Late(IoError::Device(5))] {
            let (disk, mut follower) = fixture::new(follower_options());
            fetch(&leader, &mut follower);
            disk.inject(Fault { calls: Calls::Any, when: When::Nth(nth), effect });
            let cut = follower.cut_after(KEEP, NOW_MS);
            disk.heal();
            failed += u64::from(cut.is_err());
            assert!(cut.is_err() || follower.appended() == KEEP);
            let left = follower.appended().max(follower.stats().checkpoint);
            assert!(follower.applied() <= left, "call {nth}: {effect:?}");
            let seen = fixture::all(&follower.reader());
            assert!(seen.iter().all(|&(_, _, lsn)| lsn <= left), "call {nth}: {effect:?}");
            fetch(&leader, &mut follower);
            assert_eq!(fixture::all(&follower.reader()), due, "call {nth}: {effect:?}");
        }
    }
    assert!(failed > 10, "{failed} cuts failed");
}
