//! Rows D and E: rot and gaps.

use super::*;

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
    let (segment, offset) = offset_of(&disk, 80);
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

/// Bytes that look like the heads of thousands of frames, all of which end where these end.
fn heads(bytes: usize) -> Vec<u8> {
    let head = |at: usize| [[0x5A; 4], (at as u32).to_le_bytes()].concat();
    let mut value: Vec<u8> = (1..bytes / 8).rev().flat_map(|words| head(words * 8 - 8)).collect();
    value.extend([0xDE, 0xAD, 0xBE, 0xEF, 0xFE, 0xED, 0xFA, 0xCE]);
    value
}

/// Whoever wrote the value cannot have acknowledged LSNs given out again, nor keep the log from opening.
#[test]
fn d_behind_bytes_that_were_made_to_wear_out_the_search_no_lsn_is_given_out_again() {
    for before in [0, 7] {
        let disk = disk(false);
        let (mut log, _) = open(&disk);
        fill(&mut log, before, MOST);
        let mut crafted = record(log.next_lsn(), Some(log.durable()), 0);
        crafted.extend(heads(40_000));
        let at = log.stage(&crafted).unwrap();
        log.append_staged().unwrap();
        fill(&mut log, before + 12, MOST);
        let last = log.durable();
        assert_eq!(log.tail().segment, at.segment);
        drop(log);
        flip(&disk, at.segment, u64::from(at.offset) + 70);
        let (log, report) = leader(&disk);
        assert_eq!(report.rungs.rot_segments, 1, "{report:?}");
        assert!(log.next_lsn() > last, "{last} was acknowledged");
        goes_on(log, &disk);
        let (log, report) = leader(&disk);
        assert_eq!(report.rungs.rot_segments, 0, "said once: {report:?}");
        assert!(read_all(&log.reader()).records.len() as u64 > before);
    }
}
