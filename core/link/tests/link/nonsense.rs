//! Messages that follow the format and mean nonsense: no panic, no wrong record.

use crate::log::FakeLog;
use crate::node::leader_events;
use crate::tape::{hello_message, leader_hears, listening, message, silent};
use unison_base::prng::Prng;
use unison_base::{Hlc, LogId, Lsn, SegmentId};
use unison_link::messages::{
    Ack, AnswerItem, Beat, BeatItem, Bye, Echo, Outcome, Run, Seal, Served, Want, Welcome,
};
use unison_link::wire::Kind;
use unison_link::{CloseReason, Cursor};

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
    let fresh = leader_hears(&silent(), &hello_message());
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
