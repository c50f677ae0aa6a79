//! Rows F to J: stale segments, headers, segments without records, repairs that fail.

use super::*;

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
    // The first write is that of records which may not be durable.
    disk.inject(Fault::once(Calls::Writes, 2, IoError::Device(5)));
    let (log, report) = open(&disk);
    assert_eq!((report.rungs.headers_rebuilt, report.rungs.repairs_failed), (1, 1));
    assert_eq!(read_all(&log.reader()), before);
    drop(log);
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
