//! Streams that were changed, cut, or made up: no panic, no wrong record, no growth.

use crate::log::FakeLog;
use crate::world::{Fate, World, config, leader_events};
use unison_base::prng::Prng;
use unison_base::{Hlc, LogId, Lsn, SegmentId};
use unison_link::messages::{
    Ack, AnswerItem, Beat, BeatItem, Bye, Echo, Hello, Outcome, ProtocolRange, Run, Seal, Served,
    Want, Welcome, write,
};
use unison_link::wire::{Kind, OPTIONAL, Writer};
use unison_link::{ByeReason, CloseReason, Cursor, Timing};

/// Two namespaces in segments of a few records each.
fn world() -> World {
    let mut config = config(Timing::default());
    config.run_bytes_max = 4_096;
    let mut world = World::new(config);
    world.leader_logs.insert("a".into(), FakeLog::new(1, 64 + 160));
    world.leader_logs.insert("b".into(), FakeLog::new(2, 4_096));
    world.lead("a", 6, 0);
    world.lead("b", 3, 5);
    world.follow("a");
    world.follow("b");
    world
}

/// What goes both ways until all is there and two beats have passed: down, then up.
pub(crate) fn tapes() -> (Vec<u8>, Vec<u8>) {
    let mut world = world();
    world.fates.push_back(Fate { record: true, ..Fate::default() });
    world.run_for(6_000);
    assert!(world.converged());
    let connection = world.connection.unwrap();
    (connection.down.tape.unwrap(), connection.up.tape.unwrap())
}

/// The messages of a tape, each with its place.
pub(crate) fn messages(tape: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let length = tape.get(at..at + 4)?;
        let bytes = 4 + u32::from_le_bytes(length.try_into().unwrap()) as usize;
        let message = (at, &tape[at..at + bytes]);
        at += bytes;
        Some(message)
    })
}

/// A follower that has just said Hello, and one that has heard nothing yet.
pub(crate) fn listening() -> World {
    let mut world = world();
    world.follower.connected(world.now_ms);
    world.follower.poll_transmit(world.now_ms, &mut [0; 2_048]);
    world
}

pub(crate) fn assert_nothing_wrong(world: &World, case: &str) {
    for (log, name) in world.follower_logs.iter().zip(["a", "b"]) {
        assert!(log.is_prefix_of(&world.leader_logs[name]), "{case}");
    }
}

pub(crate) fn follower_hears(fresh: &World, bytes: &[u8], case: &str) -> World {
    let mut world = fresh.clone();
    world.deliver_down(bytes);
    let mut out = [0; 2_048];
    while world.follower.poll_transmit(world.now_ms, &mut out) > 0 {}
    world.disconnect();
    assert_nothing_wrong(&world, case);
    world
}

/// A connection whose leader hears these bytes, chunked.
fn leader_hears(fresh: &World, bytes: &[u8]) -> World {
    let mut world = fresh.clone();
    world.turn();
    let mut connection = world.connection.take().unwrap();
    let mut left = bytes;
    while !left.is_empty() {
        let taken = connection.leader.handle_bytes(left, world.now_ms);
        left = &left[taken..];
        leader_events(&mut connection, &world.leader_logs, world.bugs, &mut world.seen);
    }
    connection.leader.poll_transmit(world.now_ms, &mut [0; 2_048]);
    world.connection = Some(connection);
    world
}

/// A world in which a connection opens and the follower never speaks.
fn silent() -> World {
    let mut world = World::new(config(Timing::default()));
    world.leader_logs = self::world().leader_logs;
    world.fates.push_back(Fate { cut_up: Some(u64::MAX), ..Fate::default() });
    world
}

#[test]
fn every_prefix() {
    let (down, up) = tapes();
    let fresh = listening();
    for length in 0..=down.len() {
        follower_hears(&fresh, &down[..length], "prefix");
    }
    let fresh = silent();
    for length in 0..=up.len() {
        leader_hears(&fresh, &up[..length]);
    }
    println!("{} and {} prefixes", down.len(), up.len());
}

#[test]
fn every_changed_byte_to_the_follower() {
    let (mut down, _) = tapes();
    let fresh = listening();
    let whole = follower_hears(&fresh, &down, "whole");
    assert!(whole.converged(), "the tape plays");
    let mut unseen = 0_u64;
    for at in 0..down.len() {
        for with in 1..=u8::MAX {
            down[at] ^= with;
            let world = follower_hears(&fresh, &down, "changed");
            let noticed = !world.seen.closes.is_empty() || !world.seen.faults.is_empty();
            // What is neither noticed nor taken in is waited for, which liveness ends.
            unseen += u64::from(!noticed && world.seen.beats == whole.seen.beats);
            down[at] ^= with;
        }
    }
    println!("{} changed bytes", down.len() * 255);
    assert_eq!((unseen, whole.seen.beats), (0, 2));
}

#[test]
fn every_changed_byte_to_the_leader() {
    let (_, mut up) = tapes();
    let fresh = silent();
    for at in 0..up.len() {
        for with in 1..=u8::MAX {
            up[at] ^= with;
            leader_hears(&fresh, &up);
            up[at] ^= with;
        }
    }
    println!("{} changed bytes", up.len() * 255);
}

/// After any damage on the way, in either direction, everything is there in the end.
#[test]
fn every_changed_bit_is_recovered_from() {
    let (down, up) = tapes();
    let fresh = world();
    let damages =
        |length: usize| (0..length as u64).flat_map(|at| (0..8).map(move |bit| (at, 1 << bit)));
    let fates = damages(down.len())
        .map(|damage| Fate { damage_down: Some(damage), ..Fate::default() })
        .chain(damages(up.len()).map(|damage| Fate { damage_up: Some(damage), ..Fate::default() }));
    let (mut count, mut connections) = (0, 0);
    for fate in fates {
        let mut world = fresh.clone();
        world.fates.push_back(fate);
        world.run_for(120_000);
        assert!(world.converged(), "{fate:?}: {:?}", world.seen);
        count += 1;
        connections += world.seen.attempts_ms.len();
    }
    println!("{count} changed bits, {connections} connections");
}

#[test]
fn random_bytes() {
    let mut prng = Prng::new(20);
    let (listening, silent) = (listening(), silent());
    for _ in 0..20_000 {
        let mut bytes = vec![0; prng.below(200) as usize];
        prng.fill(&mut bytes);
        // Half of them with a plausible length and kind.
        if prng.chance(50) && bytes.len() > 5 {
            let length = (bytes.len() as u32 - 4).to_le_bytes();
            bytes[..4].copy_from_slice(&length);
            bytes[4] = prng.below(16) as u8;
        }
        follower_hears(&listening, &bytes, "random");
        leader_hears(&silent, &bytes);
    }
}

fn number(prng: &mut Prng) -> u64 {
    match prng.below(4) {
        0 => prng.below(8),
        1 => prng.below(400),
        2 => u64::MAX - prng.below(3),
        _ => prng.next_u64() >> prng.below(64),
    }
}

fn small(prng: &mut Prng) -> u32 {
    number(prng) as u32
}

fn message<T: serde::Serialize>(kind: Kind, body: &T) -> Vec<u8> {
    let mut out = [0; 2_048];
    write(&mut out, kind, body).map_or(Vec::new(), |bytes| out[..bytes].to_vec())
}

/// Messages of a leader that follow the format and mean nonsense.
fn leader_nonsense(prng: &mut Prng, log: &FakeLog) -> Vec<u8> {
    let namespace = prng.below(3) as u32;
    match prng.below(6) {
        0 => {
            let outcome = match prng.below(2) {
                0 => Outcome::Serve(Served {
                    log: LogId([prng.below(3) as u8; 16]),
                    first: Lsn(number(prng)),
                    durable: Lsn(number(prng)),
                    segment_bytes: number(prng),
                }),
                _ => Outcome::Refused { reason: small(prng) as u8, detail: number(prng) },
            };
            let welcome = Welcome { protocol: 1, node: "x", interval_ms: small(prng) };
            message(Kind::Welcome, &(welcome, AnswerItem { namespace, ask: 1, outcome }))
        }
        1 => {
            let (segment, offset) = (SegmentId(small(prng)), small(prng));
            message(
                Kind::Seal,
                &Seal { namespace, segment, offset, next_segment_bytes: number(prng) },
            )
        }
        2 => {
            let echo =
                prng.chance(50).then(|| Echo { time_ms: number(prng), held_ms: small(prng) });
            let (time_ms, interval_ms) = (number(prng), small(prng));
            let beat = Beat { time_ms, echo, hlc: Hlc(number(prng)), interval_ms };
            message(Kind::Beat, &(beat, BeatItem { namespace, durable: Lsn(number(prng)) }))
        }
        3 if prng.chance(10) => {
            message(Kind::Bye, &Bye { reason: small(prng) as u8, retry_after_ms: small(prng) })
        }
        _ => run_of_real_frames(prng, log, namespace),
    }
}

/// Good frames of the log of namespace 0, under a head that is right or wrong.
fn run_of_real_frames(prng: &mut Prng, log: &FakeLog, namespace: u32) -> Vec<u8> {
    let from = Lsn(prng.between(1, log.last().0));
    let Some(crate::log::Piece::Run(range, frames)) =
        crate::log::Reading::new(log, from).read(log, prng.below(200) as usize)
    else {
        return Vec::new();
    };
    let mut run = Run {
        namespace,
        segment: range.segment,
        offset: range.offset,
        first: range.first,
        count: range.count,
        segment_bytes: range.segment_bytes,
        durable: log.last(),
        frame_bytes: range.bytes,
    };
    match prng.below(8) {
        // At a segment's start the number is the leader's to choose.
        0 if run.offset > 64 => run.segment = SegmentId(small(prng)),
        1 => run.offset = small(prng),
        2 => run.first = Lsn(number(prng)),
        3 => run.count = small(prng),
        4 => run.segment_bytes = number(prng),
        5 => run.durable = Lsn(number(prng)),
        _ => run.namespace = 0,
    }
    let mut out = [0; 128];
    let bytes = unison_link::messages::write_run(&mut out, &run).unwrap();
    [&out[..bytes], &frames].concat()
}

/// Both namespaces are served, as the leader's first word.
fn welcomes() -> Vec<u8> {
    let welcome = Welcome { protocol: 1, node: "hub", interval_ms: 5_000 };
    let item = |namespace| {
        let log = LogId([1; 16]);
        let served = Served { log, first: Lsn(1), durable: Lsn(6), segment_bytes: 224 };
        AnswerItem { namespace, ask: 1, outcome: Outcome::Serve(served) }
    };
    message(Kind::Welcome, &(welcome, item(0), item(1)))
}

#[test]
fn well_formed_nonsense_from_a_leader() {
    let fresh = listening();
    let log = fresh.leader_logs["a"].clone();
    let (mut handed, mut refused) = (0, 0);
    for seed in 0..20_000 {
        let mut prng = Prng::new(seed);
        let mut world = fresh.clone();
        world.deliver_down(&welcomes());
        for _ in 0..prng.between(2, 12) {
            let bytes = leader_nonsense(&mut prng, &log);
            world.deliver_down(&bytes);
            world.follower.poll_transmit(world.now_ms, &mut [0; 2_048]);
            world.follower.handle_timeout(world.now_ms + 100);
        }
        assert!(world.follower_logs[0].is_prefix_of(&log), "seed {seed}");
        handed += world.follower.counters().records;
        refused += world.follower.counters().refused_runs;
    }
    println!("{handed} records handed out, {refused} runs refused");
    assert!(handed > 500 && refused > 5_000);
}

fn follower_nonsense(prng: &mut Prng) -> Vec<u8> {
    let namespace = match prng.below(10) {
        0 => number(prng) as u32,
        _ => prng.below(3) as u32,
    };
    let (lsn, crc) = (Lsn(number(prng)), small(prng));
    let cursor = Cursor { log: LogId([prng.below(3) as u8; 16]), lsn, crc, ..Cursor::default() };
    let filters = u8::from(prng.chance(3));
    let want =
        Want { namespace, ask: small(prng), name: "a", cursor, window_bytes: small(prng), filters };
    match prng.below(4) {
        0 => message(Kind::Follow, &Want { cursor: Cursor::default(), ..want }),
        1 => message(Kind::Follow, &want),
        2 => {
            let echo = Some(Echo { time_ms: number(prng), held_ms: small(prng) });
            let (time_ms, interval_ms) = (number(prng), small(prng));
            message(Kind::Beat, &Beat { time_ms, echo, hlc: Hlc(number(prng)), interval_ms })
        }
        _ => message(
            Kind::Ack,
            &Ack {
                namespace,
                durable: Lsn(number(prng)),
                applied: Lsn(number(prng)),
                taken_bytes: number(prng),
                window_bytes: small(prng),
            },
        ),
    }
}

#[test]
fn well_formed_nonsense_from_a_follower() {
    let fresh = leader_hears(&silent(), &tapes_hello());
    let mut false_acks = 0;
    for seed in 0..20_000 {
        let mut prng = Prng::new(seed);
        let mut world = fresh.clone();
        for _ in 0..prng.between(2, 12) {
            let bytes = follower_nonsense(&mut prng);
            let Some(mut connection) = world.connection.take() else { break };
            assert_eq!(connection.leader.handle_bytes(&bytes, world.now_ms), bytes.len());
            leader_events(&mut connection, &world.leader_logs, world.bugs, &mut world.seen);
            world.connection = Some(connection);
            while world.leader_transmits() {}
        }
        let false_ack = world.seen.leader_closes.contains(&CloseReason::FalseAck);
        false_acks += u64::from(false_ack);
    }
    println!("{false_acks} false acknowledgements");
    assert!(false_acks > 1_000);
}

fn hello() -> Hello<'static> {
    Hello {
        protocol: ProtocolRange::OURS,
        node: "edge-1",
        token: "secret",
        role: 0,
        run_bytes_max: 1 << 20,
        interval_ms: 5_000,
    }
}

fn tapes_hello() -> Vec<u8> {
    message(Kind::Hello, &hello())
}

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
        let expected = CloseReason::Wire(unison_link::wire::WireError::UnknownKind { kind });
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
        [tapes_hello(), message(Kind::Follow, &want)].concat()
    };
    let world = leader_hears(&silent(), &follow(9_999));
    assert!(world.seen.leader_closes.is_empty());
    let world = leader_hears(&silent(), &follow(10_000));
    assert_eq!(world.seen.leader_closes, [CloseReason::TooManyNamespaces]);
}

#[test]
fn a_stream_that_comes_twice_is_taken_once() {
    let (down, _) = tapes();
    let world = follower_hears(&listening(), &down.repeat(2), "twice");
    assert!(world.converged());
    let counters = world.follower.counters();
    assert_eq!((counters.records, counters.duplicate_records), (9, 9));
    assert!(world.seen.faults.is_empty());
}

/// The streams of three connections, one after the other, in every order and more than once.
#[test]
fn whole_connections_in_any_order() {
    let mut world = world();
    let mut streams = Vec::new();
    for _ in 0..3 {
        world.fates.push_back(Fate { record: true, ..Fate::default() });
        world.run_for(1_000);
        streams.push(world.connection.as_ref().unwrap().down.tape.clone().unwrap());
        world.disconnect();
        world.lead("a", 4, 0);
        world.lead("b", 4, 9);
    }
    let mut fresh = self::world();
    fresh.leader_logs.clone_from(&world.leader_logs);
    let mut whole = 0;
    for order in 0..3_usize.pow(5) {
        let mut heard = fresh.clone();
        for turn in 0..5 {
            heard.follower.connected(heard.now_ms);
            heard.follower.poll_transmit(heard.now_ms, &mut [0; 2_048]);
            heard.deliver_down(&streams[order / 3_usize.pow(turn) % 3]);
            heard.disconnect();
            assert_nothing_wrong(&heard, "reordered");
        }
        whole += u64::from(heard.follower_logs[0].last() == Lsn(14));
        assert!(heard.seen.faults.len() <= 10);
    }
    println!("243 orders, {whole} with all three in their place");
    assert!(whole > 0 && whole < 243);
}
