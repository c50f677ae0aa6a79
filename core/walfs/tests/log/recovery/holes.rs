//! Row K, and row E where it looks like K: what a follower cuts without proof, and fetches again.

use super::tails::unsynced_groups;
use super::*;

/// Takes from `source` whatever `log` lacks, as it would over a link, and checks that nothing is missing.
fn fetch(source: &Log<SimStore>, mut log: Log<SimStore>, disk: &CrashDisk) {
    let mut cursor = source.reader().cursor(log.next_lsn(), Bound::Appended).unwrap();
    while let Some(step) = cursor.next_run(4_000).unwrap() {
        match step {
            Step::Run { segment, offset, first, count, segment_bytes, frames } => {
                let run = RunHeader { segment, offset, first, count, segment_bytes };
                log.append_run(run, &frames).unwrap();
            }
            Step::Seal { segment, offset, next_bytes } => {
                log.seal_at(segment, offset, next_bytes, NOW_NS).unwrap();
            }
        }
    }
    log.sync().unwrap();
    let found = read_all(&log.reader());
    assert_eq!(found, read_all(&source.reader()));
    drop(log);
    assert_eq!(read_all(&follower(disk).0.reader()), found);
}

/// The segments of a log that nobody synced, and the log that they are fetched from again.
fn never_synced() -> (CrashDisk, Log<SimStore>) {
    let (disk, log) = unsynced_groups();
    drop(log);
    let (source, _) = open(&disk.copy());
    (disk, source)
}

fn events(report: &RecoveryReport) -> Vec<(Rung, SegmentId, u64)> {
    let event = |event: &RecoveryEvent| (event.rung, event.at.segment, event.at.offset.into());
    report.events.iter().map(event).collect()
}

/// Its leader's records say nothing of what was durable here, and what is cut is fetched again.
#[test]
fn k_a_follower_keeps_what_lies_before_a_hole_in_its_newest_segment() {
    let disk = written(300);
    let (source, _) = open(&disk.copy());
    let (segment, offset) = offset_of(&disk, 290);
    flip(&disk, segment, offset + 30);
    let (log, report) = follower(&disk);
    assert_eq!(rungs(&report), RungCounts { unproved_holes: 1, ..Default::default() });
    assert_eq!(events(&report), [(Rung::UnprovedHole, segment, offset)]);
    assert_eq!(log.appended(), Lsn(289));
    assert_eq!(read_all(&log.reader()).records.len(), 289);
    fetch(&source, log, &disk);
}

#[test]
fn k_later_segments_are_set_aside() {
    let (disk, source) = never_synced();
    let (segment, offset) = offset_of(&disk, 15);
    flip(&disk, segment, offset + 30);
    let (log, report) = follower(&disk);
    let expected = RungCounts { unproved_holes: 1, discarded_segments: 2, ..Default::default() };
    assert_eq!(rungs(&report), expected);
    assert_eq!(events(&report)[0], (Rung::UnprovedHole, segment, offset));
    assert_eq!((log.appended(), u64::from(log.tail().offset)), (Lsn(14), offset));
    fetch(&source, log, &disk);
}

/// Damage without sound frames behind it is what a power cut leaves, and nothing else.
#[test]
fn k_a_torn_tail_of_a_follower_is_none() {
    let disk = written(300);
    let (segment, offset) = offset_of(&disk, 300);
    flip(&disk, segment, offset + 30);
    let (_, report) = follower(&disk);
    assert_eq!(rungs(&report), RungCounts { torn_tails: 1, ..Default::default() });
}

#[test]
fn k_a_segment_whose_records_are_all_gone_is_a_hole_wherever_it_is() {
    for (lost, garbage) in [(1, false), (1, true), (2, false), (2, true)] {
        let (disk, source) = never_synced();
        let first = source.reader().segments()[lost - 1].first;
        let end = if lost == 1 { FIRST_FRAME } else { offset_of(&disk, first.prev().0).1 };
        let id = SegmentId(lost as u32);
        let fill = if garbage { 0x5A } else { 0 };
        let room = vec![fill; (SEGMENT_BYTES - FIRST_FRAME) as usize];
        file(&disk, id).write_at(FIRST_FRAME, &room).unwrap();
        let (log, report) = follower(&disk);
        assert_eq!(rungs(&report).unproved_holes, 1, "{report:?}");
        assert_eq!((report.rungs.torn_tails, report.rungs.rot_segments), (0, 0));
        let (rung, segment, offset) = events(&report)[0];
        assert_eq!((rung, segment), (Rung::UnprovedHole, SegmentId((lost - 1).max(1) as u32)));
        assert!(offset >= end, "{offset}");
        assert_eq!(log.next_lsn(), first);
        fetch(&source, log, &disk);
    }
}

/// The same with a first segment that is known to have been synced: by itself, or what is behind it.
#[test]
fn d_a_follower_whose_first_segment_has_lost_its_records_fetches_everything() {
    for sealed in [false, true] {
        let disk = written(600);
        let (source, _) = open(&disk.copy());
        if !sealed {
            let header = SegmentHeader::empty(NOW_NS).encode();
            file(&disk, SegmentId(1)).write_at(0, &header).unwrap();
        }
        let room = vec![0; (SEGMENT_BYTES - FIRST_FRAME) as usize];
        file(&disk, SegmentId(1)).write_at(FIRST_FRAME, &room).unwrap();
        let (log, report) = follower(&disk);
        assert_eq!(rungs(&report).rot_segments, 1, "{report:?}");
        assert_eq!(log.next_lsn(), Lsn(1));
        fetch(&source, log, &disk);
    }
}

/// No power cut takes a segment away: it is made durably before it is written to.
#[test]
fn e_a_missing_segment_is_a_gap_in_a_followers_log_also_when_nothing_was_synced() {
    let (disk, source) = never_synced();
    let segments = source.reader().segments();
    store(&disk).remove(SegmentId(2), SegmentKind::Log).unwrap();
    let (log, report) = follower(&disk);
    let expected = RungCounts { gaps: 1, discarded_segments: 1, ..Default::default() };
    assert_eq!(rungs(&report), expected);
    assert_eq!(events(&report)[0], (Rung::Gap, SegmentId(3), FIRST_FRAME));
    assert_eq!(log.next_lsn(), segments[1].first);
    fetch(&source, log, &disk);
}

/// A header that was written behind a sync proves that the frames were there.
#[test]
fn d_a_middle_segment_that_was_synced_and_lost_its_records_is_no_unproved_hole() {
    let (disk, source) = never_synced();
    let middle = source.reader().segments()[1];
    let header = SegmentHeader {
        write_offset: middle.write_offset,
        entry_count: middle.count,
        first_lsn: middle.first,
        ..SegmentHeader::empty(NOW_NS)
    };
    file(&disk, SegmentId(2)).write_at(0, &header.encode()).unwrap();
    let room = vec![0; (SEGMENT_BYTES - FIRST_FRAME) as usize];
    file(&disk, SegmentId(2)).write_at(FIRST_FRAME, &room).unwrap();
    let (log, report) = follower(&disk);
    assert_eq!((rungs(&report).unproved_holes, report.rungs.gaps), (0, 1), "{report:?}");
    assert_eq!(log.next_lsn(), middle.first);
    fetch(&source, log, &disk);
}
