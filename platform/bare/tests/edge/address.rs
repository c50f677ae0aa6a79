//! The node's address comes from a DHCP server, late or never, and may be lost.

use crate::hub;
use crate::peer::PEER;
use crate::reply::Reply;
use crate::world::{DISK_BYTES, World};
use unison_bare::edge::{AwayReason, Event};
use unison_sim::blocks::CrashBlocks;

fn world() -> World {
    let line = format!("hub={PEER}:{} ip=dhcp memtable=64KiB", hub::PORT);
    World::with_disk(Some(CrashBlocks::new(DISK_BYTES)), &line)
}

#[test]
fn a_node_without_an_address_opens_its_disk_and_waits_without_hurry() {
    let mut world = world();
    world.wait_for(|event| matches!(event, Event::NamespaceOpened { .. }));
    assert!(world.has_told(|event| matches!(event, Event::AddressAwaited)));
    let before = world.polls;
    world.pass(120_000);
    assert!(world.polls - before < 2_000, "{} polls", world.polls - before);
    let told =
        |event: &Event| matches!(event, Event::AddressAcquired { .. } | Event::HubAway { .. });
    assert!(!world.has_told(told), "{:#?}", world.events);
    world.hub().put(b"key", b"value");
    world.peer.set_dhcp(true);
    world.wait_for(|event| matches!(event, Event::UpToDate { .. }));
    assert!(world.has_told(|event| matches!(event, Event::AddressAcquired { .. })));
    let status = world.status();
    assert_eq!(status["network"]["address"], "10.0.0.2/24");
    assert_eq!(status["network"]["gateway"], "10.0.0.1");
    assert_eq!(status["node"], "edge-00000002");
}

#[test]
fn a_lease_that_is_not_renewed_is_lost_and_got_again() {
    let mut world = world();
    world.peer.set_dhcp(true);
    world.hub().put(b"key", b"value");
    world.wait_for(|event| matches!(event, Event::UpToDate { .. }));
    world.pass(600_000);
    assert!(!world.has_told(|event| matches!(event, Event::AddressLost)), "it is renewed");
    world.peer.set_dhcp(false);
    world.wait_for(|event| matches!(event, Event::AddressLost));
    let away =
        |event: &Event| matches!(event, Event::HubAway { reason: AwayReason::NoAddress, .. });
    assert!(world.until(1_000, |world| world.has_told(away)), "{:#?}", world.events);
    world.peer.set_dhcp(true);
    world.wait_for(|event| matches!(event, Event::UpToDate { .. }));
    assert_eq!(world.ask("GET key"), Reply::Bulk(b"value".to_vec()));
}
