//! What a follower writes again after an unclean stop, and that it is enough.

use crate::support::*;
use unison_base::prng::Prng;
use unison_base::{Lsn, SegmentId};
use unison_ports::{IoError, SegmentFile, SegmentKind, SegmentStore};
use unison_sim::disk::{Calls, CrashDisk, Cut, Fault, Moment, SimStore};
use unison_walfs::layout::{FIRST_FRAME, FLAG_ACTIVE, SegmentHeader};
use unison_walfs::{Bound, Log, LogOptions, LogRole, RecoveryReport, RunError, RunHeader, Step};

const MOST: u64 = 20_000;
const MIB: u64 = 1 << 20;
/// A run of the tests has no more bytes.
const RUN_BYTES: usize = 200_000;

/// What a leader has: runs of frames, and where its segments end.
enum Sent {
    Run(RunHeader, Vec<u8>),
    Seal(SegmentId, u32, u64),
}

/// The first `bytes` of a leader's log in segments of `segment_bytes`.
fn source(segment_bytes: u64, bytes: u64) -> Vec<Sent> {
    let options = LogOptions { segment_bytes, ..options(LogRole::Leader) };
    let (mut log, _) = Log::open(store(&disk(false)), options, NOW_NS).unwrap();
    let mut written = 0;
    while written < bytes {
        written += stage(&mut log, MOST).len() as u64;
        log.append_staged().unwrap();
    }
    log.sync().unwrap();
    let mut cursor = log.reader().cursor(Lsn(1), Bound::Durable).unwrap();
    let mut sent = Vec::new();
    while let Some(step) = cursor.next_run(RUN_BYTES).unwrap() {
        sent.push(match step {
            Step::Run { segment, offset, first, count, segment_bytes, frames } => {
                let run = RunHeader { segment, offset, first, count, segment_bytes };
                Sent::Run(run, frames.to_vec())
            }
            Step::Seal { segment, offset, next_bytes } => Sent::Seal(segment, offset, next_bytes),
        });
    }
    sent
}

fn take(log: &mut Log<SimStore>, sent: &Sent) -> Result<(), RunError> {
    match sent {
        Sent::Run(run, frames) => log.append_run(*run, frames).map(drop),
        Sent::Seal(segment, offset, next) => log.seal_at(*segment, *offset, *next, NOW_NS),
    }
}

fn header(disk: &CrashDisk) -> SegmentHeader {
    let mut bytes = [0; 64];
    let file = store(disk).open(SegmentId(1), SegmentKind::Log).unwrap();
    file.read_at(0, &mut bytes).unwrap();
    SegmentHeader::decode(&bytes).unwrap()
}

/// A follower of one segment of 16 MiB that was never closed, and where its frames end.
fn never_closed() -> (CrashDisk, u64) {
    let disk = disk(false);
    let (mut log, _) = open_follower(&disk);
    for sent in source(16 * MIB, 12 * MIB) {
        take(&mut log, &sent).unwrap();
        log.sync().unwrap();
    }
    (disk, u64::from(log.tail().offset))
}

/// Opens and tells how many bytes that wrote.
fn reopen(disk: &CrashDisk) -> (u64, RecoveryReport) {
    let before = disk.counters();
    let (log, report) = open_follower(disk);
    assert_eq!(log.durable(), log.appended());
    (disk.counters().segment_bytes - before.segment_bytes, report)
}

#[test]
fn after_an_unclean_stop_a_follower_writes_little_again() {
    let (disk, end) = never_closed();
    let frames = end - FIRST_FRAME;
    let handed = disk.counters().segment_bytes;
    assert!(handed < frames + frames / 100, "{handed} for {frames}");
    let told = header(&disk).write_offset;
    assert!(end - told < MIB + RUN_BYTES as u64, "{told} of {end}");
    let (again, report) = reopen(&disk);
    println!("{again} of {frames} bytes are written again");
    assert!(again >= end - told && again < MIB + RUN_BYTES as u64 + 64, "{again}");
    assert_eq!(report.rungs, Default::default());
    assert_eq!(header(&disk).write_offset, end);
    assert_eq!(reopen(&disk), (0, report), "and what was written again once is proved");
}

/// Nothing but a sound header proves anything.
#[test]
fn without_a_header_everything_is_written_again() {
    let (disk, end) = never_closed();
    let file = store(&disk).open(SegmentId(1), SegmentKind::Log).unwrap();
    file.write_at(24, &[0x5A]).unwrap();
    let (again, report) = reopen(&disk);
    assert_eq!((again, report.rungs.headers_rebuilt), (end, 1));
}

/// A header counts whole frames, and none that came while they were synced.
#[test]
fn a_followers_header_is_true_of_an_earlier_time() {
    let disk = disk(false);
    let (mut log, _) = open_follower(&disk);
    let (mut ends, mut seen) = (vec![(FIRST_FRAME, 0)], 1);
    for sent in source(16 * MIB, 5 * MIB) {
        let ticket = log.sync_ticket();
        take(&mut log, &sent).unwrap();
        log.completed(ticket.run()).unwrap();
        let header = header(&disk);
        assert!(ends.contains(&(header.write_offset, header.entry_count)), "{header:?}");
        assert_eq!(header.flags, FLAG_ACTIVE);
        seen += usize::from(header.write_offset == ends[ends.len() - 1].0);
        ends.push((u64::from(log.tail().offset), log.appended().0));
    }
    assert!((4..=7).contains(&seen), "written {seen} times in 5 MiB");
}

/// A moment, and what the follower had told its leader that it has.
struct Told {
    moment: Moment,
    durable: Lsn,
}

/// A follower's life in which the `nth` sync fails and the process starts again.
fn life(sent: &[Sent], nth: u64) -> Vec<Told> {
    let disk = disk(false);
    disk.record_moments();
    disk.inject(Fault::once(Calls::Syncs, nth, IoError::Device(5)));
    let (mut log, _) = open_follower(&disk);
    let (mut told, mut durable, mut prng) = (Vec::new(), Lsn::ZERO, Prng::new(nth));
    for sent in sent {
        // A segment that could not be made is asked for again.
        take(&mut log, sent).or_else(|_| take(&mut log, sent)).unwrap();
        if prng.chance(60) && log.sync().is_err() {
            drop(log);
            log = open_follower(&disk).0;
        }
        let moments = disk.take_moments().into_iter();
        told.extend(moments.map(|moment| Told { moment, durable }));
        durable = log.durable();
    }
    told.push(Told { moment: disk.moment(), durable });
    told
}

/// What was told is there, as it was sent, and what an opening serves outlives the next cut.
fn check(told: &Told, cut: Cut, prng: &mut Prng) {
    let disk = told.moment.cut(cut, prng);
    let (log, report) = open_follower(&disk);
    assert!(log.appended() >= told.durable, "{} told, {report:?}", told.durable);
    let found = read_all(&log.reader());
    assert_eq!(found.lsns(), (1..=log.appended().0).collect::<Vec<_>>(), "{report:?}");
    check_bodies(&found, MOST);
    let rungs = report.rungs;
    assert_eq!((rungs.rot_segments, rungs.gaps, rungs.lost_tails), (0, 0, 0), "{report:?}");
    let again = open_follower(&disk.moment().cut(Cut::LOST, prng)).0;
    assert!(again.appended() >= log.durable(), "{} served", log.durable());
}

#[test]
fn what_a_follower_told_survives_failed_syncs_restarts_and_cuts() {
    let sent = source(3 * MIB, 5 * MIB);
    let (mut states, mut holes) = (0, 0);
    for nth in 2..18 {
        let life = life(&sent, nth);
        let mut prng = Prng::new(nth);
        for told in life.iter().filter(|_| prng.chance(20)) {
            let mut prng = Prng::new(states);
            check(told, Cut::LOST, &mut prng);
            check(told, Cut::REORDERED_SECTORS, &mut prng);
            let cut = told.moment.cut(Cut::REORDERED_SECTORS, &mut prng);
            holes += open_follower(&cut).1.rungs.unproved_holes;
            states += 2;
        }
    }
    println!("{states} states, {holes} holes");
    assert!(states > 100 && holes > 0, "{states} states, {holes} holes");
}
