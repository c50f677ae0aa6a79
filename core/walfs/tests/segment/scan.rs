//! Scans and surveys of sound segments, and of crafted ones.

use crate::file::*;
use unison_base::Lsn;
use unison_base::frame::{FrameError, TRAILER, write_frame};
use unison_walfs::scan::{ScanError, SegmentScan, Stop};

#[test]
fn a_scan_yields_every_record_in_the_callers_buffer() {
    for mapped in [false, true] {
        let segment = segment(64 << 10, |lsn| lsn as usize * 31 % 900);
        let file = MemoryFile { bytes: segment.bytes.clone(), mapped };
        let mut buffer = [0; 1024];
        let mut scan = SegmentScan::new(&file, &mut buffer);
        let mut count = 0;
        while let Some(frame) = scan.advance().unwrap() {
            let lsn = FIRST + count;
            assert_eq!((frame.lsn, frame.offset), (Lsn(lsn), segment.start(count as usize)));
            assert_eq!(frame.payload, record(lsn, FIRST - 1, lsn as usize * 31 % 900));
            count += 1;
        }
        assert_eq!(count as usize, segment.ends.len());
        assert_eq!(scan.offset(), *segment.ends.last().unwrap());
        assert!(matches!(scan.stopped(), Some(Stop::End | Stop::Full)));
        assert_eq!(scan.advance(), Ok(None));
    }
}

#[test]
fn a_frame_above_the_buffer_is_an_error_and_no_panic() {
    let segment = segment(64 << 10, |_| 2_000);
    let file = MemoryFile { bytes: segment.bytes, mapped: false };
    for length in [0, 7, 8, 64, 2_000] {
        let mut buffer = vec![0; length];
        let mut scan = SegmentScan::new(&file, &mut buffer);
        assert!(matches!(scan.advance(), Err(ScanError::Buffer { .. })), "{length}");
    }
}

#[test]
fn a_stale_frame_of_another_lsn_ends_the_scan() {
    let mut segment = segment(64 << 10, |_| 100);
    let stale = record(FIRST - 400, 1, 100);
    let at = segment.start(20) as usize;
    let _ = write_frame(&stale, &mut segment.bytes[at..]).unwrap();
    let (survey, seen) = look(&MemoryFile { bytes: segment.bytes.clone(), mapped: true });
    assert_eq!(survey.stop, Stop::Order { found: Lsn(FIRST - 400) });
    assert_eq!(survey.prefix.count, 20);
    assert_eq!((seen.islands[0].first, seen.islands[0].anchored), (Lsn(FIRST + 21), true));
}

/// Heads at every eight bytes that all point at one trailer: each costs a checksum of the rest.
#[test]
fn crafted_bytes_do_not_make_a_survey_quadratic() {
    let size: usize = 1 << 20;
    let mut bytes = vec![0; size];
    for at in (64..size - 64).step_by(8) {
        let length = (size - 24 - at) as u32;
        bytes[at + 4..at + 8].copy_from_slice(&length.to_le_bytes());
        bytes[at] = 1;
    }
    bytes[size - 16..size - 8].copy_from_slice(&TRAILER);
    let file = MemoryFile { bytes, mapped: true };
    let mut buffer = [0; 64];
    let scan = SegmentScan::new(&file, &mut buffer);
    let survey = unison_walfs::survey::survey(scan, None, &mut ()).unwrap();
    assert!(survey.later.exhausted, "the search stops");
    assert_eq!(survey.stop, Stop::Bad(FrameError::Checksum));
}

#[test]
fn without_a_map_a_survey_reads_each_byte_a_few_times_at_most() {
    let segment = segment(1 << 20, |lsn| lsn as usize * 31 % 900);
    for damaged in [false, true] {
        let mut bytes = segment.bytes.clone();
        if damaged {
            (0..1 << 20).step_by(5_003).skip(1).for_each(|at| bytes[at] ^= 0x10);
        }
        READS.set(0);
        let (survey, seen) = look(&MemoryFile { bytes, mapped: false });
        let times = READS.get() as f64 / f64::from(1 << 20);
        println!("{} islands, {times:.2} reads per byte", seen.islands.len());
        assert!(survey.prefix.count > 0 && times < if damaged { 6.0 } else { 1.5 });
    }
}
