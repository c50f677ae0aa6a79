//! Connections that end at every byte: everything arrives once, in order, and little twice.

use crate::line::Fate;
use crate::world::{World, config};
use unison_base::Lsn;
use unison_link::Timing;

const RECORDS: usize = 100;
const RECORD_EXTRA: usize = 616;
const FRAME_BYTES: u64 = 656;

/// 64 KiB of frames in runs of up to 16 KiB, over a segment's end.
fn world() -> World {
    let mut config = config(Timing::default());
    config.run_bytes_max = 16 << 10;
    let mut world = World::new(config);
    world.lead("default", RECORDS, RECORD_EXTRA);
    world.follow("default");
    world
}

fn finish(world: &mut World) {
    for _ in 0..10 {
        world.settle();
        if world.converged() {
            return;
        }
        world.run_for(1_000);
    }
    panic!("not all arrived: {:?}", world.seen);
}

/// Cuts one connection there, lets the next one live, and returns what was sent too much.
fn cut(mut world: World, fate: Fate, clean_bytes: u64) -> u64 {
    world.fates.push_back(fate);
    finish(&mut world);
    let counters = world.follower.counters();
    assert_eq!(counters.records, RECORDS as u64, "{fate:?}");
    assert_eq!(counters.refused_runs, 0, "{fate:?}");
    assert!(world.seen.closes.is_empty() && world.seen.leader_closes.is_empty(), "{fate:?}");
    world.seen.down_bytes.saturating_sub(clean_bytes)
}

#[test]
fn cut_at_every_byte_in_both_directions() {
    let fresh = world();
    let mut clean = fresh.clone();
    clean.settle();
    assert!(clean.converged());
    let (down, up) = (clean.seen.down_bytes, clean.seen.up_bytes);
    assert!(clean.leader_logs["default"].frames_bytes() >= 64 << 10);
    let fates = (0..down)
        .map(|at| Fate { cut_down: Some(at), ..Fate::default() })
        .chain((0..up).map(|at| Fate { cut_up: Some(at), ..Fate::default() }));
    let extra: Vec<u64> = fates.map(|fate| cut(fresh.clone(), fate, down)).collect();
    let most = extra[..down as usize].iter().copied().max().unwrap();
    println!("{} cuts, {down} bytes down, {up} up, re-sent at most {most}", extra.len());
    // One record, and the messages of another handshake.
    assert!(most <= FRAME_BYTES + 300, "{most}");
}

/// Records that come one at a time, each acknowledged before the next.
fn tail(fate: Fate) -> World {
    let mut world = World::new(config(Timing::default()));
    world.lead("default", 1, 10);
    world.follow("default");
    world.fates.push_back(fate);
    for _ in 0..40 {
        world.append("default", 1, 10);
        world.settle();
    }
    finish(&mut world);
    world
}

#[test]
fn cut_at_every_byte_of_a_tail_and_its_acknowledgements() {
    let clean = tail(Fate::default());
    let (down, up) = (clean.seen.down_bytes, clean.seen.up_bytes);
    for at in 0..down {
        let world = tail(Fate { cut_down: Some(at), ..Fate::default() });
        assert_eq!(world.follower.counters().records, 41);
    }
    for at in 0..up {
        let world = tail(Fate { cut_up: Some(at), ..Fate::default() });
        assert_eq!(world.follower.counters().records, 41);
    }
    println!("{down} bytes down, {up} up");
    assert!(up > 500);
}

/// Links that never live long enough for a whole run.
#[test]
fn a_link_that_dies_every_few_kilobytes_still_gets_everything_across() {
    let mut config = config(Timing::default());
    config.run_bytes_max = 64 << 10;
    let mut world = World::new(config);
    world.lead("default", 1_000, RECORD_EXTRA);
    world.follow("default");
    let fate = Fate { cut_down: Some(3_000), ..Fate::default() };
    world.fates.extend((0..2_000).map(|_| fate));
    while !world.converged() && world.seen.attempts_ms.len() < 2_000 {
        world.run_for(1_000);
    }
    assert!(world.converged());
    let frames = world.leader_logs["default"].frames_bytes();
    let connections = world.seen.attempts_ms.len() as u64;
    println!(
        "{frames} bytes of frames in {connections} connections, {} sent",
        world.seen.down_bytes
    );
    assert!(connections <= frames / (3_000 - 300 - FRAME_BYTES) + 3, "{connections}");
}

/// Connections cut at random while the leader writes on.
#[test]
fn random_cuts_while_the_leader_writes() {
    let (mut cuts, mut records) = (0, 0);
    for seed in 0..200 {
        let mut prng = unison_base::prng::Prng::new(seed);
        let mut world = world();
        world.lead("second", 5, 40);
        world.follow("second");
        world.delay_ms = prng.below(50);
        world.chunk = prng.between(1, 3_000) as usize;
        for _ in 0..20 {
            let fate = match prng.below(3) {
                0 => Fate { cut_down: Some(prng.below(20_000)), ..Fate::default() },
                1 => Fate { cut_up: Some(prng.below(600)), ..Fate::default() },
                _ => Fate { cut_down: Some(prng.below(300)), ..Fate::default() },
            };
            world.fates.push_back(fate);
        }
        for _ in 0..30 {
            world.append("default", prng.below(4) as usize, prng.below(3_000) as usize);
            world.append("second", prng.below(4) as usize, prng.below(100) as usize);
            world.run_for(prng.below(3_000));
        }
        world.run_for(600_000);
        assert!(world.converged(), "seed {seed}");
        cuts += world.seen.attempts_ms.len() - 1;
        records += world.follower.counters().records;
        assert_ne!(world.follower_logs[0].last(), Lsn::ZERO);
    }
    println!("{cuts} cuts, {records} records");
    assert!(cuts > 1_000);
}

#[test]
fn what_one_connection_left_behind_does_not_disturb_the_next() {
    let mut world = world();
    world.settle();
    for round in 0..50 {
        world.append("default", 3, 100);
        world.delay_ms = 10;
        world.run_for(5);
        world.disconnect();
        world.delay_ms = round % 3;
        world.run_for(1_000);
        world.append("default", 1, 10);
        world.run_for(1_000);
    }
    assert!(world.converged());
    assert_eq!(world.follower.counters().refused_runs, 0);
}
