//! Catch-up, tail, several namespaces, seals, windows.

use crate::world::{World, config};
use unison_base::Lsn;
use unison_link::{LinkState, Refusal, Standing, Timing};

fn world() -> World {
    World::new(config(Timing::default()))
}

#[test]
fn a_follower_catches_up_over_many_segments_and_then_follows_the_tail() {
    let mut world = world();
    world.lead("default", 1_000, 500);
    world.follow("default");
    world.settle();
    assert!(world.converged());
    assert_eq!(world.follower_logs[0].last(), Lsn(1_000));
    assert!(world.seen.seals >= 8, "{} seals", world.seen.seals);
    let runs = world.seen.runs.len();
    for _ in 0..100 {
        world.append("default", 1, 30);
        world.settle();
        assert!(world.converged(), "a record goes out at once");
    }
    assert_eq!(world.seen.runs.len(), runs + 100);
    let lag = world.follower.lag(0, world.now_ms).unwrap();
    assert_eq!((lag.records_behind, lag.since_in_sync_ms), (0, Some(0)));
    assert_eq!((lag.standing, lag.durable), (Standing::Following, Lsn(1_100)));
    let counters = world.follower.counters();
    assert_eq!((counters.records, counters.duplicate_records), (1_100, 0));
}

#[test]
fn what_gathers_while_the_line_is_busy_goes_in_one_run() {
    let mut world = world();
    world.lead("default", 1, 30);
    world.follow("default");
    world.settle();
    let runs = world.seen.runs.len();
    world.append("default", 500, 30);
    world.settle();
    assert!(world.converged());
    assert_eq!(world.seen.runs.len(), runs + 1);
}

#[test]
fn bytes_may_come_one_at_a_time() {
    let mut world = world();
    world.chunk = 1;
    world.lead("a", 200, 700);
    world.lead("b", 50, 10);
    world.follow("a");
    world.follow("b");
    world.settle();
    assert!(world.converged());
}

#[test]
fn many_namespaces_share_a_connection() {
    let mut world = world();
    let names: Vec<String> = (0..200).map(|number| format!("namespace-{number:03}")).collect();
    for (index, name) in names.iter().enumerate() {
        world.lead(name, index % 7, 100);
        world.follow(name);
    }
    world.settle();
    assert!(world.converged());
    assert_eq!(world.seen.attempts_ms.len(), 1);
    for name in names.iter().rev() {
        world.append(name, 3, 20);
    }
    world.settle();
    assert!(world.converged());
    assert_eq!(world.seen.welcomes, 200);
}

#[test]
fn a_busy_namespace_does_not_starve_the_others() {
    let mut config = config(Timing::default());
    config.run_bytes_max = 8_192;
    let mut world = World::new(config);
    world.lead("large", 2_000, 1_000);
    world.lead("small", 20, 10);
    world.follow("large");
    world.follow("small");
    while world.follower_logs[1].last() < Lsn(20) {
        assert!(world.turn());
    }
    assert!(world.follower_logs[0].last() < Lsn(60), "{}", world.follower_logs[0].last());
}

/// A driver whose line is never idle never gets to its timeouts.
#[test]
fn a_busy_line_does_not_put_off_the_namespaces_that_wait() {
    let mut world = world();
    world.lead("busy", 1, 10);
    world.follow("busy");
    world.follow("later");
    world.settle();
    world.lead("later", 1, 10);
    for _ in 0..160 {
        world.now_ms += 100;
        world.append("busy", 1, 10);
        world.settle();
    }
    assert_eq!(world.follower_logs[1].last(), Lsn(1));
}

#[test]
fn a_full_window_stops_the_leader_and_costs_nothing() {
    let mut config = config(Timing::default());
    config.window_bytes = 10_000;
    let mut world = World::new(config);
    world.appending = false;
    world.lead("default", 500, 476);
    world.follow("default");
    world.settle();
    let received = world.follower_logs[0].last();
    let outstanding =
        world.connection.as_ref().unwrap().leader.status(0).unwrap().outstanding_bytes;
    assert!((7_500..10_520).contains(&outstanding), "{outstanding}");
    assert!(received < Lsn(25));
    world.run_for(60_000);
    assert_eq!(world.follower_logs[0].last(), received, "beats go on, runs do not");
    assert_eq!(world.follower.state(), LinkState::Live);
    world.appending = true;
    world.append_done();
    world.settle();
    assert!(world.converged());
}

#[test]
fn one_record_above_every_bound_but_the_followers_passes() {
    let mut config = config(Timing::default());
    config.window_bytes = 4_096;
    config.run_bytes_max = 3 << 20;
    let mut world = World::new(config);
    let log = crate::log::FakeLog::new(1, 16 << 20);
    world.leader_logs.insert("default".into(), log);
    world.append("default", 5, 10);
    world.append("default", 1, (2 << 20) + 12_345);
    world.append("default", 5, 10);
    world.follow("default");
    world.settle();
    assert!(world.converged());
    assert_eq!(world.follower_logs[0].last(), Lsn(11));
}

#[test]
fn a_record_the_follower_cannot_hold_is_refused_by_name_and_others_go_on() {
    let mut config = config(Timing::default());
    config.run_bytes_max = 10_000;
    let mut world = World::new(config);
    world.lead("large", 1, 100);
    world.append("large", 1, 20_000);
    world.lead("other", 10, 100);
    world.follow("large");
    world.follow("other");
    world.settle();
    assert!(matches!(world.seen.waiting[..], [(0, Refusal::RecordTooLarge { .. })]));
    assert_eq!(world.follower_logs[0].last(), Lsn(1));
    assert_eq!(world.follower_logs[1].last(), Lsn(10));
    world.append("other", 10, 100);
    world.run_for(300_000);
    assert_eq!(world.follower_logs[1].last(), Lsn(20));
    assert_eq!(world.seen.attempts_ms.len(), 1);
}
