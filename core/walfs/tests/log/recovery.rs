//! The table of `unison_walfs::recovery`, row by row.

use crate::support::*;
use std::sync::Arc;
use unison_base::frame::{self, frame_bytes};
use unison_base::{Lsn, SegmentId};
use unison_ports::{SegmentFile, SegmentKind, SegmentStore};
use unison_sim::disk::{CrashDisk, Damage, File, SimSegment, SimStore};
use unison_walfs::layout::{FIRST_FRAME, FLAG_ACTIVE, SegmentHeader};
use unison_walfs::{
    Bound, Log, LogOptions, LogRole, OpenError, ReadError, RecoveryReport, Rung, RungCounts,
};

const MOST: u64 = 700;

/// A log of 300 records that was never closed; a record and where it lies.
fn written(count: u64) -> CrashDisk {
    let disk = disk(false);
    let (mut log, _) = open(&disk);
    fill(&mut log, count, MOST);
    disk
}

fn offset_of(disk: &CrashDisk, lsn: u64) -> (SegmentId, u64) {
    let (log, _) = open(&disk.copy());
    let at = log.reader().locate(Lsn(lsn)).unwrap().position;
    (at.segment, u64::from(at.offset))
}

fn flip(disk: &CrashDisk, segment: SegmentId, offset: u64) {
    let file = File::Segment(segment, SegmentKind::Log);
    disk.damage("wal", file, Damage::FlipBit { offset, bit: 3 }).unwrap();
}

fn file(disk: &CrashDisk, segment: SegmentId) -> SimSegment {
    store(disk).open(segment, SegmentKind::Log).unwrap()
}

/// Opens twice and checks that both openings serve the same. Returns the first one's report.
fn open_twice(disk: &CrashDisk, options: LogOptions) -> (Log<SimStore>, RecoveryReport) {
    let (log, report) = Log::open(store(disk), options, NOW_NS).unwrap();
    let found = read_all(&log.reader());
    let state = (log.first(), log.appended(), log.durable(), log.tail());
    drop(log);
    let (log, again) = Log::open(store(disk), options, NOW_NS).unwrap();
    assert_eq!((log.first(), log.appended(), log.durable(), log.tail()), state);
    assert_eq!((again.first, again.last), (report.first, report.last));
    assert_eq!(read_all(&log.reader()), found);
    check_bodies(&found, MOST);
    (log, report)
}

fn leader(disk: &CrashDisk) -> (Log<SimStore>, RecoveryReport) {
    open_twice(disk, options(LogRole::Leader))
}

fn follower(disk: &CrashDisk) -> (Log<SimStore>, RecoveryReport) {
    open_twice(disk, options(LogRole::Follower))
}

fn rungs(report: &RecoveryReport) -> RungCounts {
    assert_eq!(report.events.len() as u64, {
        let c = report.rungs;
        c.torn_tails
            + c.lost_tails
            + c.discarded_segments
            + c.rot_segments
            + c.gaps
            + c.stale_segments
            + c.headers_rebuilt
            + c.empty_segments
            + c.sealed_newest
            + c.repairs_failed
    });
    report.rungs
}

/// Appends one more record and checks that it is there after another opening.
fn goes_on(mut log: Log<SimStore>, disk: &CrashDisk) {
    let next = log.next_lsn();
    stage(&mut log, MOST);
    log.append_staged().unwrap();
    log.sync().unwrap();
    let found = read_all(&log.reader());
    assert_eq!(found.records.last().unwrap().0, next);
    drop(log);
    assert_eq!(read_all(&open(disk).0.reader()), found);
}

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
fn unsynced_groups() -> (CrashDisk, Log<SimStore>) {
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
    for role in [LogRole::Leader, LogRole::Follower] {
        let (disk, log) = unsynced_groups();
        let place = log.reader().locate(Lsn(15)).unwrap().position;
        drop(log);
        flip(&disk, place.segment, u64::from(place.offset) + 30);
        let (log, report) = open_twice(&disk, options(role));
        let expected = RungCounts { torn_tails: 1, discarded_segments: 2, ..Default::default() };
        assert_eq!(rungs(&report), expected);
        assert_eq!((log.appended(), log.tail()), (Lsn(14), place));
        let aside = log.reader().segments().iter().filter(|s| s.kind == SegmentKind::Aside).count();
        assert_eq!(aside, 2);
        goes_on(log, &disk);
    }
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

#[test]
fn d_rot_in_the_middle_costs_the_damaged_record_only() {
    for newest in [false, true] {
        let disk = written(300);
        let bad = if newest { 290 } else { 50 };
        let (segment, offset) = offset_of(&disk, bad);
        flip(&disk, segment, offset + 30);
        let (log, report) = leader(&disk);
        let found = read_all(&log.reader());
        assert_eq!(rungs(&report).rot_segments, 1, "{report:?}");
        assert_eq!(report.events[0].at, unison_base::Position { segment, offset: offset as u32 });
        assert_eq!(found.gaps, [(Lsn(bad), Lsn(bad))]);
        assert_eq!(found.records.len(), 299);
        assert_eq!(log.appended(), Lsn(300));
        let reader = log.reader();
        let damaged: Vec<_> = reader.segments().into_iter().filter(|s| s.damaged).collect();
        assert_eq!((damaged[0].id, damaged[0].kind), (segment, SegmentKind::Aside));
        assert!(reader.bytes(segment, offset as u32, 16).is_ok());
        assert_eq!(reader.locate(Lsn(bad)), Err(ReadError::Gap { from: Lsn(bad), to: Lsn(bad) }));
        goes_on(log, &disk);
    }
}

#[test]
fn d_after_damage_to_a_length_only_what_meets_the_rest_is_served() {
    let disk = written(300);
    let (segment, offset) = offset_of(&disk, 50);
    flip(&disk, segment, offset + 5);
    let (log, _) = leader(&disk);
    let found = read_all(&log.reader());
    assert_eq!(found.gaps, [(Lsn(50), Lsn(50))], "the next segment's first LSN proves the rest");
    drop(log);
    let (second, other) = offset_of(&disk, 60);
    assert_eq!(second, segment);
    let aside = File::Segment(segment, SegmentKind::Aside);
    disk.damage("wal", aside, Damage::FlipBit { offset: other + 5, bit: 3 }).unwrap();
    let (log, _) = leader(&disk);
    let found = read_all(&log.reader());
    assert_eq!(found.gaps, [(Lsn(50), Lsn(60))], "51 to 59 could be part of a record's value");
}

#[test]
fn d_frames_inside_a_value_are_not_taken_for_records() {
    let disk = disk(false);
    let (mut log, _) = open(&disk);
    fill(&mut log, 10, MOST);
    let mut forged = vec![0; 200];
    let inner = frame::write_frame(&record(Lsn(13), None, 40), &mut forged).unwrap();
    let mut outer = record(Lsn(11), Some(Lsn(10)), 0);
    outer.extend(&forged[..inner]);
    let at = log.stage(&outer).unwrap();
    log.append_staged().unwrap();
    fill(&mut log, 30, MOST);
    drop(log);
    flip(&disk, at.segment, u64::from(at.offset) + 5);
    let (log, _) = Log::open(store(&disk), options(LogRole::Leader), NOW_NS).unwrap();
    let found = read_all(&log.reader());
    assert!(found.records.iter().all(|(lsn, bytes)| *lsn != Lsn(13) || bytes.len() > 96));
    check_bodies(&found, MOST);
}

#[test]
fn d_a_follower_sets_everything_from_the_damage_on_aside() {
    let disk = written(300);
    let (segment, offset) = offset_of(&disk, 200);
    let first = open(&disk.copy()).0.reader().segments()[segment.0 as usize - 1].first;
    flip(&disk, segment, offset + 30);
    let (log, report) = follower(&disk);
    assert_eq!(rungs(&report).rot_segments, 1);
    assert_eq!(log.appended(), first.prev());
    let found = read_all(&log.reader());
    assert_eq!((found.records.len() as u64, found.gaps), (first.0 - 1, vec![]));
    assert!(log.reader().bytes(segment, offset as u32, 16).is_ok(), "still readable");
}

#[test]
fn d_damage_at_the_very_end_of_a_sealed_segment_is_rot_too() {
    for role in [LogRole::Leader, LogRole::Follower] {
        let disk = written(600);
        let segments = open(&disk.copy()).0.reader().segments();
        let bad = segments[1].first.plus(segments[1].count).prev();
        let (segment, offset) = offset_of(&disk, bad.0);
        flip(&disk, segment, offset + 30);
        let (log, report) = open_twice(&disk, options(role));
        assert_eq!((report.rungs.rot_segments, report.rungs.gaps), (1, 0));
        let found = read_all(&log.reader());
        match role {
            LogRole::Leader => assert_eq!(found.gaps, [(bad, bad)]),
            LogRole::Follower => assert_eq!(log.appended(), segments[1].first.prev()),
        }
    }
}

#[test]
fn e_a_missing_segment_is_a_gap() {
    let disk = written(600);
    let segments = open(&disk.copy()).0.reader().segments();
    store(&disk).remove(SegmentId(2), SegmentKind::Log).unwrap();
    let (log, report) = leader(&disk);
    assert_eq!(rungs(&report), RungCounts { gaps: 1, ..Default::default() });
    let found = read_all(&log.reader());
    assert_eq!(found.gaps, [(segments[1].first, segments[2].first.prev())]);
    goes_on(log, &disk);
    let (log, _) = follower(&disk);
    assert_eq!(log.appended(), segments[1].first.prev());
}

#[test]
fn e_an_lsn_known_to_be_durable_is_not_given_out_again() {
    let disk = written(100);
    let options = LogOptions { verify_from: Lsn(151), ..options(LogRole::Leader) };
    let (mut log, report) = open_twice(&disk, options);
    assert_eq!(report.rungs.gaps, 1);
    assert_eq!(log.next_lsn(), Lsn(151));
    stage(&mut log, MOST);
    log.append_staged().unwrap();
    log.sync().unwrap();
    drop(log);
    let (log, _) = leader(&disk);
    assert_eq!(read_all(&log.reader()).gaps, [(Lsn(101), Lsn(150))]);
}

#[test]
fn f_a_segment_that_repeats_lsns_is_set_aside() {
    let disk = written(300);
    let last = open(&disk.copy()).0.tail().segment;
    let copy = store(&disk).create(last.next(), SEGMENT_BYTES).unwrap();
    let mut bytes = vec![0; SEGMENT_BYTES as usize];
    file(&disk, SegmentId(2)).read_at(0, &mut bytes).unwrap();
    copy.write_at(0, &bytes).unwrap();
    let (log, report) = leader(&disk);
    assert_eq!(rungs(&report).stale_segments, 1);
    assert_eq!((log.appended(), log.tail().segment), (Lsn(300), last));
    goes_on(log, &disk);
}

#[test]
fn g_a_wrong_header_is_built_anew() {
    let disk = written(300);
    let before = read_all(&open(&disk.copy()).0.reader());
    let segments = open(&disk.copy()).0.reader().segments();
    for segment in &segments {
        flip(&disk, segment.id, 57);
    }
    let (log, report) = leader(&disk);
    let rebuilt = RungCounts { headers_rebuilt: segments.len() as u64, ..Default::default() };
    assert_eq!(rungs(&report), rebuilt);
    assert_eq!(read_all(&log.reader()), before);
    drop(log);
    let (log, report) = leader(&disk);
    assert_eq!(rungs(&report), RungCounts::default());
    goes_on(log, &disk);
}

#[test]
fn g_a_header_with_wrong_numbers_is_built_anew() {
    let disk = written(300);
    let file = file(&disk, SegmentId(1));
    let mut bytes = [0; 64];
    file.read_at(0, &mut bytes).unwrap();
    let right = SegmentHeader::decode(&bytes).unwrap();
    let wrong = SegmentHeader { entry_count: 3, write_offset: 800, ..right };
    file.write_at(0, &wrong.encode()).unwrap();
    let (_, report) = leader(&disk);
    assert_eq!(rungs(&report).headers_rebuilt, 1);
    file.read_at(0, &mut bytes).unwrap();
    assert_eq!(SegmentHeader::decode(&bytes), Ok(right));
}

#[test]
fn g_a_foreign_header_without_a_first_lsn_is_left_as_it_is() {
    let disk = written(300);
    let (file, mut bytes) = (file(&disk, SegmentId(1)), [0; 64]);
    file.read_at(0, &mut bytes).unwrap();
    let ours = SegmentHeader::decode(&bytes).unwrap();
    let foreign = SegmentHeader { first_lsn: Lsn::ZERO, marker: 0, ..ours };
    file.write_at(0, &foreign.encode()).unwrap();
    let trusting = LogOptions { verify_from: Lsn(250), ..options(LogRole::Leader) };
    for options in [options(LogRole::Leader), trusting] {
        let (log, report) = open_twice(&disk, options);
        assert_eq!((report.rungs, log.appended()), (RungCounts::default(), Lsn(300)));
        assert_eq!(read_all(&log.reader()).records.len(), 300);
    }
    file.read_at(0, &mut bytes).unwrap();
    assert_eq!(SegmentHeader::decode(&bytes), Ok(foreign));
}

#[test]
fn g_a_newer_version_is_refused_and_left_alone() {
    let disk = written(10);
    let file = file(&disk, SegmentId(1));
    let mut bytes = SegmentHeader::empty(NOW_NS).encode();
    bytes[4] = 2;
    let crc = unison_base::checksum::crc32c(&bytes[..56]);
    bytes[56..60].copy_from_slice(&crc.to_le_bytes());
    file.write_at(0, &bytes).unwrap();
    let opened = Log::open(store(&disk), options(LogRole::Leader), NOW_NS);
    let refused = OpenError::Version { segment: SegmentId(1), version: 2 };
    assert_eq!(opened.err(), Some(refused));
}

#[test]
fn h_segments_of_zeros_or_of_no_length_are_absent() {
    for size in [0, 1, 63, 64, 100, SEGMENT_BYTES] {
        let disk = written(100);
        let newest = open(&disk.copy()).0.tail().segment;
        let _ = store(&disk).create(newest.next(), size).unwrap();
        let (mut log, report) = leader(&disk);
        assert_eq!(rungs(&report), RungCounts { empty_segments: 1, ..Default::default() });
        assert_eq!(log.tail().segment, newest);
        log.rotate(NOW_NS).unwrap();
        assert_eq!(log.tail().segment, newest.next());
        goes_on(log, &disk);
    }
}

#[test]
fn h_a_lone_segment_of_zeros_is_an_empty_log() {
    let disk = disk(false);
    let _ = store(&disk).create(SegmentId(1), 0).unwrap();
    let (log, report) = leader(&disk);
    assert_eq!((report.rungs.empty_segments, log.next_lsn()), (1, Lsn(1)));
    goes_on(log, &disk);
}

#[test]
fn i_behind_a_sealed_segment_the_next_one_is_begun() {
    let disk = written(100);
    let (mut log, _) = open(&disk);
    let sealed = log.tail().segment;
    log.rotate(NOW_NS).unwrap();
    drop(log);
    store(&disk).remove(sealed.next(), SegmentKind::Log).unwrap();
    let (log, report) = leader(&disk);
    assert_eq!(rungs(&report), RungCounts { sealed_newest: 1, ..Default::default() });
    assert_eq!((log.tail().segment, log.tail().offset), (sealed.next(), FIRST_FRAME as u32));
    goes_on(log, &disk);
}

#[test]
fn j_a_repair_that_cannot_be_written_does_not_keep_the_log_from_opening() {
    use unison_ports::IoError;
    use unison_sim::disk::{Calls, Fault};
    let disk = written(100);
    flip(&disk, SegmentId(1), 57);
    let before = read_all(&open(&disk.copy()).0.reader());
    disk.inject(Fault::for_ever(Calls::Writes, 1, IoError::ReadOnly));
    let (mut log, report) = open(&disk);
    assert_eq!((report.rungs.headers_rebuilt, report.rungs.repairs_failed), (1, 2));
    assert_eq!(log.stage(&record(Lsn(101), None, 0)), Err(unison_walfs::StageError::Poisoned));
    assert_eq!(read_all(&log.reader()), before);
    disk.heal();
    let (log, report) = open(&disk);
    assert_eq!((report.rungs.headers_rebuilt, report.rungs.repairs_failed), (1, 0));
    goes_on(log, &disk);
}

#[test]
fn trusted_segments_are_not_read_and_damage_in_them_is_found_by_the_reader() {
    let disk = written(300);
    let (segment, offset) = offset_of(&disk, 20);
    flip(&disk, segment, offset + 30);
    let options = LogOptions { verify_from: Lsn(250), ..options(LogRole::Leader) };
    let before = disk.counters().reads;
    let (log, report) = Log::open(store(&disk), options, NOW_NS).unwrap();
    println!("reads to open: {}", disk.counters().reads - before);
    assert_eq!(report.rungs, RungCounts::default());
    let mut cursor = log.reader().cursor(Lsn(1), Bound::Appended).unwrap();
    for _ in 1..20 {
        cursor.next().unwrap().unwrap();
    }
    let at = unison_base::Position { segment, offset: offset as u32 };
    assert_eq!(cursor.next().unwrap_err(), ReadError::Corrupt { at });
    assert_eq!(log.reader().locate(Lsn(250)).unwrap().position.segment, SegmentId(2));
}

#[test]
fn garbage_of_any_kind_opens() {
    let mut prng = unison_base::prng::Prng::new(77);
    let mut opened = 0;
    for case in 0..300_u64 {
        let disk = disk(false);
        let store: Arc<SimStore> = store(&disk);
        for id in 1..=3 {
            let size = [10, 88, 4_096, SEGMENT_BYTES][prng.below(4) as usize];
            let mut bytes = vec![0; size as usize];
            prng.fill(&mut bytes);
            if case.is_multiple_of(2) && size > 64 {
                bytes[..64].copy_from_slice(&SegmentHeader::empty(NOW_NS).encode());
            }
            if case.is_multiple_of(3) {
                for chunk in bytes.chunks_exact_mut(8) {
                    chunk[4..].copy_from_slice(&(prng.below(64) as u32).to_le_bytes());
                }
            }
            store.create(SegmentId(id), size).unwrap().write_at(0, &bytes).unwrap();
        }
        let role = if case % 5 == 0 { LogRole::Follower } else { LogRole::Leader };
        let (log, _) = open_twice(&disk, options(role));
        assert_eq!(log.appended(), Lsn::ZERO);
        opened += 1;
    }
    println!("{opened} stores of garbage opened");
    assert_eq!(SegmentHeader::empty(0).flags, FLAG_ACTIVE);
}
