//! Peers of other versions, unknown kinds, numbers out of range.

use crate::tape::{
    follower_hears, hello, hello_message, leader_hears, listening, message, silent, tapes,
};
use unison_link::messages::{Bye, Hello, ProtocolRange, Want, Welcome};
use unison_link::wire::{Kind, OPTIONAL, WireError, Writer};
use unison_link::{ByeReason, CloseReason, Cursor};

#[test]
fn versions_without_overlap_part_and_say_why() {
    let range = ProtocolRange { min: 2, max: 9 };
    let newer = message(Kind::Hello, &(range, [0xFF_u8; 32]));
    let mut world = leader_hears(&silent(), &newer);
    assert_eq!(world.seen.leader_closes, [CloseReason::Version]);
    let older = ProtocolRange { min: 0, max: 0 };
    let older = message(Kind::Hello, &Hello { protocol: older, ..hello() });
    world = leader_hears(&silent(), &older);
    assert_eq!(world.seen.leader_closes, [CloseReason::Version]);
    let wider = ProtocolRange { min: 0, max: 7 };
    let wider = message(Kind::Hello, &Hello { protocol: wider, ..hello() });
    world = leader_hears(&silent(), &wider);
    assert!(world.seen.leader_closes.is_empty());

    let welcome = Welcome { protocol: 9, node: "hub", interval_ms: 1 };
    let world = follower_hears(&listening(), &message(Kind::Welcome, &welcome), "version");
    assert_eq!(world.seen.closes, [CloseReason::Version]);
}

#[test]
fn a_leader_that_parts_over_the_version_is_understood() {
    let bye = Bye { reason: ByeReason::Version.encode(), retry_after_ms: 0 };
    let world = follower_hears(&listening(), &message(Kind::Bye, &bye), "bye");
    assert_eq!(world.seen.closes, [CloseReason::Bye(ByeReason::Version)]);
    assert!(world.follower.reconnect_at().is_some());
}

/// A message of a kind that is not known here.
fn unknown(kind: u8) -> Vec<u8> {
    let mut out = [0; 64];
    let mut writer = Writer::begin(&mut out, Kind::Ack).unwrap();
    writer.put(&[1_u8, 2, 3]);
    let bytes = writer.finish(0).unwrap();
    out[4] = kind;
    let check = unison_base::checksum::crc32c(&out[..bytes - 4]);
    out[bytes - 4..bytes].copy_from_slice(&check.to_le_bytes());
    out[..bytes].to_vec()
}

#[test]
fn unknown_kinds_are_skipped_when_optional_and_refused_otherwise() {
    let (down, up) = tapes();
    for kind in [OPTIONAL, OPTIONAL | 3, OPTIONAL | 12, u8::MAX] {
        let world =
            follower_hears(&listening(), &[unknown(kind), down.clone()].concat(), "optional");
        assert!(world.converged());
        assert_eq!(world.follower.counters().skipped_messages, 1);
        let world = leader_hears(&silent(), &[unknown(kind), up.clone()].concat());
        let leader = &world.connection.as_ref().unwrap().leader;
        assert_eq!(leader.counters().skipped_messages, 1);
        assert_eq!(leader.counters().requests, 2);
    }
    for kind in [0, 4, 6, 7, 8, 13, 127] {
        let expected = CloseReason::Wire(WireError::UnknownKind { kind });
        let world =
            follower_hears(&listening(), &[unknown(kind), down.clone()].concat(), "mandatory");
        assert_eq!(world.seen.closes, [expected]);
        let world = leader_hears(&silent(), &[unknown(kind), up.clone()].concat());
        assert_eq!(world.seen.leader_closes, [expected]);
    }
}

#[test]
fn a_high_namespace_number_costs_little_and_too_high_a_one_the_connection() {
    let follow = |namespace| {
        let cursor = Cursor::default();
        let want = Want { namespace, ask: 1, name: "a", cursor, window_bytes: 1, filters: 0 };
        [hello_message(), message(Kind::Follow, &want)].concat()
    };
    let world = leader_hears(&silent(), &follow(9_999));
    assert!(world.seen.leader_closes.is_empty());
    let world = leader_hears(&silent(), &follow(10_000));
    assert_eq!(world.seen.leader_closes, [CloseReason::TooManyNamespaces]);
}

#[test]
fn filters_and_names_that_cannot_be_are_refused() {
    let cursor = Cursor::default();
    let want = Want { namespace: 0, ask: 1, name: "a", cursor, window_bytes: 1, filters: 0 };
    let body = WireError::Body { kind: Kind::Follow as u8 };
    for wrong in
        [Want { filters: 1, ..want }, Want { name: "../a", ..want }, Want { name: "", ..want }]
    {
        let stream = [hello_message(), message(Kind::Follow, &wrong)].concat();
        let world = leader_hears(&silent(), &stream);
        assert_eq!(world.seen.leader_closes, [CloseReason::Wire(body)], "{wrong:?}");
    }
}
