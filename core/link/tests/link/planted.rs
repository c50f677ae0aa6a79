//! The checks are checked: bugs on purpose, and what finds them.

use crate::log::{FakeLog, Piece, Reading};
use crate::tape::{assert_nothing_wrong, follower_hears, listening, messages, tapes};
use crate::world::{World, config};
use std::panic::{AssertUnwindSafe, catch_unwind};
use unison_base::checksum::crc32c;
use unison_base::{Lsn, Position};
use unison_link::messages::Run;
use unison_link::wire::Kind;
use unison_link::{CloseReason, Divergence, LogEnd, RunFault, SendError, Timing};

/// The end of `log` as a driver with an off-by-one error reports it.
fn one_too_many(log: &FakeLog) -> LogEnd {
    let mut end = log.end();
    end.cursor.lsn = end.cursor.lsn.next();
    end
}

fn followed() -> World {
    let mut world = World::new(config(Timing::default()));
    world.lead("default", 10, 100);
    world.follow("default");
    world.settle();
    world
}

#[test]
fn a_cursor_of_one_record_too_many_is_a_divergence() {
    let mut world = followed();
    let end = one_too_many(&world.follower_logs[0]);
    world.follower.restart(0, end, world.now_ms);
    world.settle();
    assert_eq!(world.seen.diverged, [(0, Divergence::Ahead { durable: Lsn(10) })]);
    world.append("default", 10, 100);
    world.follower.restart(0, end, world.now_ms);
    world.settle();
    assert_eq!(world.seen.diverged[1], (0, Divergence::Frame));
    assert_eq!(world.follower_logs[0].last(), Lsn(10));
}

/// With a leader that takes every cursor at its word, the same bug loses a record, which the tests'
/// own log notices.
#[test]
fn unjudged_cursors_would_be_noticed() {
    let mut world = followed();
    world.bugs.trusting = true;
    world.append("default", 10, 100);
    world.settle();
    world.disconnect();
    world.append("default", 10, 100);
    let mut end = one_too_many(&world.follower_logs[0]);
    end.next = world.leader_logs["default"].frame_at(Lsn(22)).unwrap().0;
    world.follower.restart(0, end, world.now_ms);
    let found = catch_unwind(AssertUnwindSafe(|| world.run_for(10_000)));
    assert!(found.is_err(), "record 21 is missing and nobody cried");
}

#[test]
fn a_driver_that_reads_one_record_late_cannot_send() {
    let mut world = World::new(config(Timing::default()));
    world.lead("default", 10, 100);
    world.bugs.late_by = 1;
    world.follow("default");
    world.settle();
    let gap = SendError::NotDue { expected: Lsn(1), found: Lsn(2) };
    assert_eq!(world.seen.send_errors, [gap]);
    assert_eq!(world.follower_logs[0].last(), Lsn::ZERO);
}

#[test]
fn an_acknowledgement_of_one_record_too_many_ends_the_connection() {
    let mut world = followed();
    world.append("default", 1, 10);
    world.bugs.false_acks = true;
    world.settle();
    assert_eq!(world.seen.leader_closes, [CloseReason::FalseAck]);
}

/// A driver that claims more than it was given does not get it onto the wire.
#[test]
fn a_driver_cannot_acknowledge_what_it_was_not_given() {
    let mut world = followed();
    world.follower.appended(0, Lsn(11), Lsn(11), world.now_ms);
    world.append("default", 5, 10);
    world.settle();
    assert!(world.seen.leader_closes.is_empty() && world.converged());
}

/// A leader that serves another log than the cursor's: the follower does not mix the two.
#[test]
fn a_leader_that_ignores_the_log_id_is_not_followed() {
    let mut world = followed();
    world.disconnect();
    world.bugs.trusting = true;
    world.leader_logs.insert("default".into(), FakeLog::new(9, 65_536));
    world.append("default", 20, 100);
    world.run_for(60_000);
    assert_eq!(world.seen.diverged, [(0, Divergence::Log)]);
    assert_eq!(world.follower_logs[0].last(), Lsn(10));
}

/// Positions in the tape of the frames of the last Run of namespace 1, whose records have a few
/// bytes that mean nothing to the machines.
fn frames_of_b(tape: &[u8]) -> (usize, usize) {
    let runs = messages(tape).filter(|(_, message)| message[4] == Kind::Run as u8);
    let of_b = runs.filter_map(|(at, message)| {
        let (run, frames_at) = Run::open(message).unwrap();
        (run.namespace == 1).then_some((at + frames_at, message.len() - frames_at))
    });
    of_b.last().unwrap()
}

#[test]
fn a_changed_record_with_a_matching_checksum_would_be_noticed() {
    let (mut down, _) = tapes();
    let (at, _) = frames_of_b(&down);
    let payload = u32::from_le_bytes(down[at + 4..at + 8].try_into().unwrap()) as usize;
    down[at + 8 + payload - 1] ^= 1;
    let fresh = listening();
    let honest = follower_hears(&fresh, &down, "checksum as it was");
    assert!(matches!(honest.seen.faults[..], [RunFault::Frame { .. }]));
    // As if the checksum were not looked at.
    let crc = crc32c(&down[at + 4..at + 8 + payload]);
    down[at..at + 4].copy_from_slice(&crc.to_le_bytes());
    let found = catch_unwind(AssertUnwindSafe(|| follower_hears(&fresh, &down, "checksum off")));
    assert!(found.is_err(), "a wrong record was handed out and nobody cried");
}

#[test]
fn a_record_in_the_wrong_namespace_would_be_noticed() {
    let mut world = listening();
    let log = world.leader_logs["b"].clone();
    let Some(Piece::Run(range, frames)) = Reading::new(&log, Lsn(1)).read(&log, 1_000) else {
        panic!("no run");
    };
    world.follower_logs[0].append_run(&range, &frames);
    let found = catch_unwind(AssertUnwindSafe(|| assert_nothing_wrong(&world, "foreign")));
    assert!(found.is_err());
}

#[test]
fn a_record_at_the_wrong_place_would_be_noticed() {
    let mut log = FakeLog::new(1, 65_536);
    log.append(10);
    log.append(10);
    let Some(Piece::Run(mut range, frames)) = Reading::new(&log, Lsn(2)).read(&log, 1_000) else {
        panic!("no run");
    };
    let mut copy = log.clone();
    copy.cut_after(Lsn(1));
    let right = Position { segment: range.segment, offset: range.offset };
    assert_eq!(copy.end().next, right);
    range.offset += 8;
    assert!(catch_unwind(AssertUnwindSafe(|| copy.append_run(&range, &frames))).is_err());
}
