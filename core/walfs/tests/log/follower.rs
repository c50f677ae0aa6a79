//! A follower's segments equal its leader's.

use crate::support::*;
use unison_base::prng::Prng;
use unison_base::{Lsn, SegmentId};
use unison_ports::{IoError, SegmentFile, SegmentKind, SegmentStore};
use unison_sim::disk::{Calls, CrashDisk, Fault, SimStore};
use unison_walfs::{Bound, CutError, Log, LogReader, ReadError, RunError, RunHeader, Step};

fn header(step: &Step<SimStore>) -> Option<(RunHeader, Vec<u8>)> {
    match step {
        Step::Run { segment, offset, first, count, segment_bytes, frames } => {
            let (segment, offset) = (*segment, *offset);
            let run = RunHeader {
                segment,
                offset,
                first: *first,
                count: *count,
                segment_bytes: *segment_bytes,
            };
            Some((run, frames.to_vec()))
        }
        Step::Seal { .. } => None,
    }
}

/// Sends everything from `from` on, in runs of some size.
fn send(reader: &LogReader<SimStore>, follower: &mut Log<SimStore>, from: Lsn, prng: &mut Prng) {
    let mut cursor = reader.cursor(from, Bound::Durable).unwrap();
    while let Some(step) = cursor.next_run(prng.between(1, 9_000) as usize).unwrap() {
        match &step {
            Step::Seal { segment, offset, next_bytes } => {
                follower.seal_at(*segment, *offset, *next_bytes, NOW_NS).unwrap();
                follower.seal_at(*segment, *offset, *next_bytes, NOW_NS).unwrap();
            }
            Step::Run { .. } => {
                let (run, frames) = header(&step).unwrap();
                follower.append_run(run, &frames).unwrap();
                if prng.chance(20) {
                    assert!(follower.append_run(run, &frames).is_ok(), "delivery is idempotent");
                }
            }
        }
        if prng.chance(30) {
            follower.sync().unwrap();
        }
    }
    follower.sync().unwrap();
}

fn bytes_of(disk: &CrashDisk, id: SegmentId) -> Vec<u8> {
    let file = store(disk).open(id, SegmentKind::Log).unwrap();
    let mut bytes = vec![0; file.size() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes.split_off(64)
}

fn assert_equal_segments(leader: &CrashDisk, follower: &CrashDisk) {
    let ids = |disk: &CrashDisk| {
        let mut ids = Vec::new();
        let log_only = &mut |entry: unison_ports::SegmentEntry| {
            if entry.kind == SegmentKind::Log {
                ids.push(entry.id);
            }
        };
        store(disk).list(log_only).unwrap();
        ids.sort_unstable();
        ids
    };
    assert_eq!(ids(leader), ids(follower));
    for id in ids(leader) {
        assert!(bytes_of(leader, id) == bytes_of(follower, id), "segment {id} differs");
    }
}

#[test]
fn a_follower_has_the_same_bytes() {
    let (ours, theirs) = (disk(false), disk(false));
    let (mut leader, _) = open(&ours);
    let (mut follower, _) = open_follower(&theirs);
    let mut prng = Prng::new(4);
    for count in [10, 11, 300, 800, 1_500] {
        fill(&mut leader, count, 700);
        let from = follower.next_lsn();
        send(&leader.reader(), &mut follower, from, &mut prng);
        assert_eq!(follower.durable(), Lsn(count));
        if prng.chance(50) {
            drop(follower);
            follower = open_follower(&theirs).0;
        }
        assert_equal_segments(&ours, &theirs);
    }
    assert_eq!(read_all(&leader.reader()), read_all(&follower.reader()));
}

#[test]
fn a_follower_starts_in_the_middle_and_leads_further() {
    let disks = [disk(false), disk(false), disk(false)];
    let (mut leader, _) = open(&disks[0]);
    fill(&mut leader, 900, 700);
    let start = leader.reader().segments()[2];
    let mut prng = Prng::new(8);
    let (mut relay, _) = open_follower(&disks[1]);
    send(&leader.reader(), &mut relay, start.first, &mut prng);
    assert_eq!((relay.first(), relay.durable()), (start.first, Lsn(900)));
    let (mut last, _) = open_follower(&disks[2]);
    send(&relay.reader(), &mut last, start.first, &mut prng);
    assert_equal_segments(&disks[1], &disks[2]);
    assert_eq!(
        last.reader().cursor(Lsn(1), Bound::Durable).err(),
        Some(ReadError::BehindRetention { first: start.first })
    );
}

#[test]
fn bad_runs_are_refused_and_change_nothing() {
    let (ours, theirs) = (disk(false), disk(false));
    let (mut leader, _) = open(&ours);
    fill(&mut leader, 60, 100);
    let (mut follower, _) = open_follower(&theirs);
    let mut cursor = leader.reader().cursor(Lsn(1), Bound::Durable).unwrap();
    let step = cursor.next_run(3_000).unwrap().unwrap();
    let (first, frames) = header(&step).unwrap();
    follower.append_run(first, &frames).unwrap();
    follower.sync().unwrap();
    let (run, frames) = header(&cursor.next_run(2_000).unwrap().unwrap()).unwrap();
    let before = (theirs.counters(), follower.appended(), follower.tail());
    let mut refused = 0;
    for bit in 0..frames.len() * 8 {
        let mut damaged = frames.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(follower.append_run(run, &damaged).is_err(), "bit {bit}");
        refused += 1;
    }
    for length in 0..frames.len() {
        assert!(follower.append_run(run, &frames[..length]).is_err(), "cut at {length}");
        refused += 1;
    }
    let next = run.segment.next();
    let wrong = [
        RunHeader { offset: run.offset + 8, ..run },
        RunHeader { offset: run.offset - 8, ..run },
        RunHeader { offset: 0, ..run },
        RunHeader { offset: u32::MAX, ..run },
        RunHeader { segment: SegmentId(0), ..run },
        RunHeader { segment: next, ..run },
        RunHeader { count: run.count + 1, ..run },
        RunHeader { count: 0, ..run },
        RunHeader { first: Lsn(0), ..run },
        RunHeader { first: run.first.next(), ..run },
        RunHeader { segment_bytes: 0, ..run },
        RunHeader { segment_bytes: u64::MAX, ..run },
    ];
    for run in wrong {
        assert!(follower.append_run(run, &frames).is_err(), "{run:?}");
        refused += 1;
    }
    let (later, last) = header(&cursor.next_run(500).unwrap().unwrap()).unwrap();
    let dense = RunError::NotDense { expected: run.first, found: later.first };
    assert_eq!(follower.append_run(later, &last), Err(dense));
    assert_eq!(before, (theirs.counters(), follower.appended(), follower.tail()));
    follower.append_run(run, &frames).unwrap();
    println!("{refused} bad runs refused");
}

#[test]
fn a_cut_sets_the_suffix_aside_and_the_log_goes_on() {
    let mut prng = Prng::new(21);
    for cut in [0, 1, 5, 120, 151, 155, 299, 400, 799, 800] {
        let (ours, theirs) = (disk(false), disk(false));
        let (mut leader, _) = open(&ours);
        fill(&mut leader, 800, 700);
        let (mut follower, _) = open_follower(&theirs);
        send(&leader.reader(), &mut follower, Lsn(1), &mut prng);
        let mut stale = follower.reader().cursor(Lsn(600), Bound::Durable).unwrap();
        stale.next().unwrap().unwrap();
        follower.cut_after(Lsn(cut), NOW_NS).unwrap();
        assert_eq!((follower.appended(), follower.durable()), (Lsn(cut), Lsn(cut)));
        let kept = read_all(&follower.reader());
        assert_eq!(kept.records.len() as u64, cut);
        if cut < 600 {
            assert_eq!(stale.next().unwrap_err(), ReadError::Ahead { last: Lsn(cut) });
        }
        let (again, _) = open_follower(&theirs.copy());
        assert_eq!((again.appended(), read_all(&again.reader())), (Lsn(cut), kept));
        let aside = follower.reader().segments().iter().any(|s| s.kind == SegmentKind::Aside);
        assert_eq!(aside, cut < 800);
        send(&leader.reader(), &mut follower, Lsn(cut + 1), &mut prng);
        assert_equal_segments(&ours, &theirs);
        drop(follower);
        let (promoted, report) = open(&theirs);
        assert_eq!((promoted.appended(), report.rungs.rot_segments), (Lsn(800), 0));
        assert_eq!(read_all(&promoted.reader()), read_all(&leader.reader()));
    }
}

#[test]
fn a_cut_that_fails_anywhere_leaves_a_log_that_ends_earlier() {
    let (ours, mut failed) = (disk(false), 0);
    let (mut leader, _) = open(&ours);
    fill(&mut leader, 500, 700);
    for nth in 1..40 {
        let theirs = disk(false);
        let (mut follower, _) = open_follower(&theirs);
        let mut prng = Prng::new(nth);
        send(&leader.reader(), &mut follower, Lsn(1), &mut prng);
        theirs.inject(Fault::once(Calls::Any, nth, IoError::NoSpace));
        let cut = follower.cut_after(Lsn(200), NOW_NS);
        theirs.heal();
        failed += u64::from(matches!(cut, Err(CutError::Io(_) | CutError::Read(_))));
        let ends = follower.appended();
        assert_eq!(read_all(&follower.reader()).records.len() as u64, ends.0, "call {nth}");
        assert!(open_follower(&theirs.copy()).0.appended() <= ends.max(Lsn(200)), "call {nth}");
        follower.cut_after(Lsn(200), NOW_NS).unwrap();
        assert!(follower.appended() <= Lsn(200), "call {nth}");
        let from = follower.next_lsn();
        send(&leader.reader(), &mut follower, from, &mut prng);
        assert_eq!(read_all(&follower.reader()), read_all(&leader.reader()), "call {nth}");
    }
    println!("{failed} cuts failed");
    assert!(failed > 5);
}

#[test]
fn a_file_that_lost_its_room_is_replaced() {
    let (ours, theirs) = (disk(false), disk(false));
    let (mut leader, _) = open(&ours);
    fill(&mut leader, 50, 300);
    let (mut follower, _) = open_follower(&theirs);
    let mut prng = Prng::new(3);
    send(&leader.reader(), &mut follower, Lsn(1), &mut prng);
    let end = follower.tail().offset;
    let bytes = bytes_of(&theirs, SegmentId(1));
    drop(follower);
    store(&theirs).remove(SegmentId(1), SegmentKind::Log).unwrap();
    let short = store(&theirs).create(SegmentId(1), u64::from(end)).unwrap();
    short.write_at(64, &bytes[..end as usize - 64]).unwrap();
    let (mut follower, report) = open_follower(&theirs);
    assert_eq!((report.rungs.headers_rebuilt, follower.appended()), (1, Lsn(50)));
    fill(&mut leader, 400, 300);
    send(&leader.reader(), &mut follower, Lsn(51), &mut prng);
    assert_equal_segments(&ours, &theirs);
}
