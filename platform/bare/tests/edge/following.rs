//! The node follows, and answers what it holds.

use crate::hub::WALL_MS;
use crate::reply::Reply;
use crate::wire::Weather;
use crate::world::World;
use unison_bare::edge::Event;
use unison_engine::{Operation, Write};
use unison_sim::blocks::CrashBlocks;
use unison_sim::disk::Cut;

fn fill(world: &mut World, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let value = vec![number as u8; 300];
        world.hub().put(format!("key:{number:05}").as_bytes(), &value);
    }
}

fn assert_holds(world: &mut World, count: u32) {
    assert_eq!(world.ask("DBSIZE"), Reply::Integer(count.into()));
    let mut caller = world.call(crate::world::RESP);
    for number in 0..count {
        let reply = caller.ask(world, &format!("GET key:{number:05}"));
        assert_eq!(reply, Reply::Bulk(vec![number as u8; 300]), "key {number}");
    }
    caller.leave(world);
}

#[test]
fn a_node_boots_follows_and_answers_reads() {
    let mut world = World::new();
    fill(&mut world, 0..500);
    world.wait_for(|event| matches!(event, Event::UpToDate { .. }));
    assert!(world.has_told(|event| matches!(event, Event::DiskOpened { formatted: true })));
    assert!(world.has_told(|event| matches!(event, Event::HubReached { .. })));
    assert_holds(&mut world, 500);
    world.hub().put(b"late", b"1");
    world.catch_up();
    assert_eq!(world.ask("GET late"), Reply::Bulk(b"1".to_vec()));
    assert_eq!(world.ask("EXISTS late nothing key:00001"), Reply::Integer(2));
    assert_eq!(world.ask("STRLEN key:00001"), Reply::Integer(300));
    assert_eq!(world.ask("GETRANGE late 0 -1"), Reply::Bulk(b"1".to_vec()));
    assert_eq!(world.ask("TYPE late").text(), "string");
    assert_eq!(world.ask("TTL late"), Reply::Integer(-1));
    let values = world.ask("MGET late nothing");
    assert_eq!(values.items(), [Reply::Bulk(b"1".to_vec()), Reply::Null]);
    let refused = world.ask("SET a b");
    assert_eq!(
        refused.text(),
        "READONLY this node only reads; write to the hub whose link is 10.0.0.1:4003"
    );
    assert_eq!(world.ask("SET a").text(), "ERR wrong number of arguments for 'set' command");
    assert!(world.ask("NONSENSE").text().starts_with("ERR unknown command 'NONSENSE'"));
    assert!(world.ask("INFO replication").text().contains("master_link_status:up"));
}

#[test]
fn a_scan_comes_to_every_key_once() {
    let mut world = World::new();
    fill(&mut world, 0..700);
    world.wait_for(|event| matches!(event, Event::UpToDate { .. }));
    world.catch_up();
    let (mut cursor, mut keys) = ("0".to_owned(), Vec::new());
    loop {
        let page = world.ask(&format!("SCAN {cursor} COUNT 90 MATCH key:*"));
        let [next, found] = page.items() else { panic!("{page:?}") };
        keys.extend(found.items().iter().map(|key| key.text().to_owned()));
        cursor = next.text().to_owned();
        if cursor == "0" {
            break;
        }
    }
    let expected: Vec<_> = (0..700).map(|number| format!("key:{number:05}")).collect();
    assert_eq!(keys, expected);
    let unknown = world.ask("SCAN 12345");
    assert_eq!(unknown.text(), "ERR this cursor is unknown or too old; begin again with SCAN 0");
}

#[test]
fn the_status_says_how_the_node_is() {
    let mut world = World::new();
    fill(&mut world, 0..10);
    world.wait_for(|event| matches!(event, Event::UpToDate { .. }));
    world.catch_up();
    let status = world.status();
    assert_eq!(status["role"], "edge");
    assert_eq!(status["node"], "gw-7");
    assert_eq!(status["ready"], true, "{status:#}");
    assert_eq!(status["disk"]["state"], "open");
    assert_eq!(status["network"]["address"], "10.0.0.2/24");
    assert_eq!(status["hub"], "10.0.0.1:4003");
    assert_eq!(status["upstream"]["connected"], true);
    assert_eq!(status["upstream"]["namespaces"]["default"]["state"], "following");
    assert_eq!(status["upstream"]["namespaces"]["default"]["lagRecords"], 0);
    assert_eq!(status["namespaces"][0]["applied"], 10);
    assert_eq!(world.http("GET /health").1, r#"{"status":"ok"}"#);
    assert_eq!(world.http("GET /readyz").0, "HTTP/1.1 200 OK");
    assert_eq!(world.http("GET /nothing").0, "HTTP/1.1 404 Not Found");
    let (line, body) = world.http("PUT /api/v1/default/kv/a");
    assert_eq!(line, "HTTP/1.1 421 Misdirected Request");
    assert_eq!(
        body,
        r#"{"error":"this node only reads; write to the hub whose link is 10.0.0.1:4003"}"#
    );
    assert_eq!(world.http("DELETE /status").0, "HTTP/1.1 405 Method Not Allowed");
}

#[test]
fn the_clock_is_the_hubs_once_it_has_spoken() {
    let mut world = World::new();
    let log = world.hub.take().unwrap().die(&mut world.peer);
    world.pass(100);
    assert_eq!(world.status()["clock"]["source"], "none");
    assert!(world.ask("TIME").text().contains("no clock"));
    world.hub = Some(crate::hub::Hub::again(log, &mut world.peer));
    world.wait_for(|event| matches!(event, Event::ClockSet { .. }));
    world.pass(5_000);
    let expected = WALL_MS + world.now_ms();
    let said = world.status()["clock"]["wallMs"].as_u64().unwrap();
    assert!(said.abs_diff(expected) < 100, "{said} {expected}");
    let seconds: u64 = world.ask("TIME").items()[0].text().parse().unwrap();
    assert!(seconds.abs_diff(expected / 1_000) <= 1);
}

#[test]
fn a_wire_that_loses_repeats_and_delays_frames_costs_time_only() {
    let mut world = World::new();
    let weather = Weather { lost_percent: 5, repeated_percent: 5, late_percent: 10, late_ms: 30 };
    world.wire.set_weather(weather);
    fill(&mut world, 0..600);
    world.catch_up();
    fill(&mut world, 600..900);
    world.catch_up();
    world.wire.set_weather(Weather::default());
    assert_holds(&mut world, 900);
}

#[test]
fn a_power_cut_loses_nothing_that_was_acknowledged_and_the_node_goes_on() {
    let mut written = 0;
    let mut world = World::new();
    for (seed, cut) in (1..=12).zip(CrashBlocks::CUTS.into_iter().cycle()) {
        fill(&mut world, written..written + 150);
        written += 150;
        world.pass(40 + seed * 13);
        let before = world.status()["namespaces"][0]["durable"].as_u64().unwrap_or(0);
        world.power_cut(cut, seed);
        world.events.clear();
        let opened = world.until(10_000, |world| {
            world.has_told(|event| matches!(event, Event::NamespaceOpened { .. }))
        });
        assert!(opened, "{:#?}", world.events);
        let applied = world.events.iter().find_map(|event| match event {
            Event::NamespaceOpened { applied, .. } => Some(applied.0),
            _ => None,
        });
        assert!(applied >= Some(before), "cut {cut:?}: {applied:?} after {before}");
        world.catch_up();
        assert_eq!(world.ask("DBSIZE"), Reply::Integer(written.into()));
    }
    assert_holds(&mut world, written);
    assert_eq!(Cut::KEPT, CrashBlocks::CUTS[0]);
}

#[test]
fn a_quiet_node_sleeps() {
    let mut world = World::new();
    fill(&mut world, 0..10);
    world.catch_up();
    world.pass(1_000);
    let before = world.polls;
    world.pass(60_000);
    let polls = world.polls - before;
    assert!(polls < 400, "{polls} polls in a minute of silence");
}

#[test]
fn bursts_of_small_batches_between_two_polls_are_taken() {
    const OPERATIONS: u32 = 60;
    let mut world = World::new();
    fill(&mut world, 0..10);
    world.catch_up();
    world.events.clear();
    for batch in 0..600_u32 {
        let keys: Vec<_> =
            (0..OPERATIONS).map(|n| (batch * OPERATIONS + n).to_be_bytes()).collect();
        let pairs: Vec<(&[u8], &[u8])> = keys.iter().map(|key| (&key[..], &b"v"[..])).collect();
        world.hub().write(&Write::new(Operation::PutBatch(&pairs)));
        world.step_without_node();
        if batch % 30 == 29 {
            world.pass(20);
        }
    }
    world.catch_up();
    assert!(
        !world.has_told(|event| matches!(event, Event::CannotTake { .. })),
        "{:#?}",
        world.events
    );
    assert_eq!(world.ask("DBSIZE"), Reply::Integer(600 * i64::from(OPERATIONS) + 10));
}
