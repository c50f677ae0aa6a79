//! Streams of messages, and machines that hear them.

use crate::line::Fate;
use crate::log::FakeLog;
use crate::node::leader_events;
use crate::world::{World, config};
use unison_link::Timing;
use unison_link::messages::{Hello, ProtocolRange, write};
use unison_link::wire::Kind;

/// Two namespaces in segments of a few records each.
pub(crate) fn world() -> World {
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
pub(crate) fn leader_hears(fresh: &World, bytes: &[u8]) -> World {
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
pub(crate) fn silent() -> World {
    let mut world = World::new(config(Timing::default()));
    world.leader_logs = self::world().leader_logs;
    world.fates.push_back(Fate { cut_up: Some(u64::MAX), ..Fate::default() });
    world
}

pub(crate) fn message<T: serde::Serialize>(kind: Kind, body: &T) -> Vec<u8> {
    let mut out = [0; 2_048];
    write(&mut out, kind, body).map_or(Vec::new(), |bytes| out[..bytes].to_vec())
}

pub(crate) fn hello() -> Hello<'static> {
    Hello {
        protocol: ProtocolRange::OURS,
        node: "edge-1",
        token: "secret",
        role: 0,
        run_bytes_max: 1 << 20,
        interval_ms: 5_000,
    }
}

pub(crate) fn hello_message() -> Vec<u8> {
    message(Kind::Hello, &hello())
}
