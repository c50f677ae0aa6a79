//! Records, logs and reads that the tests share.

use unison_base::frame::{frame_bytes, write_frame};
use unison_base::{Lsn, SegmentId};
use unison_ports::{SegmentFile, SegmentKind, SegmentStore};
use unison_sim::disk::{CrashDisk, DiskOptions, SimStore};
use unison_walfs::{
    LogOptions, LogRole, RunHeader, SmallLog, SmallReadError, SmallReport, StageError,
};

pub(crate) const SEGMENT_BYTES: u64 = 64 << 10;
pub(crate) const NOW_NS: u64 = 1_700_000_000_000_000_000;
/// Segments that a log under test may have.
pub(crate) const SEGMENTS: usize = 6;
pub(crate) const BUFFER_BYTES: usize = 8 << 10;
pub(crate) const MOST: usize = 1_500;

/// Records by their LSN.
pub(crate) type Records = Vec<(u64, Vec<u8>)>;

pub(crate) type Log<'m, S = SimStore> = SmallLog<'m, S, SEGMENTS>;

/// A FlatBuffer whose root table holds the LSN in field 0 and a durable LSN plus one in field 9; behind
/// it lies a body that follows from the LSN.
pub(crate) fn record(lsn: Lsn, durable: Lsn) -> Vec<u8> {
    let mut bytes = vec![0; 56];
    bytes[0..4].copy_from_slice(&32_u32.to_le_bytes());
    bytes[4..6].copy_from_slice(&24_u16.to_le_bytes());
    bytes[6..8].copy_from_slice(&24_u16.to_le_bytes());
    bytes[8..10].copy_from_slice(&8_u16.to_le_bytes());
    bytes[26..28].copy_from_slice(&16_u16.to_le_bytes());
    bytes[32..36].copy_from_slice(&28_i32.to_le_bytes());
    bytes[40..48].copy_from_slice(&lsn.0.to_le_bytes());
    bytes[48..56].copy_from_slice(&(durable.0 + 1).to_le_bytes());
    let seed = lsn.0.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let length = (seed >> 33) as usize % MOST;
    bytes.extend((0..length).map(|at| (seed >> (at % 57)) as u8 ^ at as u8));
    bytes
}

pub(crate) fn disk() -> CrashDisk {
    CrashDisk::with(DiskOptions { mapped: false, seed: 1 })
}

pub(crate) fn options(role: LogRole) -> LogOptions {
    LogOptions { segment_bytes: SEGMENT_BYTES, verify_from: Lsn::ZERO, role }
}

/// Opens a log in a buffer of its own for as long as `work` takes.
pub(crate) fn with_log<S: SegmentStore, T>(
    store: &S,
    role: LogRole,
    work: impl FnOnce(&mut Log<'_, S>, &SmallReport) -> T,
) -> T {
    let mut buffer = [0; BUFFER_BYTES];
    let (mut log, report) = Log::open(store, options(role), &mut buffer, NOW_NS).unwrap();
    work(&mut log, &report)
}

/// Stages the next record, appending and rotating as it has to be.
pub(crate) fn stage<S: SegmentStore>(log: &mut Log<'_, S>) {
    let bytes = record(log.next_lsn(), log.durable());
    loop {
        match log.stage(&bytes) {
            Ok(_) => return,
            Err(StageError::BufferFull) => drop(log.append_staged(NOW_NS).unwrap()),
            Err(StageError::SegmentFull) => {
                log.append_staged(NOW_NS).unwrap();
                log.rotate(NOW_NS).unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Appends records in groups of one to four, syncing now and then, until there are `count`.
pub(crate) fn fill<S: SegmentStore>(log: &mut Log<'_, S>, count: u64) {
    while log.appended().0 < count {
        let group = (1 + log.next_lsn().0 % 4).min(count - log.appended().0);
        (0..group).for_each(|_| stage(log));
        log.append_staged(NOW_NS).unwrap();
        if log.appended().0.is_multiple_of(3) {
            log.sync().unwrap();
        }
    }
    log.sync().unwrap();
}

/// Every record; gaps are passed over and returned.
pub(crate) fn read_all<S: SegmentStore>(log: &Log<'_, S>) -> (Records, Vec<(Lsn, Lsn)>) {
    let mut buffer = [0; BUFFER_BYTES];
    let (mut records, mut gaps, mut from) = (Vec::new(), Vec::new(), log.first());
    loop {
        let show = &mut |record: unison_walfs::SmallRecord<'_>| {
            records.push((record.lsn.0, record.payload.to_vec()));
        };
        match log.visit(from, &mut buffer, show) {
            Ok(()) => return (records, gaps),
            Err(SmallReadError::Read(unison_walfs::ReadError::Gap { from: gap, to })) => {
                gaps.push((gap, to));
                from = to.next();
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Checks that the log holds every record from its first to its last, each the one that was written.
pub(crate) fn check_whole<S: SegmentStore>(log: &Log<'_, S>) {
    let (records, gaps) = read_all(log);
    assert_eq!(gaps, []);
    let lsns: Vec<u64> = records.iter().map(|(lsn, _)| *lsn).collect();
    assert_eq!(lsns, (log.first().0..=log.appended().0).collect::<Vec<_>>());
    check_bodies(&records);
}

pub(crate) fn check_bodies(records: &[(u64, Vec<u8>)]) {
    for (lsn, bytes) in records {
        let written = record(Lsn(*lsn), Lsn::ZERO);
        assert!(bytes[56..] == written[56..] && bytes.len() == written.len(), "body of {lsn}");
    }
}

pub(crate) fn bytes_of(store: &SimStore, id: SegmentId) -> Vec<u8> {
    let file = store.open(id, SegmentKind::Log).unwrap();
    let mut bytes = vec![0; file.size() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

/// What a leader has: frames in segments, and where each belongs.
pub(crate) struct Source {
    pub(crate) runs: Vec<(RunHeader, Vec<u8>)>,
    /// Behind the last frame of each segment.
    pub(crate) ends: Vec<u32>,
}

/// Runs of up to four frames, laid out by other code than the log under test.
pub(crate) fn source(segments: u32) -> Source {
    let mut source = Source { runs: Vec::new(), ends: Vec::new() };
    let mut lsn = Lsn::FIRST;
    for id in 1..=segments {
        let mut offset = 64_u32;
        loop {
            let (first, mut frames, mut count) = (lsn, Vec::new(), 0);
            let room = SEGMENT_BYTES as usize - offset as usize;
            for _ in 0..1 + lsn.0 % 4 {
                let payload = record(lsn, lsn.prev());
                let at = frames.len();
                if at + frame_bytes(payload.len()).unwrap() > room {
                    break;
                }
                frames.resize(at + frame_bytes(payload.len()).unwrap(), 0);
                write_frame(&payload, &mut frames[at..]).unwrap();
                (lsn, count) = (lsn.next(), count + 1);
            }
            if count == 0 {
                break;
            }
            let segment_bytes = SEGMENT_BYTES;
            let run = RunHeader { segment: SegmentId(id), offset, first, count, segment_bytes };
            offset += frames.len() as u32;
            source.runs.push((run, frames));
        }
        source.ends.push(offset);
    }
    source
}
