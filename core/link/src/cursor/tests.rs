use super::{Cursor, Verdict, judge};
use crate::reason::{Divergence, Refusal};
use unison_base::{LogId, Lsn, Position, SegmentId};

const LOG: LogId = LogId([7; 16]);
const AT: Position = Position { segment: SegmentId(2), offset: 128 };

fn cursor(lsn: u64) -> Cursor {
    Cursor { log: LOG, lsn: Lsn(lsn), position: AT, crc: 99 }
}

/// The leader holds 10 to 20, and every frame lies at the same place with the same checksum.
fn verdict(cursor: Cursor) -> Verdict {
    judge(&cursor, LOG, Lsn(10), Lsn(20), |_| Some((AT, 99)))
}

#[test]
fn a_prefix_of_the_log_is_served() {
    assert_eq!(verdict(cursor(15)), Verdict::Serve { from: Lsn(16) });
    assert_eq!(verdict(cursor(20)), Verdict::Serve { from: Lsn(21) });
    assert_eq!(verdict(cursor(9)), Verdict::Serve { from: Lsn(10) });
    let whole = judge(&Cursor::default(), LOG, Lsn(1), Lsn(0), |_| None);
    assert_eq!(whole, Verdict::Serve { from: Lsn(1) });
}

#[test]
fn retention_divergence_and_damage_are_told_apart() {
    let refused = |cursor| match verdict(cursor) {
        Verdict::Refuse(refusal) => refusal,
        Verdict::Serve { from } => panic!("served from {from}"),
    };
    let behind = Refusal::BehindRetention { first: Lsn(10) };
    assert_eq!(refused(cursor(8)), behind);
    assert_eq!(refused(Cursor::default()), behind);
    let ahead = Refusal::Diverged(Divergence::Ahead { durable: Lsn(20) });
    assert_eq!(refused(cursor(21)), ahead);
    let other_log = Cursor { log: LogId([8; 16]), ..cursor(15) };
    assert_eq!(refused(other_log), Refusal::Diverged(Divergence::Log));
    let other_frame = Refusal::Diverged(Divergence::Frame);
    assert_eq!(refused(Cursor { crc: 98, ..cursor(15) }), other_frame);
    let moved = Position { offset: 136, ..AT };
    assert_eq!(refused(Cursor { position: moved, ..cursor(15) }), other_frame);
    let unreadable = judge(&cursor(15), LOG, Lsn(10), Lsn(20), |_| None);
    assert_eq!(unreadable, Verdict::Refuse(Refusal::Damaged { lsn: Lsn(15) }));
}
