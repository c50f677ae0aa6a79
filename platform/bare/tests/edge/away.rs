//! The hub is away, or is not what it was.

use crate::hub::Hub;
use crate::reply::Reply;
use crate::world::{World, boot_line};
use unison_bare::edge::{AwayReason, Event};
use unison_sim::blocks::CrashBlocks;

fn fill(world: &mut World, count: u32) {
    for number in 0..count {
        world.hub().put(format!("key:{number:05}").as_bytes(), &[7; 300]);
    }
}

#[test]
fn a_node_answers_while_its_hub_is_away_and_follows_again() {
    let mut world = World::new();
    fill(&mut world, 50);
    world.catch_up();
    let log = world.hub.take().unwrap().die(&mut world.peer);
    world.wait_for(|event| matches!(event, Event::HubAway { .. }));
    world.pass(90_000);
    let aways = world.events.iter().filter(|event| matches!(event, Event::HubAway { .. }));
    assert!(aways.count() <= 2, "each change is told once: {:#?}", world.events);
    assert_eq!(world.ask("GET key:00007"), Reply::Bulk(vec![7; 300]));
    let status = world.status();
    assert_eq!(status["ready"], false);
    assert!(status["reasons"][0].as_str().unwrap().contains("is not connected to 10.0.0.1:4003"));
    assert_eq!(status["upstream"]["connected"], false);
    assert!(status["upstream"]["awayMs"].as_u64().unwrap() >= 90_000, "{status:#}");
    assert_eq!(world.http("GET /readyz").0, "HTTP/1.1 503 Service Unavailable");
    world.hub = Some(Hub::again(log, &mut world.peer));
    world.hub().put(b"new", b"1");
    world.wait_for(|event| matches!(event, Event::HubReached { .. }));
    world.catch_up();
    assert_eq!(world.ask("GET new"), Reply::Bulk(b"1".to_vec()));
    assert_eq!(world.status()["ready"], true);
}

#[test]
fn a_wire_that_is_cut_is_noticed_and_healed() {
    let mut world = World::new();
    fill(&mut world, 50);
    world.catch_up();
    world.wire.cut(true);
    world.wait_for(|event| matches!(event, Event::HubAway { .. }));
    world.hub().put(b"meanwhile", b"1");
    world.pass(60_000);
    world.wire.cut(false);
    world.wait_for(|event| matches!(event, Event::UpToDate { .. }));
    assert_eq!(world.ask("GET meanwhile"), Reply::Bulk(b"1".to_vec()));
}

#[test]
fn a_hub_that_refuses_the_node_is_asked_again() {
    let mut world = World::new();
    world.hub().log.dismisses = true;
    world.wait_for(|event| matches!(event, Event::HubAway { reason: AwayReason::Link(_), .. }));
    world.pass(20_000);
    let aways = world.events.iter().filter(|event| matches!(event, Event::HubAway { .. }));
    assert_eq!(aways.count(), 1, "{:#?}", world.events);
    world.hub().log.dismisses = false;
    world.wait_for(|event| matches!(event, Event::UpToDate { .. }));
}

#[test]
fn garbage_from_the_hub_ends_the_connection_and_nothing_else() {
    let mut world = World::new();
    fill(&mut world, 50);
    world.catch_up();
    for round in 0..5_u8 {
        let garbage: Vec<u8> = (0..200_u8).map(|byte| byte.wrapping_mul(37) ^ round).collect();
        world.hub().babble(&garbage);
        world.wait_for(|event| matches!(event, Event::UpToDate { .. }));
    }
    assert_eq!(world.ask("DBSIZE"), Reply::Integer(50));
}

#[test]
fn another_history_is_set_aside_and_the_hubs_is_followed_from_the_start() {
    let mut world = World::new();
    fill(&mut world, 1_500);
    world.catch_up();
    assert!(world.status()["namespaces"][0]["checkpoint"].as_u64().unwrap() > 0);
    let hub = world.hub.take().unwrap();
    hub.die(&mut world.peer);
    world.hub = Some(Hub::new(2, &mut world.peer));
    world.hub().put(b"other", b"history");
    world.wait_for(|event| matches!(event, Event::SetAside { .. }));
    world.catch_up();
    assert_eq!(world.ask("DBSIZE"), Reply::Integer(1));
    assert_eq!(world.ask("GET other"), Reply::Bulk(b"history".to_vec()));
    world.power_cut(unison_sim::disk::Cut::LOST, 1);
    world.catch_up();
    assert_eq!(world.ask("DBSIZE"), Reply::Integer(1));
}

#[test]
fn another_history_on_a_disk_that_is_nearly_full_makes_room_for_the_hubs() {
    let mut world = World::new();
    let large = |world: &mut World| {
        for key in 0..3_500_u32 {
            world.hub().put(&key.to_be_bytes(), &[7; 2_000]);
        }
    };
    large(&mut world);
    world.catch_up();
    let namespace = world.status()["namespaces"][0].clone();
    let bytes = |name: &str| namespace[name].as_u64().unwrap();
    assert!(bytes("diskBytes") > bytes("diskTotalBytes") / 2, "{namespace:#}");
    world.hub.take().unwrap().die(&mut world.peer);
    world.hub = Some(Hub::new(2, &mut world.peer));
    large(&mut world);
    world.wait_for(|event| matches!(event, Event::SetAside { .. }));
    world.catch_up();
    assert_eq!(world.ask("DBSIZE"), Reply::Integer(3_500));
    assert!(world.status()["namespaces"][0]["evidenceDropped"].as_u64() > Some(0));
}

#[test]
fn a_namespace_that_the_hub_does_not_have_is_waited_for() {
    let disk = CrashBlocks::new(crate::world::DISK_BYTES);
    let line = boot_line() + " namespace=default,other";
    let mut world = World::with_disk(Some(disk), &line);
    fill(&mut world, 5);
    world.wait_for(|event| matches!(event, Event::Waiting { .. }));
    world.catch_up();
    let status = world.status();
    assert_eq!(status["upstream"]["namespaces"]["other"]["state"], "waiting", "{status:#}");
    assert_eq!(status["upstream"]["namespaces"]["default"]["state"], "following");
    let mut caller = world.call(crate::world::RESP);
    assert_eq!(caller.ask(&mut world, "SELECT other").text(), "OK");
    assert_eq!(caller.ask(&mut world, "DBSIZE"), Reply::Integer(0));
    assert_eq!(caller.ask(&mut world, "SELECT 0").text(), "OK");
    assert_eq!(caller.ask(&mut world, "DBSIZE"), Reply::Integer(5));
    let unknown = caller.ask(&mut world, "SELECT third");
    assert_eq!(unknown.text(), "ERR namespace third is not followed by this node");
}

#[test]
fn a_hub_that_takes_no_bytes_is_no_reason_to_spin() {
    let mut world = World::new();
    world.hub.take().unwrap().die(&mut world.peer);
    world.peer.receive_bytes = 1 << 10;
    world.hub = Some(Hub::new(1, &mut world.peer));
    world.hub().put(b"first", b"1");
    world.wait_for(|event| matches!(event, Event::UpToDate { .. }));
    world.hub().log.is_deaf = true;
    for number in 0..800_u32 {
        world.hub().put(&number.to_be_bytes(), b"v");
        world.pass(2);
    }
    assert_eq!(world.hub().followers(), 1);
    let before = world.polls;
    world.pass(8_000);
    assert!(world.polls - before < 400, "{} polls", world.polls - before);
    world.hub().log.is_deaf = false;
    world.catch_up();
}
