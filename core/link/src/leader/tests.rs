use super::{Answer, Leader, LeaderConfig, LeaderEvent, SendError, Transmit};
use crate::close::CloseReason;
use crate::cursor::Cursor;
use crate::messages::{
    Ack, AnswerItem, Bye, Hello, Outcome, ProtocolRange, Served, Want, Welcome, write,
};
use crate::reason::{ByeReason, Refusal};
use crate::run::{RunRange, SealRange};
use crate::wire::{Kind, Reader};
use alloc::format;
use alloc::vec::Vec;
use serde::Serialize;
use unison_base::limits::RUN_BYTES_MAX;
use unison_base::{LogId, Lsn, SegmentId};

const SERVED: Served =
    Served { log: LogId([1; 16]), first: Lsn(1), durable: Lsn(100), segment_bytes: 65_536 };

fn hears<T: Serialize>(leader: &mut Leader, kind: Kind, body: &T) {
    let mut out = [0; 1_100];
    let bytes = write(&mut out, kind, body).unwrap();
    assert_eq!(leader.handle_bytes(&out[..bytes], 0), bytes);
}

fn want(ask: u32, window_bytes: u32) -> Want<'static> {
    Want { namespace: 0, ask, name: "a", cursor: Cursor::default(), window_bytes, filters: 0 }
}

fn greeted() -> Leader {
    let mut leader = Leader::new(LeaderConfig::new("hub".try_into().unwrap()), 0);
    let hello = Hello {
        protocol: ProtocolRange::OURS,
        node: "edge",
        token: "",
        role: 1,
        run_bytes_max: 10_000,
        interval_ms: 5_000,
    };
    hears(&mut leader, Kind::Hello, &hello);
    leader
}

/// Everything the leader has to say, and what it wants then.
fn says(leader: &mut Leader) -> (Vec<u8>, Transmit) {
    let (mut said, mut out) = (Vec::new(), [0; 1_100]);
    loop {
        match leader.poll_transmit(0, &mut out) {
            Transmit::Bytes(bytes) => said.extend_from_slice(&out[..bytes]),
            other => return (said, other),
        }
    }
}

fn events(leader: &mut Leader) -> usize {
    let mut count = 0;
    while leader.poll_event().is_some() {
        count += 1;
    }
    count
}

/// A leader that serves one namespace from its start and is asked to read.
fn serving(window_bytes: u32) -> Leader {
    let mut leader = greeted();
    assert!(matches!(leader.poll_event(), Some(LeaderEvent::Hello { .. })));
    leader.accept();
    hears(&mut leader, Kind::Follow, &want(1, window_bytes));
    assert!(matches!(leader.poll_event(), Some(LeaderEvent::Follow { namespace: 0, .. })));
    leader.answer(0, Answer::Serve(SERVED));
    let (_, next) = says(&mut leader);
    assert!(matches!(next, Transmit::Run { namespace: 0, from: Lsn(1), .. }));
    leader
}

fn range(first: u64, count: u32, bytes: u32) -> RunRange {
    let first = Lsn(first);
    RunRange { segment: SegmentId(1), offset: 64, first, count, segment_bytes: 65_536, bytes }
}

fn ack(durable: u64, applied: u64, taken_bytes: u64) -> Ack {
    let (durable, applied) = (Lsn(durable), Lsn(applied));
    Ack { namespace: 0, durable, applied, taken_bytes, window_bytes: 8_000 }
}

#[test]
fn nothing_happens_before_the_driver_has_decided() {
    let mut leader = greeted();
    assert!(matches!(leader.poll_event(), Some(LeaderEvent::Hello { .. })));
    hears(&mut leader, Kind::Follow, &want(1, 1_000));
    assert_eq!(leader.poll_event(), None);
    assert_eq!(says(&mut leader), (Vec::new(), Transmit::Idle));
    leader.dismiss(ByeReason::NotAllowed, 1_000);
    let (said, next) = says(&mut leader);
    let bye: Bye = Reader::open(&said).unwrap().only().unwrap();
    assert_eq!((bye.reason(), bye.retry_after_ms), (ByeReason::NotAllowed, 1_000));
    assert_eq!(next, Transmit::Close);
    let reason = CloseReason::Ours(ByeReason::NotAllowed);
    assert_eq!(leader.poll_event(), Some(LeaderEvent::Close { reason }));
    assert_eq!(leader.poll_event(), None);
}

#[test]
fn tokens_are_not_printed() {
    let token = crate::messages::Token::new("open sesame").unwrap();
    let hello = Hello {
        protocol: ProtocolRange::OURS,
        node: "edge",
        token: token.as_str(),
        role: 0,
        run_bytes_max: 1,
        interval_ms: 1,
    };
    let mut leader = Leader::new(LeaderConfig::new("hub".try_into().unwrap()), 0);
    hears(&mut leader, Kind::Hello, &hello);
    let event = leader.poll_event().unwrap();
    assert!(matches!(event, LeaderEvent::Hello { token: "open sesame", .. }));
    for printed in [format!("{event:?}"), format!("{hello:?}"), format!("{token:?}")] {
        assert!(!printed.contains("sesame"), "{printed}");
    }
}

#[test]
fn only_what_is_due_durable_and_small_enough_is_sent() {
    let mut leader = serving(1 << 20);
    let not_due = SendError::NotDue { expected: Lsn(1), found: Lsn(2) };
    assert_eq!(leader.run(0, &range(2, 1, 100)), Err(not_due));
    let not_durable = SendError::NotDurable { durable: Lsn(100) };
    assert_eq!(leader.run(0, &range(1, 101, 5_000)), Err(not_durable));
    let too_large = SendError::TooLarge { bytes: 10_001, limit: 10_000 };
    assert_eq!(leader.run(0, &range(1, 1, 10_001)), Err(too_large));
    assert_eq!(leader.run(0, &range(1, 0, 0)), Err(SendError::Empty));
    assert_eq!(leader.run(1, &range(1, 1, 100)), Err(SendError::NotServed));
    assert_eq!(leader.status(0).unwrap().sent, Lsn::ZERO);
    assert!(leader.run(0, &range(1, 100, 10_000)).is_ok());
    assert_eq!(leader.status(0).unwrap().sent, Lsn(100));
}

#[test]
fn what_has_gathered_goes_in_runs_of_bounded_size() {
    for (window_bytes, peer_max, bytes_max) in
        [(u32::MAX, u32::MAX, RUN_BYTES_MAX), (u32::MAX, 10_000, 10_000), (5_000, 10_000, 5_000)]
    {
        let mut leader = serving(window_bytes);
        leader.peer_run_bytes_max = peer_max;
        leader.nothing_to_send(0);
        leader.durable(0, Lsn(1_000_000));
        let run = Transmit::Run { namespace: 0, from: Lsn(1), bytes_max };
        assert_eq!(leader.poll_transmit(0, &mut [0; 1_100]), run);
    }
}

#[test]
fn a_message_that_stays_open_is_given_up_though_bytes_come() {
    let mut leader = greeted();
    events(&mut leader);
    leader.accept();
    let mut out = [0; 1_100];
    let bytes = write(&mut out, Kind::Follow, &want(1, 1_000)).unwrap();
    for (now_ms, byte) in (1..).step_by(1_000).zip(&out[..bytes - 1]) {
        leader.handle_bytes(&[*byte], now_ms);
        assert_eq!(leader.poll_event(), None);
        leader.handle_timeout(now_ms);
        if leader.phase == super::Phase::Closing {
            let reason = CloseReason::Stalled;
            assert_eq!(leader.poll_event(), Some(LeaderEvent::Close { reason }));
            assert!((20_000..23_000).contains(&now_ms), "{now_ms}");
            return;
        }
    }
    panic!("a byte a second was good enough");
}

#[test]
fn every_claim_of_an_acknowledgement_is_checked() {
    for (claim, honest) in [
        (ack(10, 10, 400), true),
        (ack(11, 10, 400), false),
        (ack(10, 11, 400), false),
        (ack(10, 10, 401), false),
    ] {
        let mut leader = serving(1 << 20);
        leader.run(0, &range(1, 10, 400)).unwrap();
        hears(&mut leader, Kind::Ack, &claim);
        let reason = CloseReason::FalseAck;
        let close = leader.poll_event() == Some(LeaderEvent::Close { reason });
        assert_eq!(close, !honest, "{claim:?}");
    }
}

#[test]
fn a_full_window_opens_again_by_a_quarter_and_not_by_crumbs() {
    let mut leader = serving(8_000);
    leader.run(0, &range(1, 8, 8_000)).unwrap();
    assert_eq!(says(&mut leader).1, Transmit::Idle);
    for (taken, opens) in [(1_000, None), (1_999, None), (2_000, Some(2_000))] {
        hears(&mut leader, Kind::Ack, &ack(1, 1, taken));
        events(&mut leader);
        let room = match says(&mut leader).1 {
            Transmit::Run { bytes_max, .. } => Some(bytes_max),
            _ => None,
        };
        assert_eq!(room, opens);
    }
}

#[test]
fn a_namespace_that_was_given_up_waits_for_the_next_request() {
    let mut leader = serving(1 << 20);
    let damaged = Refusal::Damaged { lsn: Lsn(1) };
    leader.answer(0, Answer::Refuse(damaged));
    assert_eq!(leader.run(0, &range(1, 1, 100)), Err(SendError::NotServed));
    assert_eq!(leader.seal(0, &SEAL), Err(SendError::NotServed));
    leader.answer(0, Answer::Serve(SERVED));
    let (said, next) = says(&mut leader);
    assert_eq!((answers(&said), next), (alloc::vec![(1, false)], Transmit::Idle));
    hears(&mut leader, Kind::Follow, &want(2, 1_000));
    events(&mut leader);
    leader.answer(0, Answer::Serve(SERVED));
    let (said, next) = says(&mut leader);
    assert_eq!(answers(&said), [(2, true)]);
    assert!(matches!(next, Transmit::Run { from: Lsn(1), .. }));
}

#[test]
fn a_namespace_that_comes_to_be_is_served_without_another_request() {
    let mut leader = greeted();
    events(&mut leader);
    leader.accept();
    hears(&mut leader, Kind::Follow, &want(1, 1_000));
    events(&mut leader);
    leader.answer(0, Answer::Refuse(Refusal::UnknownNamespace));
    assert_eq!(answers(&says(&mut leader).0), [(1, false)]);
    leader.answer(0, Answer::Serve(SERVED));
    assert_eq!(answers(&says(&mut leader).0), [(1, true)]);
}

const SEAL: SealRange = SealRange { segment: SegmentId(1), offset: 64, next_segment_bytes: 65_536 };

/// The answers of one Welcome: the request each belongs to, and whether it is served.
fn answers(said: &[u8]) -> Vec<(u32, bool)> {
    let bytes = 4 + u32::from_le_bytes(said[..4].try_into().unwrap()) as usize;
    let mut reader = Reader::open(&said[..bytes]).unwrap();
    reader.take::<Welcome<'_>>().unwrap();
    let mut answers = Vec::new();
    while !reader.is_empty() {
        let item: AnswerItem = reader.take().unwrap();
        answers.push((item.ask, matches!(item.outcome, Outcome::Serve(_))));
    }
    answers
}
