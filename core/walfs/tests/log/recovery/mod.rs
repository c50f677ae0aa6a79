//! The table of `unison_walfs::recovery`, row by row.

mod holes;
mod rot;
mod segments;
mod tails;

use crate::support::*;
use std::sync::Arc;
use unison_base::frame::{self, frame_bytes};
use unison_base::{Lsn, SegmentId};
use unison_ports::{SegmentFile, SegmentKind, SegmentStore};
use unison_sim::disk::{CrashDisk, Damage, File, SimSegment, SimStore};
use unison_walfs::layout::{FIRST_FRAME, FLAG_ACTIVE, SegmentHeader};
use unison_walfs::{
    Bound, Log, LogOptions, LogRole, OpenError, ReadError, RecoveryEvent, RecoveryReport,
    RunHeader, Rung, RungCounts, Step,
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
            + c.unproved_holes
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
