//! Damage to a whole log: whatever happens to its bytes, a record that is served is a true one, and
//! a second opening serves the same.

use crate::support::*;
use unison_base::prng::Prng;
use unison_base::{Lsn, SegmentId};
use unison_ports::{SegmentFile, SegmentKind, SegmentStore};
use unison_sim::disk::{CrashDisk, Damage, File, Moment};
use unison_walfs::{Log, LogRole};

const MOST: u64 = 1_200;

struct Written {
    disk: CrashDisk,
    earlier: Moment,
    truth: Found,
    segments: u32,
}

/// A log of four segments, and how it was when it was half as long.
fn written(close: bool) -> Written {
    let disk = disk(false);
    let (mut log, _) = open(&disk);
    fill(&mut log, 160, MOST);
    let earlier = disk.moment();
    fill(&mut log, 330, MOST);
    let truth = read_all(&log.reader());
    let segments = log.tail().segment.0;
    if close {
        log.close().unwrap();
    }
    Written { disk, earlier, truth, segments }
}

/// Opens twice; what is served is true, in order, and every other LSN is told as missing.
fn check(disk: &CrashDisk, truth: &Found, role: LogRole) -> usize {
    let (log, report) = Log::open(store(disk), options(role), NOW_NS).unwrap();
    let found = read_all(&log.reader());
    let mut next = log.first();
    let mut gaps = found.gaps.iter();
    for (lsn, bytes) in &found.records {
        while next < *lsn {
            let (from, to) = *gaps.next().expect("a jump is told");
            assert_eq!(from, next);
            next = to.next();
        }
        assert_eq!(next, *lsn);
        assert!(truth.records[lsn.0 as usize - 1].1 == *bytes, "{lsn} is another, {report:?}");
        next = lsn.next();
    }
    let appended = log.appended();
    drop(log);
    let (log, _) = Log::open(store(disk), options(role), NOW_NS).unwrap();
    assert_eq!(log.appended(), appended, "{report:?}");
    assert!(read_all(&log.reader()) == found, "{report:?}");
    found.records.len()
}

#[test]
fn blocks_that_are_stale_swapped_twice_there_or_zero() {
    let Written { disk, earlier, truth, segments } = written(false);
    let mut prng = Prng::new(31);
    let (mut cases, mut served) = (0_usize, 0_usize);
    for case in 0..2_000 {
        let disk = disk.copy();
        for _ in 0..prng.between(1, 3) {
            let id = SegmentId(prng.between(1, u64::from(segments)) as u32);
            let length = [64, 512, 4_096, 20_000][prng.below(4) as usize];
            let place = |prng: &mut Prng| prng.below(SEGMENT_BYTES / 512) * 512;
            let (first, second) = (place(&mut prng), place(&mut prng));
            let damage = match prng.below(4) {
                0 => Damage::Stale { offset: first, length, then: &earlier },
                1 => Damage::Copy { from: first, to: second, length },
                2 => Damage::Swap { first, second, length },
                _ => Damage::Zero { offset: first, length },
            };
            // A segment that was not there then has no stale bytes.
            let _ = disk.damage("wal", File::Segment(id, SegmentKind::Log), damage);
        }
        let role = if case % 4 == 0 { LogRole::Follower } else { LogRole::Leader };
        served += check(&disk, &truth, role);
        cases += 1;
    }
    println!("{cases} damaged logs, {} of 330 records served on average", served / cases);
    assert!(served / cases > 150);
}

#[test]
fn segments_that_are_exchanged_or_lost() {
    let Written { disk, truth, segments, .. } = written(true);
    let mut cases = 0;
    for first in 1..=segments {
        for second in 1..=segments {
            let disk = disk.copy();
            let mut bytes = vec![0; SEGMENT_BYTES as usize];
            let file = |id| store(&disk).open(SegmentId(id), SegmentKind::Log).unwrap();
            file(first).read_at(0, &mut bytes).unwrap();
            file(second).write_at(0, &bytes).unwrap();
            check(&disk, &truth, LogRole::Leader);
            check(&disk, &truth, LogRole::Follower);
            store(&disk).remove(SegmentId(first), SegmentKind::Log).ok();
            check(&disk, &truth, LogRole::Leader);
            cases += 3;
        }
    }
    println!("{cases} logs with exchanged or lost segments");
}

#[test]
fn every_bit_of_every_header() {
    let Written { disk, truth, segments, .. } = written(true);
    let mut flips = 0;
    for id in 1..=segments {
        for bit in 0..512 {
            let disk = disk.copy();
            let damage = Damage::FlipBit { offset: bit / 8, bit: (bit % 8) as u8 };
            disk.damage("wal", File::Segment(SegmentId(id), SegmentKind::Log), damage).unwrap();
            let (log, report) = open(&disk);
            assert_eq!(log.appended(), Lsn(330));
            assert_eq!(report.rungs.headers_rebuilt, u64::from(bit < 480), "bit {bit}");
            flips += 1;
            if bit % 16 == 0 {
                assert_eq!(check(&disk, &truth, LogRole::Leader), 330);
            }
        }
    }
    println!("{flips} bits of headers flipped");
}

#[test]
fn the_newest_segment_cut_around_every_frame() {
    for (closed, zeros) in [(false, false), (false, true), (true, false), (true, true)] {
        let Written { disk, truth, segments, .. } = written(closed);
        let id = SegmentId(segments);
        let (log, _) = open(&disk.copy());
        let first = log.reader().segments().last().unwrap().first;
        let edges: Vec<u64> = (first.0..=330)
            .map(|lsn| u64::from(log.reader().locate(Lsn(lsn)).unwrap().position.offset))
            .collect();
        let end = u64::from(log.tail().offset);
        let mut bytes = vec![0; SEGMENT_BYTES as usize];
        store(&disk).open(id, SegmentKind::Log).unwrap().read_at(0, &mut bytes).unwrap();
        let mut cases = 0;
        for edge in edges.iter().copied().chain([end]) {
            for cut in edge - 16..=edge + 16 {
                let disk = disk.copy();
                store(&disk).remove(id, SegmentKind::Log).unwrap();
                let size = if zeros { SEGMENT_BYTES } else { cut };
                let file = store(&disk).create(id, size).unwrap();
                file.write_at(0, &bytes[..cut as usize]).unwrap();
                let whole = edges.iter().skip(1).chain([&end]).filter(|&&end| end <= cut).count();
                let served = check(&disk, &truth, LogRole::Leader);
                let padded = if zeros { 1 } else { 0 };
                let least = first.0 as usize - 1 + whole;
                assert!((least..=least + padded).contains(&served), "cut at {cut}");
                cases += 1;
            }
        }
        println!("{cases} cuts, closed: {closed}, filled with zeros: {zeros}");
    }
}
