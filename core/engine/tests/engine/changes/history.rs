//! Logs that lose their beginning, their middle or their end.

use super::all_behind;
use crate::fixture::{self, NOW_MS, Sim, commit, flush, follower_options, options};
use crate::follow::fetch;
use std::ops::ControlFlow;
use unison_base::Lsn;
use unison_base::limits::SEGMENT_BYTES_MIN;
use unison_engine::{ChangeFilter, ChangeId, Changes, ChangesError, Reached};
use unison_sim::disk::SimStore;

fn changes(engine: &Sim, behind: u64) -> Changes<SimStore> {
    let behind = if behind == 0 { ChangeId::default() } else { ChangeId::whole(Lsn(behind)) };
    engine.reader().changes(ChangeFilter::default(), behind)
}

/// LSNs of the events up to the end or an error.
fn read(changes: &mut Changes<SimStore>) -> (Vec<u64>, Result<Reached, ChangesError>) {
    let mut seen = Vec::new();
    let reached = changes.read(usize::MAX, &mut |change| {
        seen.push(change.id.lsn.0);
        ControlFlow::Continue(())
    });
    (seen, reached)
}

fn fill(engine: &mut Sim, mark: u8, records: u64) {
    let value = vec![mark; usize::try_from(SEGMENT_BYTES_MIN / 20).unwrap()];
    for number in 0..records {
        fixture::put(engine, &[u8::try_from(number % 30).unwrap()], &value);
        commit(engine);
    }
}

#[test]
fn a_follower_that_changed_its_history_says_so_to_those_who_saw_the_other_one() {
    let (_disk, mut leader) = fixture::new(options());
    fill(&mut leader, 1, 30);
    let (_disk, mut follower) = fixture::new(follower_options());
    fetch(&leader, &mut follower, 1 << 20, u64::MAX);
    let mut past = changes(&follower, 30);
    let (mut at_cut, mut early, mut idle) =
        (changes(&follower, 20), changes(&follower, 5), changes(&follower, 25));
    at_cut.rest();
    let mut broken_off = changes(&follower, 10);
    let first = broken_off.read(usize::MAX, &mut |_| ControlFlow::Break(()));
    assert_eq!(first, Ok(Reached::More));
    follower.cut_after(Lsn(20), NOW_MS).unwrap();
    assert_eq!(read(&mut at_cut), (vec![], Ok(Reached::End)));
    assert_eq!(read(&mut early).0, (6..=20).collect::<Vec<_>>());
    assert_eq!(read(&mut broken_off).0, (12..=20).collect::<Vec<_>>());
    for gone in [&mut past, &mut idle] {
        assert!(
            matches!(read(gone), (none, Err(ChangesError::Rewritten { .. })) if none.is_empty())
        );
    }
    fetch(&leader, &mut follower, 1 << 20, u64::MAX);
    assert_eq!(read(&mut early), ((21..=30).collect(), Ok(Reached::End)));
    // The very records came back.
    assert_eq!(read(&mut past), (vec![], Ok(Reached::End)));
    assert_eq!(read(&mut idle), ((26..=30).collect(), Ok(Reached::End)));
}

/// A leader that lost its end goes on with other records of the same numbers.
#[test]
fn other_records_of_the_same_numbers_are_not_what_follows() {
    let (_disk, mut leader) = fixture::new(options());
    fill(&mut leader, 1, 30);
    let (_disk, mut restored) = fixture::new(options());
    fill(&mut restored, 1, 20);
    fill(&mut restored, 2, 20);
    let (_disk, mut follower) = fixture::new(follower_options());
    fetch(&leader, &mut follower, 1 << 20, u64::MAX);
    let (mut common, mut other) = (changes(&follower, 15), changes(&follower, 25));
    follower.cut_after(Lsn(20), NOW_MS).unwrap();
    fetch(&restored, &mut follower, 1 << 20, u64::MAX);
    assert_eq!(read(&mut common), ((16..=40).collect(), Ok(Reached::End)));
    assert_eq!(read(&mut other), (vec![], Err(ChangesError::Rewritten { from: Lsn(25) })));
}

#[test]
fn an_event_that_is_ahead_of_a_node_is_waited_for() {
    let (_disk, mut leader) = fixture::new(options());
    fill(&mut leader, 1, 10);
    let (_disk, mut follower) = fixture::new(follower_options());
    fetch(&leader, &mut follower, 1, 4);
    let mut ahead = changes(&follower, 8);
    assert_eq!(read(&mut ahead), (vec![], Ok(Reached::End)));
    fetch(&leader, &mut follower, 1 << 20, u64::MAX);
    assert_eq!(read(&mut ahead), (vec![9, 10], Ok(Reached::End)));
}

#[test]
fn a_watcher_that_retention_has_passed_is_told_and_one_that_rests_holds_up_nothing() {
    let (_disk, mut engine) = fixture::new(options());
    fill(&mut engine, 1, 40);
    let (mut slow, mut reading) = (changes(&engine, 0), changes(&engine, 0));
    for watcher in [&mut slow, &mut reading] {
        let one = watcher.read(usize::MAX, &mut |_| ControlFlow::Break(()));
        assert_eq!(one, Ok(Reached::More));
    }
    flush(&mut engine);
    let segments = engine.log().segments().len();
    engine.retire(None, NOW_MS).unwrap();
    assert_eq!(engine.log().segments().len(), segments, "it is being read");
    assert_eq!(read(&mut reading).0.len(), 39);
    slow.rest();
    engine.retire(None, NOW_MS).unwrap();
    let first = engine.log().first();
    assert!(first > Lsn(2), "the log begins at {first}");
    let told = read(&mut slow);
    assert_eq!(told, (vec![], Err(ChangesError::Retired { first })));
    let behind = ChangeId::whole(first.prev());
    assert_eq!(all_behind(&engine, behind).len() as u64, 41 - first.0);
}
