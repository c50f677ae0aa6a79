//! Rows A to C: torn tails, lost tails, torn groups.

use super::*;

#[test]
fn a_torn_tail_is_cut() {
    let disk = written(300);
    let (segment, offset) = offset_of(&disk, 300);
    flip(&disk, segment, offset + 30);
    let (log, report) = leader(&disk);
    assert_eq!(rungs(&report), RungCounts { torn_tails: 1, ..Default::default() });
    assert_eq!(
        (report.events[0].rung, u64::from(report.events[0].at.offset)),
        (Rung::TornTail, offset)
    );
    assert_eq!((log.appended(), u64::from(log.tail().offset)), (Lsn(299), offset));
    goes_on(log, &disk);
}

#[test]
fn a_the_bytes_behind_a_torn_tail_are_cleared_before_the_first_append() {
    let disk = written(300);
    let (segment, offset) = offset_of(&disk, 300);
    let junk = [0x77; 5_000];
    file(&disk, segment).write_at(offset + 8, &junk).unwrap();
    let (mut log, _) = leader(&disk);
    let before = disk.counters();
    log.stage(&record(Lsn(300), None, 0)).unwrap();
    log.append_staged().unwrap();
    assert_eq!(disk.counters().syncs, before.syncs + 1, "the clearing is durable first");
    let end = offset + frame_bytes(56).unwrap() as u64;
    let mut rest = vec![1; (SEGMENT_BYTES - end) as usize];
    file(&disk, segment).read_at(end, &mut rest).unwrap();
    assert!(rest.iter().all(|&byte| byte == 0));
}

#[test]
fn b_a_tail_that_the_header_vouched_for_is_reported_as_lost() {
    let disk = disk(false);
    let (mut log, _) = open(&disk);
    fill(&mut log, 20, MOST);
    log.close().unwrap();
    let (segment, offset) = offset_of(&disk, 20);
    flip(&disk, segment, offset + 30);
    let (log, report) = leader(&disk);
    assert_eq!(rungs(&report), RungCounts { lost_tails: 1, ..Default::default() });
    assert_eq!(log.appended(), Lsn(19));
    goes_on(log, &disk);
}

/// Ten durable records, then groups that are appended and never synced, over three segments.
pub(super) fn unsynced_groups() -> (CrashDisk, Log<SimStore>) {
    let disk = disk(false);
    let (mut log, _) = open(&disk);
    fill(&mut log, 10, MOST);
    while log.tail().segment < SegmentId(3) {
        stage(&mut log, MOST);
        log.append_staged().unwrap();
    }
    stage(&mut log, MOST);
    log.append_staged().unwrap();
    (disk, log)
}

#[test]
fn c_records_behind_a_torn_group_that_were_never_durable_are_set_aside() {
    let (disk, log) = unsynced_groups();
    let place = log.reader().locate(Lsn(15)).unwrap().position;
    drop(log);
    flip(&disk, place.segment, u64::from(place.offset) + 30);
    let (log, report) = leader(&disk);
    let expected = RungCounts { torn_tails: 1, discarded_segments: 2, ..Default::default() };
    assert_eq!(rungs(&report), expected);
    assert_eq!((log.appended(), log.tail()), (Lsn(14), place));
    let aside = log.reader().segments().iter().filter(|s| s.kind == SegmentKind::Aside).count();
    assert_eq!(aside, 2);
    goes_on(log, &disk);
}

#[test]
fn c_a_hole_between_segments_that_were_never_durable_is_a_torn_group_too() {
    let (disk, log) = unsynced_groups();
    let first_of_third = log.reader().segments()[2].first;
    drop(log);
    let end = offset_of(&disk, first_of_third.0 - 1);
    flip(&disk, end.0, end.1);
    let (log, report) = leader(&disk);
    let expected = RungCounts { torn_tails: 1, discarded_segments: 1, ..Default::default() };
    assert_eq!(rungs(&report), expected);
    assert_eq!(log.appended(), Lsn(first_of_third.0 - 2));
    let mut log = log;
    fill(&mut log, 800, MOST);
    let found = read_all(&log.reader());
    drop(log);
    assert_eq!(
        read_all(&open(&disk).0.reader()),
        found,
        "numbers of segments set aside come again"
    );
    assert_eq!(found.gaps, []);
}

/// Five segments of which only the first `durable` records were ever synced; then the frames of
/// the segments `lost` are gone, and the first frame of the last segment.
fn mostly_lost(durable: u64, lost: core::ops::RangeInclusive<u32>) -> CrashDisk {
    let disk = disk(false);
    let (mut log, _) = open(&disk);
    fill(&mut log, durable, MOST);
    while log.tail().segment < SegmentId(5) {
        stage(&mut log, MOST);
        log.append_staged().unwrap();
    }
    for _ in 0..3 {
        stage(&mut log, MOST);
        log.append_staged().unwrap();
    }
    drop(log);
    let zero = |id, length| {
        let damage = Damage::Zero { offset: FIRST_FRAME, length };
        disk.damage("wal", File::Segment(SegmentId(id), SegmentKind::Log), damage).unwrap();
    };
    lost.for_each(|id| zero(id, SEGMENT_BYTES as usize));
    zero(5, 40);
    disk
}

#[test]
fn c_a_first_segment_whose_records_are_all_gone_is_a_torn_group_too() {
    for lost in [1..=1, 1..=3, 1..=4] {
        let disk = mostly_lost(0, lost);
        let (log, report) = leader(&disk);
        assert_eq!((log.first(), log.appended()), (Lsn(1), Lsn::ZERO), "{report:?}");
        assert_eq!((report.rungs.gaps, report.rungs.rot_segments), (0, 0));
        goes_on(log, &disk);
    }
}

#[test]
fn c_stray_frames_behind_empty_segments_do_not_come_back() {
    for lost in [2..=2, 2..=3, 2..=4] {
        let disk = mostly_lost(11, lost);
        let (log, report) = leader(&disk);
        assert!(log.tail().segment < SegmentId(3) && log.appended() >= Lsn(11), "{report:?}");
        goes_on(log, &disk);
    }
}
