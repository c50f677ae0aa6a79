//! Streams that were changed, cut, or made of chance: no panic, no wrong record.

use crate::line::Fate;
use crate::tape::{
    assert_nothing_wrong, follower_hears, leader_hears, listening, silent, tapes, world,
};
use unison_base::Lsn;
use unison_base::prng::Prng;

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
    let mut world = self::world();
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
    // The first three turns have to be right, what comes in the last two does not matter.
    assert_eq!(whole, 9);
}
