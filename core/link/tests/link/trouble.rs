//! Namespaces that are not there, logs that differ, runs that are bad, peers that say no.

use crate::line::Fate;
use crate::log::FakeLog;
use crate::world::{World, config};
use unison_base::Lsn;
use unison_link::{
    ByeReason, CloseReason, Divergence, LinkState, Refusal, RunFault, Standing, Timing,
};

fn world() -> World {
    World::new(config(Timing::default()))
}

#[test]
fn a_namespace_that_is_not_there_yet_is_waited_for_on_the_same_connection() {
    let mut world = world();
    world.lead("here", 5, 10);
    world.follow("here");
    world.follow("later");
    world.run_for(600_000);
    assert_eq!(world.seen.waiting, [(1, Refusal::UnknownNamespace)], "reported once");
    let standing = world.follower.lag(1, world.now_ms).unwrap().standing;
    assert_eq!(standing, Standing::Waiting(Refusal::UnknownNamespace));
    assert_eq!(world.seen.attempts_ms.len(), 1);
    let requests = world.connection.as_ref().unwrap().leader.counters().requests;
    assert!((40..=602).contains(&requests), "{requests} requests in ten minutes");
    world.lead("later", 7, 10);
    world.run_for(15_000);
    assert_eq!(world.follower_logs[1].last(), Lsn(7));
    assert_eq!(world.seen.attempts_ms.len(), 1);
}

#[test]
fn a_namespace_added_while_connected_is_followed() {
    let mut world = world();
    world.lead("a", 5, 10);
    world.lead("b", 5, 10);
    world.follow("a");
    world.settle();
    world.follow("b");
    world.settle();
    assert!(world.converged());
}

#[test]
fn a_log_made_anew_is_a_divergence_until_the_driver_restarts() {
    let mut world = world();
    world.lead("default", 10, 10);
    world.follow("default");
    world.settle();
    world.disconnect();
    world.leader_logs.insert("default".into(), FakeLog::new(9, 65_536));
    world.append("default", 30, 40);
    world.run_for(600_000);
    assert_eq!(world.seen.diverged, [(0, Divergence::Log)]);
    assert_eq!(world.follower_logs[0].last(), Lsn(10), "nothing was mixed");
    world.disconnect();
    world.run_for(600_000);
    assert_eq!(world.seen.diverged, [(0, Divergence::Log); 2], "once for each connection");
    assert_eq!(world.follower_logs[0].last(), Lsn(10), "nothing was mixed");
    assert_eq!(world.follower.lag(0, 0).unwrap().standing, Standing::Diverged(Divergence::Log));
    world.follower_logs[0] = FakeLog::new(0, 65_536);
    let end = world.follower_logs[0].end();
    world.follower.restart(0, end, world.now_ms);
    world.settle();
    assert!(world.converged());
}

#[test]
fn a_suffix_of_its_own_and_a_log_that_is_ahead_are_divergences() {
    let mut world = world();
    world.lead("default", 10, 10);
    world.follow("default");
    world.settle();
    world.disconnect();
    let log = world.leader_logs.get_mut("default").unwrap();
    log.cut_after(Lsn(8));
    world.run_for(5_000);
    assert_eq!(world.seen.diverged, [(0, Divergence::Ahead { durable: Lsn(8) })]);
    world.append("default", 5, 99);
    let end = world.follower_logs[0].end();
    world.follower.restart(0, end, world.now_ms);
    world.settle();
    assert_eq!(world.seen.diverged[1], (0, Divergence::Frame));
    world.follower_logs[0].cut_after(Lsn(8));
    let end = world.follower_logs[0].end();
    world.follower.restart(0, end, world.now_ms);
    world.settle();
    assert!(world.converged());
}

#[test]
fn a_run_the_driver_refuses_is_asked_for_again_on_the_same_connection() {
    let mut world = world();
    world.refuse_runs = 2;
    world.lead("default", 100, 100);
    world.follow("default");
    world.settle();
    assert!(world.converged());
    assert_eq!(world.follower.counters().refused_runs, 2);
    assert_eq!(world.seen.attempts_ms.len(), 1);
}

#[test]
fn three_bad_runs_in_a_row_are_a_reconnect_with_growing_back_off() {
    let mut world = world();
    world.refuse_runs = 90;
    world.lead("default", 100, 100);
    world.follow("default");
    world.run_for(3_600_000);
    assert!(world.converged(), "no last attempt");
    assert_eq!(world.follower.counters().refused_runs, 90);
    assert_eq!(world.seen.attempts_ms.len(), 31);
    assert!(world.seen.closes.iter().all(|reason| *reason == CloseReason::BadRuns));
    let late = world.seen.attempts_ms[30] - world.seen.attempts_ms[20];
    let early = world.seen.attempts_ms[3] - world.seen.attempts_ms[0];
    assert!(late > 10 * early, "{late} {early}");
}

#[test]
fn a_damaged_frame_is_asked_for_again_and_never_appended() {
    let mut world = world();
    world.lead("default", 100, 100);
    world.follow("default");
    world.fates.push_back(Fate { damage_down: Some((5_000, 4)), ..Fate::default() });
    world.settle();
    assert!(world.converged());
    assert!(matches!(world.seen.faults[..], [RunFault::Frame { .. }]));
    assert_eq!(world.follower.counters().refused_runs, 1);
    assert_eq!(world.seen.attempts_ms.len(), 1);
}

#[test]
fn attempts_never_end_and_stay_between_their_bounds() {
    let mut world = world();
    world.lead("default", 3, 10);
    world.follow("default");
    world.reachable = false;
    world.run_for(30 * 24 * 3_600_000);
    let attempts = &world.seen.attempts_ms;
    assert!(attempts.len() > 30 * 24 * 60, "{}", attempts.len());
    let waits = attempts.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(waits.clone().all(|wait| (200..=60_000).contains(&wait)));
    assert!(waits.clone().max().unwrap() > 50_000);
    assert!(matches!(world.follower.state(), LinkState::Offline { .. }));
    world.reachable = true;
    world.run_for(60_000);
    assert!(world.converged());
}

#[test]
fn retry_after_is_kept_but_not_for_ever() {
    for (asked_ms, least_ms, most_ms) in
        [(30_000, 30_000, 60_600), (u32::MAX, 3_600_000, 7_300_000)]
    {
        let mut world = world();
        world.lead("default", 3, 10);
        world.follow("default");
        world.settle();
        let from_ms = world.now_ms;
        world.connection.as_mut().unwrap().leader.dismiss(ByeReason::Busy, asked_ms);
        world.run_for(2 * 3_600_000 + 100_000);
        assert_eq!(world.seen.closes, [CloseReason::Bye(ByeReason::Busy)]);
        let wait_ms = world.seen.attempts_ms[1] - from_ms;
        assert!((least_ms..most_ms).contains(&wait_ms), "{wait_ms}");
        assert_eq!(world.seen.attempts_ms.len(), 2);
    }
}

#[test]
fn a_follower_that_leaves_says_so() {
    let mut world = world();
    world.lead("default", 3, 10);
    world.follow("default");
    world.settle();
    world.follower.leave(ByeReason::Shutdown);
    world.settle();
    assert_eq!(world.seen.leader_closes, [CloseReason::Bye(ByeReason::Shutdown)]);
}
