//! The last segment cut at every byte, and every flipped bit of a small one.

use crate::support::*;
use unison_base::{Lsn, SegmentId};
use unison_ports::{SegmentFile, SegmentKind, SegmentStore};
use unison_sim::disk::{CrashDisk, SimStore};
use unison_walfs::LogRole;

const LAST: SegmentId = SegmentId(2);

/// A log whose second segment holds a few records, not synced at the end, and where each ends.
fn written() -> (CrashDisk, Vec<u64>) {
    let disk = disk();
    let store = disk.store("wal");
    let ends = with_log(&store, LogRole::Leader, |log, _| {
        let mut ends = Vec::new();
        while ends.len() < 6 {
            stage(log);
            log.append_staged(NOW_NS).unwrap();
            if log.tail().segment == LAST {
                ends.push(log.tail().offset.into());
            }
        }
        log.sync().unwrap();
        ends
    });
    (disk, ends)
}

/// Opens twice with another record between, and returns the newest LSN that was found.
fn check(disk: &CrashDisk, role: LogRole) -> u64 {
    let store = disk.store("wal");
    let found = with_log(&store, role, |log, report| {
        let (records, _) = read_all(log);
        check_bodies(&records);
        (log.appended(), records, report.clone())
    });
    with_log(&store, role, |log, again| {
        assert_eq!((log.appended(), &read_all(log).0), (found.0, &found.1), "{:?}", found.2);
        assert!(again.rungs.torn_tails == 0 || again.rungs == found.2.rungs, "{again:?}");
        if role == LogRole::Leader {
            fill(log, found.0.0 + 2);
            assert_eq!(read_all(log).0.len(), found.1.len() + 2);
        }
    });
    found.0.0
}

fn with_bytes(disk: &CrashDisk, change: impl FnOnce(&SimStore)) -> CrashDisk {
    let copy = disk.copy();
    change(&copy.store("wal"));
    copy
}

/// Bytes behind the cut are those before the write: zeros. With `rubbish` they are not.
fn cut(disk: &CrashDisk, at: u64, rubbish: bool) -> CrashDisk {
    with_bytes(disk, |store| {
        let file = store.open(LAST, SegmentKind::Log).unwrap();
        let fill = if rubbish { 0xA7 } else { 0 };
        file.write_at(at, &vec![fill; 12_000.min(file.size() - at) as usize]).unwrap();
        file.sync().unwrap();
    })
}

#[test]
fn a_cut_at_every_byte_keeps_the_whole_records_before_it() {
    let (disk, ends) = written();
    let first = with_log(&disk.store("wal"), LogRole::Leader, |log, _| {
        log.appended().0 - ends.len() as u64
    });
    let end = *ends.last().unwrap();
    let mut states = 0;
    for rubbish in [false, true] {
        for at in 64..=end {
            let whole = ends.iter().filter(|&&end| end <= at).count() as u64;
            // Padding that was not written is zero anyway.
            let padded = ends.iter().filter(|&&end| end <= at + 7).count() as u64;
            let role = if at % 2 == 0 { LogRole::Leader } else { LogRole::Follower };
            let found = check(&cut(&disk, at, rubbish), role) - first;
            assert!((whole..=padded).contains(&found), "{found} of {whole} at {at}");
            states += 1;
        }
    }
    println!("{states} cuts");
}

#[test]
fn every_flipped_bit_costs_at_most_its_record() {
    let (disk, ends) = written();
    let (store, end) = (disk.store("wal"), *ends.last().unwrap());
    let appended = with_log(&store, LogRole::Leader, |log, _| log.appended());
    let (mut states, mut noticed) = (0, 0);
    for at in 0..end {
        for bit in 0..8 {
            let flipped = with_bytes(&disk, |store| {
                let file = store.open(LAST, SegmentKind::Log).unwrap();
                let mut byte = [0];
                file.read_at(at, &mut byte).unwrap();
                file.write_at(at, &[byte[0] ^ 1 << bit]).unwrap();
            });
            // All of them are many; a step that shares no factor with eight sees every bit's place.
            if at >= 600 && (at * 8 + bit) % 13 != 0 {
                continue;
            }
            let (records, lsn) = with_log(&flipped.store("wal"), LogRole::Leader, |log, _| {
                let (records, _) = read_all(log);
                check_bodies(&records);
                (records.len() as u64, log.appended())
            });
            states += 1;
            noticed += u64::from(records < appended.0);
            let hurt = ends.partition_point(|&end| end <= at);
            assert!(lsn <= appended && records + 6 >= appended.0, "{records} at {at}.{bit}");
            if at < 64 {
                assert_eq!((records, lsn), (appended.0, appended), "header, at {at}.{bit}");
            } else {
                assert!(records + 6 - hurt as u64 >= appended.0, "{records} at {at}.{bit}");
            }
            check(&flipped, LogRole::Leader);
        }
    }
    println!("{states} flips, {noticed} cost a record");
    assert!(noticed > states / 2);
}

#[test]
fn garbage_of_any_kind_opens() {
    let mut prng = unison_base::prng::Prng::new(7);
    for round in 0..200 {
        let disk = disk();
        let store = disk.store("wal");
        for id in 1..=3 {
            let file = store.create(SegmentId(id), SEGMENT_BYTES).unwrap();
            let bytes: Vec<u8> = match round % 3 {
                0 => (0..SEGMENT_BYTES).map(|_| prng.between(0, 255) as u8).collect(),
                1 => unison_base::frame::TRAILER.repeat(SEGMENT_BYTES as usize / 8),
                _ => (0..SEGMENT_BYTES).map(|_| prng.between(0, 3) as u8 * 8).collect(),
            };
            file.write_at(prng.between(0, 100), &bytes[..60_000]).unwrap();
        }
        let role = if round % 2 == 0 { LogRole::Leader } else { LogRole::Follower };
        let mut buffer = [0; BUFFER_BYTES];
        let opened = Log::open(&store, options(role), &mut buffer, NOW_NS);
        let (log, _) = opened.unwrap();
        assert_eq!(log.appended(), Lsn::ZERO);
    }
}
