use super::{RunFault, SealRange, check, check_seal};
use crate::cursor::{Cursor, LogEnd};
use crate::messages::Run;
use alloc::vec;
use alloc::vec::Vec;
use unison_base::frame::{FrameError, write_frame};
use unison_base::{LogId, Lsn, Position, SegmentId};

const FRAME: usize = 40;
const LOG: LogId = LogId([1; 16]);

/// The smallest FlatBuffer whose root table holds only a `u64` in field 0.
fn record(lsn: u64) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..4].copy_from_slice(&12_u32.to_le_bytes());
    bytes[4..6].copy_from_slice(&6_u16.to_le_bytes());
    bytes[6..8].copy_from_slice(&12_u16.to_le_bytes());
    bytes[8..10].copy_from_slice(&4_u16.to_le_bytes());
    bytes[12..16].copy_from_slice(&8_i32.to_le_bytes());
    bytes[16..].copy_from_slice(&lsn.to_le_bytes());
    bytes
}

fn frames(lsns: &[u64]) -> Vec<u8> {
    let mut bytes = vec![0; FRAME * lsns.len()];
    for (chunk, &lsn) in bytes.chunks_mut(FRAME).zip(lsns) {
        write_frame(&record(lsn), chunk).unwrap();
    }
    bytes
}

/// A run of records at their places in a segment that begins with record 1.
fn run(first: u64, count: u32) -> Run {
    let at = 64 + (u32::try_from(first).unwrap() - 1) * 40;
    Run {
        namespace: 0,
        segment: SegmentId(1),
        offset: at,
        first: Lsn(first),
        count,
        segment_bytes: 65_536,
        durable: Lsn(100),
        frame_bytes: count * 40,
    }
}

/// The end of a log of `lsn` records in the same segment.
fn end(lsn: u64) -> LogEnd {
    let crc = u32::from_le_bytes(frames(&[lsn])[..4].try_into().unwrap());
    let next = Position { segment: SegmentId(1), offset: 64 + u32::try_from(lsn).unwrap() * 40 };
    let position = Position { offset: next.offset - 40, ..next };
    LogEnd { cursor: Cursor { log: LOG, lsn: Lsn(lsn), position, crc }, next }
}

#[test]
fn a_good_run_moves_the_end() {
    let checked = check(&run(6, 3), &frames(&[6, 7, 8]), &end(5), LOG).unwrap();
    let (range, after) = checked.fresh.unwrap();
    assert_eq!((checked.skipped, range.first, range.count, range.bytes), (0, Lsn(6), 3, 120));
    assert_eq!(after, end(8));
    assert_eq!(range.last(), Lsn(8));
}

#[test]
fn known_records_are_skipped() {
    let checked = check(&run(3, 5), &frames(&[3, 4, 5, 6, 7]), &end(5), LOG).unwrap();
    let (range, after) = checked.fresh.unwrap();
    assert_eq!((checked.skipped, range.first, range.count, range.bytes), (3, Lsn(6), 2, 80));
    assert_eq!(range.offset, end(5).next.offset);
    assert_eq!(after, end(7));
    let checked = check(&run(3, 3), &frames(&[3, 4, 5]), &end(5), LOG).unwrap();
    assert_eq!((checked.skipped, checked.fresh), (3, None));
}

#[test]
fn every_kind_of_bad_run_has_its_name() {
    let good = frames(&[6, 7]);
    let fault = |run: Run, bytes: &[u8], end: LogEnd| check(&run, bytes, &end, LOG).unwrap_err();
    let dense = |expected, found| RunFault::NotDense { expected: Lsn(expected), found: Lsn(found) };
    assert_eq!(fault(run(6, 2), &good, end(4)), dense(5, 6));
    assert_eq!(fault(run(6, 2), &frames(&[6, 8]), end(5)), dense(7, 8));
    assert_eq!(fault(run(6, 2), &frames(&[7, 8]), end(5)), dense(6, 7));
    let count = |announced, found| RunFault::Count { announced, found };
    assert_eq!(fault(run(6, 3), &good, end(5)), count(3, 2));
    assert_eq!(fault(run(6, 1), &good, end(5)), count(1, 2));
    assert_eq!(fault(run(6, 0), &[], end(5)), count(0, 0));
    let moved = Run { offset: 312, ..run(6, 2) };
    let place = fault(moved, &good, end(5));
    assert!(matches!(place, RunFault::Place { expected, .. } if expected == end(5).next));
    let durable = Run { durable: Lsn(6), ..run(6, 2) };
    assert_eq!(fault(durable, &good, end(5)), RunFault::NotDurable { durable: Lsn(6) });
    let nowhere = Run { segment: SegmentId(0), ..run(6, 2) };
    assert!(matches!(fault(nowhere, &good, end(5)), RunFault::Bounds { .. }));
    let mut other = end(6);
    other.cursor.crc ^= 1;
    assert_eq!(fault(run(6, 2), &good, other), RunFault::Conflict { lsn: Lsn(6) });
    assert_eq!(
        fault(run(6, 2), &good[..79], end(5)),
        RunFault::Frame {
            at: Position { segment: SegmentId(1), offset: 304 },
            error: FrameError::Cut
        }
    );
}

#[test]
fn every_changed_bit_of_the_frames_is_refused() {
    let good = frames(&[6, 7]);
    for bit in 0..good.len() * 8 {
        let mut damaged = good.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(check(&run(6, 2), &damaged, &end(5), LOG).is_err(), "bit {bit}");
    }
}

#[test]
fn a_run_may_begin_a_later_segment_at_its_start_only() {
    let next = Run { segment: SegmentId(2), offset: 64, ..run(6, 1) };
    assert!(check(&next, &frames(&[6]), &end(5), LOG).is_ok());
    let middle = Run { offset: 72, ..next };
    assert!(check(&middle, &frames(&[6]), &end(5), LOG).is_err());
    let earlier = Run { segment: SegmentId(1), offset: 64, ..next };
    assert!(check(&earlier, &frames(&[6]), &end(5), LOG).is_err());
    let first = Run { segment: SegmentId(3), offset: 64, ..run(1, 1) };
    assert!(check(&first, &frames(&[1]), &LogEnd::empty(LOG), LOG).is_ok());
}

#[test]
fn seals_end_a_segment_once() {
    let end = end(5);
    let seal =
        SealRange { segment: SegmentId(1), offset: end.next.offset, next_segment_bytes: 65_536 };
    let after = check_seal(&seal, &end).unwrap().unwrap();
    assert_eq!(after.next, Position { segment: SegmentId(2), offset: 64 });
    assert_eq!(after.cursor, end.cursor);
    assert_eq!(check_seal(&seal, &after), Ok(None));
    let early = SealRange { offset: seal.offset + 8, ..seal };
    assert!(matches!(check_seal(&early, &end), Err(RunFault::Place { .. })));
    let nothing = SealRange { segment: SegmentId(0), offset: 0, ..seal };
    assert!(matches!(check_seal(&nothing, &LogEnd::empty(LOG)), Err(RunFault::Bounds { .. })));
    let huge = SealRange { next_segment_bytes: u64::MAX, ..seal };
    assert!(matches!(check_seal(&huge, &end), Err(RunFault::Bounds { .. })));
}
