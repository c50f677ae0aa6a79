//! Beats, dead peers, long round trips.

use crate::world::{World, config};
use unison_base::Lsn;
use unison_link::{CloseReason, LinkState, Timing};

const BEAT_MS: u32 = 5_000;

fn following(timing: Timing, delay_ms: u64) -> World {
    let mut world = World::new(config(timing));
    world.delay_ms = delay_ms;
    world.lead("default", 20, 100);
    world.follow("default");
    world.run_for(60_000);
    assert!(world.converged());
    world
}

#[test]
fn an_idle_link_costs_at_most_100_bytes_a_beat() {
    let mut world = following(Timing::default(), 20);
    let (down, up) = (world.seen.down_bytes, world.seen.up_bytes);
    world.seen.largest_transmit = 0;
    world.run_for(3_600_000);
    let beats = 3_600_000 / u64::from(BEAT_MS);
    let (down, up) = (world.seen.down_bytes - down, world.seen.up_bytes - up);
    println!("{} and {} bytes a beat", down / beats, up / beats);
    assert!(down >= 25 * beats && up >= 25 * beats, "beats both ways");
    assert!(down <= 40 * (beats + 1) && up <= 40 * (beats + 1));
    assert!(world.seen.largest_transmit <= 100);
    assert_eq!(world.follower.state(), LinkState::Live);
    assert_eq!(world.seen.attempts_ms.len(), 1);
}

#[test]
fn idle_beats_stay_small_with_many_namespaces() {
    let mut world = World::new(config(Timing::default()));
    for number in 0..500 {
        let name = format!("n{number}");
        world.lead(&name, 2, 10);
        world.follow(&name);
    }
    world.run_for(60_000);
    assert!(world.converged());
    world.seen.largest_transmit = 0;
    world.run_for(600_000);
    assert!((40..=100).contains(&world.seen.largest_transmit), "{}", world.seen.largest_transmit);
}

#[test]
fn beats_carry_what_the_window_holds_back() {
    let mut config = config(Timing::default());
    config.window_bytes = 5_000;
    let mut world = World::new(config);
    world.appending = false;
    world.lead("default", 10, 1_000);
    world.follow("default");
    world.run_for(1_000);
    world.append("default", 90, 1_000);
    world.run_for(6_000);
    let lag = world.follower.lag(0, world.now_ms).unwrap();
    assert_eq!((lag.leader_durable, lag.records_behind), (Lsn(100), 100));
    assert_eq!(lag.since_in_sync_ms, None);
    world.appending = true;
    world.append_done();
    world.run_for(10);
    let lag = world.follower.lag(0, world.now_ms).unwrap();
    assert_eq!((lag.records_behind, lag.since_in_sync_ms), (0, Some(0)));
}

#[test]
fn a_dead_peer_is_found_by_both_within_three_intervals() {
    // Beats every so often, one way delay, and the interval they make.
    for (beat_ms, delay_ms, interval_ms) in
        [(5_000, 5, 5_000), (500, 5, 500), (1_000, 1_000, 4_000)]
    {
        let timing = Timing { beat_ms, ..Timing::default() };
        let mut world = following(timing, delay_ms);
        let connection = world.connection.as_mut().unwrap();
        connection.down.dead = true;
        connection.up.dead = true;
        let leader = connection.leader.clone();
        let cut_ms = world.now_ms;
        // What is on the way still arrives; then three intervals, then the shortest back-off.
        let latest_ms = cut_ms + delay_ms + 3 * interval_ms;
        world.run_until(latest_ms + 601);
        assert_eq!(world.seen.closes, [CloseReason::Dead]);
        assert!(world.seen.attempts_ms[1] <= latest_ms + 600, "beats every {beat_ms} ms");
        assert!(silence_ends(leader, cut_ms) <= latest_ms, "the leader, beats every {beat_ms} ms");
    }
}

/// When a leader that hears nothing more gives up.
fn silence_ends(mut leader: unison_link::Leader, from_ms: u64) -> u64 {
    for _ in 0..100 {
        let at_ms = leader.poll_timeout().max(from_ms);
        leader.handle_timeout(at_ms);
        if let Some(unison_link::LeaderEvent::Close { reason }) = leader.poll_event() {
            assert_eq!(reason, CloseReason::Dead);
            return at_ms;
        }
        leader.poll_transmit(at_ms, &mut [0; 2_048]);
    }
    panic!("the leader did not notice");
}

#[test]
fn lag_in_time_counts_from_the_last_moment_in_sync() {
    let mut world = following(Timing::default(), 5);
    world.reachable = false;
    world.disconnect();
    let from_ms = world.now_ms;
    world.run_for(100_000);
    let since_ms = world.follower.lag(0, world.now_ms).unwrap().since_in_sync_ms.unwrap();
    let most_ms = 100_000 + u64::from(BEAT_MS);
    assert!((100_000..=most_ms).contains(&since_ms), "{since_ms} since {from_ms}");
}

#[test]
fn silence_is_no_good_news_however_long_the_round_trip_was() {
    let mut world = following(Timing::default(), 5);
    for delay_ms in [4_000, 8_000, 16_000, 24_000] {
        world.delay_ms = delay_ms;
        world.run_for(300_000);
    }
    for _ in 0..240 {
        world.run_for(500);
        let lag = world.follower.lag(0, world.now_ms).unwrap();
        assert!(lag.since_in_sync_ms > Some(24_000), "the newest word is older: {lag:?}");
    }
    let connection = world.connection.as_mut().unwrap();
    (connection.up.dead, connection.down.dead) = (true, true);
    world.append("default", 1, 100);
    let cut_ms = world.now_ms;
    while world.seen.closes.is_empty() {
        world.run_for(500);
        let lag = world.follower.lag(0, world.now_ms).unwrap();
        // What was on the way still comes, and is as old as the line is long.
        let most_ms = world.now_ms - cut_ms + u64::from(2 * BEAT_MS) + 120_000;
        assert!((24_000..=most_ms).contains(&lag.since_in_sync_ms.unwrap()), "{lag:?}");
    }
    assert!(world.now_ms > cut_ms + 60_000, "the line was given up before");
}

#[test]
fn up_to_date_are_only_those_who_were_told_so_lately() {
    let mut world = following(Timing::default(), 20);
    world.run_for(100_000);
    assert_eq!(world.follower.lag(0, world.now_ms).unwrap().since_in_sync_ms, Some(0));
    world.connection.as_mut().unwrap().down.dead = true;
    let cut_ms = world.now_ms;
    while world.seen.closes.is_empty() {
        let since_ms = world.follower.lag(0, world.now_ms).unwrap().since_in_sync_ms.unwrap();
        assert!(since_ms == 0 || since_ms > 15_000, "{since_ms}");
        assert_eq!(since_ms == 0, world.now_ms < cut_ms + 10_100, "{since_ms}");
        world.run_for(100);
    }
}

#[test]
fn a_round_trip_of_two_seconds_works_even_with_short_beats() {
    for beat_ms in [200, 1_000, 5_000] {
        let timing = Timing { beat_ms, ..Timing::default() };
        let mut world = following(timing, 1_000);
        for _ in 0..50 {
            world.append("default", 20, 500);
            world.run_for(5_000);
        }
        world.run_for(10_000);
        assert!(world.converged());
        assert_eq!(world.seen.attempts_ms.len(), 1, "beats every {beat_ms} ms");
        let rtt_ms = world.follower.rtt_ms().unwrap();
        assert!((1_900..=2_100).contains(&rtt_ms), "{rtt_ms}");
    }
}

#[test]
fn a_leader_that_accepts_and_says_nothing_is_left() {
    let mut world = World::new(config(Timing::default()));
    world.lead("default", 1, 1);
    world.follow("default");
    world.turn();
    world.connection.as_mut().unwrap().down.dead = true;
    world.run_for(20_500);
    assert_eq!(world.seen.closes, [CloseReason::Dead]);
    world.run_for(1_000);
    assert!(world.converged());
}
