use super::{FollowerConfig, FollowerEvent, HeapFollower, LinkState, Standing};
use crate::cursor::LogEnd;
use crate::messages::{
    Ack, AnswerItem, Hello, Outcome, Role, Run, Served, Token, Want, Welcome, write, write_run,
};
use crate::pulse::Timing;
use crate::reason::Refusal;
use crate::wire::{Kind, Reader};
use alloc::vec;
use alloc::vec::Vec;
use serde::Serialize;
use unison_base::frame::write_frame;
use unison_base::{LogId, Lsn, NamespaceName, SegmentId};

const FRAME: usize = 40;
const LOG: LogId = LogId([1; 16]);

fn frame(lsn: u64) -> [u8; FRAME] {
    let mut record = [0; 24];
    record[..4].copy_from_slice(&12_u32.to_le_bytes());
    record[4..6].copy_from_slice(&6_u16.to_le_bytes());
    record[6..8].copy_from_slice(&12_u16.to_le_bytes());
    record[8..10].copy_from_slice(&4_u16.to_le_bytes());
    record[12..16].copy_from_slice(&8_i32.to_le_bytes());
    record[16..].copy_from_slice(&lsn.to_le_bytes());
    let mut frame = [0; FRAME];
    write_frame(&record, &mut frame).unwrap();
    frame
}

/// A Run of these records, at their places in segment 1.
fn run(first: u64, count: u64) -> Vec<u8> {
    let frames: Vec<u8> = (first..first + count).flat_map(frame).collect();
    let run = Run {
        namespace: 0,
        segment: SegmentId(1),
        offset: 64 + (u32::try_from(first).unwrap() - 1) * 40,
        first: Lsn(first),
        count: u32::try_from(count).unwrap(),
        segment_bytes: 65_536,
        durable: Lsn(100),
        frame_bytes: u32::try_from(frames.len()).unwrap(),
    };
    let mut out = [0; 128];
    let head = write_run(&mut out, &run).unwrap();
    [&out[..head], &frames].concat()
}

fn follower() -> HeapFollower {
    let config = FollowerConfig {
        node: "edge".try_into().unwrap(),
        token: Token::default(),
        role: Role::Relay,
        window_bytes: 8_000,
        run_bytes_max: 10_000,
        timing: Timing::default(),
    };
    let mut follower = HeapFollower::new(config, vec![0; 2_048], Vec::new(), 1, 0).unwrap();
    let end = LogEnd::empty(LogId::default());
    follower.follow(NamespaceName::new("a").unwrap(), end).unwrap();
    follower.connected(0);
    follower
}

/// All messages the follower has to say.
fn says(follower: &mut HeapFollower) -> Vec<u8> {
    let mut out = [0; 2_048];
    let bytes = follower.poll_transmit(0, &mut out);
    out[..bytes].to_vec()
}

fn acks(said: &[u8]) -> Vec<Ack> {
    let mut acks = Vec::new();
    let mut rest = said;
    while !rest.is_empty() {
        let (message, left) =
            rest.split_at(4 + u32::from_le_bytes(rest[..4].try_into().unwrap()) as usize);
        if message[4] == Kind::Ack as u8 {
            acks.push(Reader::open(message).unwrap().only().unwrap());
        }
        rest = left;
    }
    acks
}

fn message<T: Serialize>(kind: Kind, body: &T) -> Vec<u8> {
    let mut out = [0; 1_100];
    let bytes = write(&mut out, kind, body).unwrap();
    out[..bytes].to_vec()
}

fn answer(ask: u32, outcome: Outcome) -> Vec<u8> {
    let welcome = Welcome { protocol: 1, node: "hub", interval_ms: 5_000 };
    message(Kind::Welcome, &(welcome, AnswerItem { namespace: 0, ask, outcome }))
}

fn serve(ask: u32) -> Vec<u8> {
    let served = Served { log: LOG, first: Lsn(1), durable: Lsn(100), segment_bytes: 65_536 };
    answer(ask, Outcome::Serve(served))
}

/// Hands bytes in and returns the records that came out: first and count of each run.
fn hears(follower: &mut HeapFollower, bytes: &[u8]) -> Vec<(u64, u32)> {
    let mut runs = Vec::new();
    let mut left = bytes;
    while !left.is_empty() {
        left = &left[follower.handle_bytes(left, 0)..];
        while let Some(event) = follower.poll_event() {
            if let FollowerEvent::Run { range, frames, .. } = event {
                assert_eq!(frames[..FRAME], frame(range.first.0));
                runs.push((range.first.0, range.count));
            }
        }
    }
    runs
}

#[test]
fn answers_to_earlier_requests_and_what_follows_them_are_void() {
    let mut follower = follower();
    says(&mut follower);
    assert_eq!(hears(&mut follower, &serve(1)), []);
    assert_eq!(hears(&mut follower, &run(1, 2)), [(1, 2)]);
    follower.refused(0, LogEnd::empty(LOG), 0);
    // The request is not even sent, and runs are on their way.
    assert_eq!(hears(&mut follower, &[serve(1), run(3, 1)].concat()), []);
    says(&mut follower);
    assert_eq!(hears(&mut follower, &[serve(1), run(4, 1)].concat()), []);
    assert_eq!(follower.counters().stale_runs, 2);
    assert_eq!(hears(&mut follower, &[serve(2), run(1, 3)].concat()), [(1, 3)]);
    assert_eq!(follower.counters().refused_runs, 1);
}

#[test]
fn window_bytes_come_free_when_records_are_durable() {
    let mut follower = follower();
    says(&mut follower);
    hears(&mut follower, &serve(1));
    let first = acks(&says(&mut follower));
    assert_eq!((first[0].durable, first[0].taken_bytes), (Lsn::ZERO, 0), "an Ack follows at once");
    for lsn in 1..=3 {
        hears(&mut follower, &run(lsn, 1));
    }
    assert!(acks(&says(&mut follower)).is_empty(), "nothing is durable yet");
    follower.appended(0, Lsn(1), Lsn(1), 0);
    assert_eq!(acks(&says(&mut follower))[0].taken_bytes, 40);
    follower.appended(0, Lsn(2), Lsn(1), 0);
    assert_eq!(acks(&says(&mut follower))[0].taken_bytes, 40);
    hears(&mut follower, &run(4, 1));
    follower.appended(0, Lsn(3), Lsn(3), 0);
    let ack = acks(&says(&mut follower))[0];
    assert_eq!((ack.taken_bytes, ack.durable, ack.window_bytes), (120, Lsn(3), 8_000));
    follower.appended(0, Lsn(4), Lsn(4), 0);
    follower.appended(0, Lsn(4), Lsn(4), 0);
    assert_eq!(acks(&says(&mut follower)), [Ack { taken_bytes: 160, ..ack_of(4) }]);
}

fn ack_of(lsn: u64) -> Ack {
    let lsn = Lsn(lsn);
    Ack { namespace: 0, durable: lsn, applied: lsn, taken_bytes: 0, window_bytes: 8_000 }
}

#[test]
fn repeated_records_free_the_window_too() {
    let mut follower = follower();
    says(&mut follower);
    hears(&mut follower, &[serve(1), run(1, 3)].concat());
    follower.appended(0, Lsn(3), Lsn(3), 0);
    says(&mut follower);
    assert_eq!(hears(&mut follower, &run(1, 3)), []);
    assert_eq!(acks(&says(&mut follower))[0].taken_bytes, 240);
    assert_eq!(hears(&mut follower, &run(2, 3)), [(4, 1)]);
    assert_eq!(follower.counters().duplicate_records, 5);
}

#[test]
fn whole_frames_of_a_cut_run_come_after_the_cut() {
    for cut in 0..=run(1, 5).len() {
        let mut follower = follower();
        says(&mut follower);
        hears(&mut follower, &serve(1));
        let message = run(1, 5);
        let head = message.len() - 5 * FRAME;
        let before = hears(&mut follower, &message[..cut]);
        follower.disconnected(0);
        let mut after = 0;
        while let Some(FollowerEvent::Run { range, frames, .. }) = follower.poll_event() {
            assert_eq!((range.first, frames.len()), (Lsn(1), range.count as usize * FRAME));
            after += range.count;
        }
        let whole = u32::try_from(cut.saturating_sub(head) / FRAME).unwrap();
        let all = cut == message.len();
        assert_eq!((before.len(), after), if all { (1, 0) } else { (0, whole) }, "cut at {cut}");
        follower.connected(0);
        let said = says(&mut follower);
        let mut reader = Reader::open(&said).unwrap();
        reader.take::<Hello<'_>>().unwrap();
        let want: Want<'_> = reader.only().unwrap();
        assert_eq!(want.cursor.lsn.0, u64::from(if all { 5 } else { whole }));
    }
}

#[test]
fn a_namespace_that_is_served_in_the_end_needs_no_second_request() {
    let mut follower = follower();
    says(&mut follower);
    let (reason, detail) = Refusal::UnknownNamespace.encode();
    hears(&mut follower, &answer(1, Outcome::Refused { reason, detail }));
    let standing = follower.lag(0, 0).unwrap().standing;
    assert_eq!(standing, Standing::Waiting(Refusal::UnknownNamespace));
    assert_eq!(hears(&mut follower, &[serve(1), run(1, 1)].concat()), [(1, 1)]);
}

#[test]
fn a_message_that_stays_open_is_given_up_though_bytes_come() {
    let mut follower = follower();
    says(&mut follower);
    hears(&mut follower, &serve(1));
    let message = run(1, 200);
    let mut now_ms = 0;
    hears(&mut follower, &message[..100]);
    for byte in &message[100..] {
        now_ms += 1_000;
        follower.handle_bytes(&[*byte], now_ms);
        while follower.poll_event().is_some() {}
        follower.handle_timeout(now_ms);
        if follower.state() == LinkState::Closing {
            // The patience of a link whose round trip is not known, and 16 s for 8 kB.
            assert!((36_000..40_000).contains(&now_ms), "{now_ms}");
            return;
        }
    }
    panic!("a byte a second was good enough");
}

#[test]
fn without_intervals_there_is_no_endless_beat() {
    let mut follower = follower();
    follower.config.timing.beat_ms = 0;
    follower.connected(0);
    says(&mut follower);
    hears(&mut follower, &serve(2));
    assert!(says(&mut follower).len() < 200);
}
