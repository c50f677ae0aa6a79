//! What keeps a segment in the log, one reason at a time.

use crate::support::*;
use unison_base::prng::Prng;
use unison_base::{Lsn, SegmentId};
use unison_ports::{IoError, SegmentKind};
use unison_sim::disk::{Calls, CrashDisk, Cut, Fault, SimStore};
use unison_walfs::{Bound, Covered, Log, ReadError, RetentionPolicy, SegmentInfo};

const ALL: Covered = Covered {
    checkpoint: Lsn::MAX,
    transactions: None,
    followers: None,
    follower_quota_bytes: None,
};
const DAY_NS: u64 = 86_400_000_000_000;

fn log() -> (CrashDisk, Log<SimStore>, Vec<SegmentInfo>) {
    let disk = disk(false);
    let (mut log, _) = open(&disk);
    fill(&mut log, 1_000, 700);
    let segments = log.reader().segments();
    assert!(segments.len() >= 6);
    (disk, log, segments)
}

fn policy() -> RetentionPolicy {
    RetentionPolicy { now_ns: NOW_NS + DAY_NS, ..RetentionPolicy::default() }
}

/// Segments that go, by number.
fn retire(log: &mut Log<SimStore>, covered: Covered, policy: RetentionPolicy) -> Vec<u32> {
    let retired = log.retire(covered, policy, &mut |_| false).unwrap();
    assert!(retired.iter().all(|retired| !retired.kept));
    retired.iter().map(|retired| retired.segment.0).collect()
}

#[test]
fn everything_covered_goes_but_the_newest() {
    let (disk, mut log, segments) = log();
    let gone = retire(&mut log, ALL, policy());
    assert_eq!(gone.len(), segments.len() - 1);
    let first = segments.last().unwrap().first;
    assert_eq!(log.first(), first);
    let behind = ReadError::BehindRetention { first };
    assert_eq!(log.reader().cursor(Lsn(1), Bound::Durable).err(), Some(behind));
    assert_eq!(log.reader().locate(Lsn(1)), Err(behind));
    log.rotate(NOW_NS).unwrap();
    assert_eq!(
        retire(&mut log, ALL, policy()),
        [0_u32; 0],
        "an empty segment says nothing of LSNs"
    );
    drop(log);
    let (log, report) = open(&disk);
    assert_eq!((report.first, log.next_lsn()), (first, Lsn(1_001)));
}

#[test]
fn a_segment_goes_only_when_a_later_record_is_durable() {
    let (disk, mut log, _) = log();
    log.rotate(NOW_NS).unwrap();
    stage(&mut log, 700);
    log.append_staged().unwrap();
    retire(&mut log, ALL, policy());
    let lost = disk.moment().cut(Cut::LOST, &mut Prng::new(1));
    assert_eq!(open(&lost).0.next_lsn(), Lsn(1_001));
    log.sync().unwrap();
    assert_eq!(retire(&mut log, ALL, policy()).len(), 1);
}

#[test]
fn each_reason_keeps_a_segment() {
    let (_, mut log, segments) = log();
    let third = segments[2];
    let last = third.first.plus(third.count).prev();
    let reasons = [
        Covered { checkpoint: last.prev(), ..ALL },
        Covered { transactions: Some(last), ..ALL },
        Covered { followers: Some(last.prev()), ..ALL },
    ];
    let mut gone = Vec::new();
    for covered in reasons {
        gone.extend(retire(&mut log, covered, policy()));
        assert_eq!(gone, [1, 2], "{covered:?}");
    }
    let mut cursor = log.reader().cursor(last, Bound::Durable).unwrap();
    assert_eq!(retire(&mut log, ALL, policy()), [0_u32; 0], "an open reader");
    assert_eq!(cursor.next().unwrap().unwrap().lsn, last);
    cursor.next().unwrap().unwrap();
    assert_eq!(retire(&mut log, ALL, policy()), [3], "the reader went on");
    drop(cursor);
    let held = log.reader().sealed_segments().nth(1).unwrap().unwrap();
    assert_eq!(retire(&mut log, ALL, policy()), [4], "a backup holds 5");
    drop(held);
    assert_eq!(retire(&mut log, ALL, policy())[0], 5);
}

#[test]
fn bytes_and_age_of_the_policy() {
    let (_, mut log, segments) = log();
    let behind_second: u64 = segments[2..].iter().map(|s| s.write_offset - 64).sum();
    let keep = RetentionPolicy { keep_bytes: Some(behind_second), ..policy() };
    assert_eq!(retire(&mut log, ALL, keep), [1, 2]);
    let sealed_ms =
        |policy: RetentionPolicy| RetentionPolicy { now_ns: NOW_NS + 3_600_000_000_000, ..policy };
    let old = sealed_ms(RetentionPolicy { keep_ms: Some(3_600_001), ..policy() });
    assert_eq!(retire(&mut log, ALL, old), [0_u32; 0]);
    let both = RetentionPolicy { keep_bytes: Some(u64::MAX), ..old };
    assert_eq!(retire(&mut log, ALL, both), [0_u32; 0]);
    let due = RetentionPolicy { keep_ms: Some(3_599_000), ..both };
    assert_eq!(retire(&mut log, ALL, due).len(), segments.len() - 3);
}

#[test]
fn a_follower_past_its_quota_keeps_nothing() {
    let (_, mut log, segments) = log();
    let total: u64 = segments.iter().map(|s| s.write_offset - 64).sum();
    let slow = Covered { followers: Some(Lsn(1)), follower_quota_bytes: Some(total), ..ALL };
    assert_eq!(retire(&mut log, slow, policy()), [0_u32; 0]);
    let quota = total - (segments[0].write_offset - 64);
    let past = Covered { follower_quota_bytes: Some(quota), ..slow };
    assert_eq!(retire(&mut log, past, policy()), [1]);
}

#[test]
fn live_values_keep_the_file_and_not_the_log() {
    let (disk, mut log, segments) = log();
    let located = log.reader().locate(Lsn(3)).unwrap().position;
    let retired = log.retire(ALL, policy(), &mut |id| id == SegmentId(1)).unwrap();
    assert_eq!(retired.len(), segments.len() - 1);
    assert_eq!((retired[0].segment, retired[0].kept, retired[1].kept), (SegmentId(1), true, false));
    for reopened in [false, true] {
        let reader = if reopened { open(&disk).0.reader() } else { log.reader() };
        let values: Vec<_> =
            reader.segments().into_iter().filter(|s| s.kind == SegmentKind::Values).collect();
        assert_eq!((values.len(), values[0].id), (1, SegmentId(1)));
        assert!(reader.bytes(located.segment, located.offset, 32).is_ok());
        let at = unison_base::Position { segment: SegmentId(2), offset: 64 };
        assert_eq!(reader.bytes(at.segment, at.offset, 8).err(), Some(ReadError::Absent { at }));
        assert!(
            reader.find_file(SegmentId(1)).is_some() && reader.find_file(SegmentId(2)).is_none()
        );
    }
    log.remove_values(SegmentId(1)).unwrap();
    assert_eq!(log.remove_values(SegmentId(1)), Err(IoError::NotFound));
    assert!(log.reader().find_file(SegmentId(1)).is_none());
}

#[test]
fn a_medium_that_fails_keeps_the_segment_in_the_log() {
    let (disk, mut log, _) = log();
    disk.inject(Fault::once(Calls::Directory, 2, IoError::Device(5)));
    assert_eq!(log.retire(ALL, policy(), &mut |_| false), Err(IoError::Device(5)));
    assert_eq!(log.reader().segments()[0].id, SegmentId(2));
    assert_eq!(retire(&mut log, ALL, policy())[0], 2);
}

#[test]
fn a_backup_copies_sealed_segments_while_writes_go_on() {
    use unison_ports::{SegmentFile, SegmentStore};
    let (ours, theirs) = (disk(false), disk(false));
    let (mut log, _) = open(&ours);
    fill(&mut log, 600, 700);
    let mut copied = Lsn::ZERO;
    let reader = log.reader();
    for sealed in reader.sealed_segments() {
        let sealed = sealed.unwrap();
        let count = log.appended().0 + 5;
        fill(&mut log, count, 700);
        let mut bytes = vec![0; sealed.info.size as usize];
        sealed.file().read_at(0, &mut bytes).unwrap();
        let target = store(&theirs).create(sealed.info.id, sealed.info.size).unwrap();
        target.write_at(0, &bytes).unwrap();
        copied = sealed.info.first.plus(sealed.info.count).prev();
    }
    let (backup, report) = open(&theirs);
    assert_eq!(backup.appended(), copied);
    assert_eq!(report.rungs.sealed_newest, 1);
    check_bodies(&read_all(&backup.reader()), 700);
}
