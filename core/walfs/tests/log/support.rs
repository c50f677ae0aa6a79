//! Records, logs and reads that the tests share.

use std::sync::Arc;
use unison_base::Lsn;
use unison_ports::SegmentStore;
use unison_sim::disk::{CrashDisk, DiskOptions, SimStore};
use unison_walfs::{
    Bound, Log, LogOptions, LogReader, LogRole, ReadError, RecoveryReport, StageError,
};

pub(crate) const SEGMENT_BYTES: u64 = 64 << 10;
pub(crate) const NOW_NS: u64 = 1_700_000_000_000_000_000;

/// Where the tables of a test record put their parts.
const TABLE: usize = 32;
const BODY: usize = 56;

/// A FlatBuffer whose root table holds the LSN in field 0 and, unless it is foreign, its leader's
/// durable LSN plus one in field 9; behind it lies a body that follows from LSN and length.
pub(crate) fn record(lsn: Lsn, durable: Option<Lsn>, body_bytes: usize) -> Vec<u8> {
    let mut bytes = vec![0; BODY];
    bytes[0..4].copy_from_slice(&(TABLE as u32).to_le_bytes());
    bytes[4..6].copy_from_slice(&24_u16.to_le_bytes());
    bytes[6..8].copy_from_slice(&24_u16.to_le_bytes());
    bytes[8..10].copy_from_slice(&8_u16.to_le_bytes());
    bytes[TABLE..TABLE + 4].copy_from_slice(&28_i32.to_le_bytes());
    bytes[TABLE + 8..TABLE + 16].copy_from_slice(&lsn.0.to_le_bytes());
    if let Some(durable) = durable {
        bytes[26..28].copy_from_slice(&16_u16.to_le_bytes());
        bytes[TABLE + 16..TABLE + 24].copy_from_slice(&(durable.0 + 1).to_le_bytes());
    }
    let seed = lsn.0.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bytes.extend((0..body_bytes as u64).map(|at| (seed >> (at % 57)) as u8 ^ at as u8));
    bytes
}

/// Length of a record's body, spread over `0..most`.
pub(crate) fn body_bytes(lsn: Lsn, most: u64) -> usize {
    (lsn.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % most as usize
}

pub(crate) fn options(role: LogRole) -> LogOptions {
    LogOptions { segment_bytes: SEGMENT_BYTES, verify_from: Lsn::ZERO, role }
}

pub(crate) fn store(disk: &CrashDisk) -> Arc<SimStore> {
    Arc::new(disk.store("wal"))
}

pub(crate) fn disk(mapped: bool) -> CrashDisk {
    CrashDisk::with(DiskOptions { mapped, seed: 1 })
}

pub(crate) fn open(disk: &CrashDisk) -> (Log<SimStore>, RecoveryReport) {
    Log::open(store(disk), options(LogRole::Leader), NOW_NS).unwrap()
}

pub(crate) fn open_follower(disk: &CrashDisk) -> (Log<SimStore>, RecoveryReport) {
    Log::open(store(disk), options(LogRole::Follower), NOW_NS).unwrap()
}

/// Stages the next record, rotating when the segment is full.
pub(crate) fn stage<S: SegmentStore>(log: &mut Log<S>, most: u64) -> Vec<u8> {
    let lsn = log.next_lsn();
    let bytes = record(lsn, Some(log.durable()), body_bytes(lsn, most));
    match log.stage(&bytes) {
        Ok(_) => {}
        Err(StageError::SegmentFull) => {
            log.append_staged().unwrap();
            log.rotate(NOW_NS + lsn.0).unwrap();
            log.stage(&bytes).unwrap();
        }
        Err(error) => panic!("{error}"),
    }
    bytes
}

/// Appends records in groups of one to eight, syncing now and then, until there are `count`.
pub(crate) fn fill<S: SegmentStore>(log: &mut Log<S>, count: u64, most: u64) {
    while log.appended().0 < count {
        let group = (1 + log.next_lsn().0 % 8).min(count - log.appended().0);
        for _ in 0..group {
            stage(log, most);
        }
        log.append_staged().unwrap();
        if log.appended().0.is_multiple_of(3) {
            log.sync().unwrap();
        }
    }
    log.sync().unwrap();
}

/// What a cursor finds: records, and gaps passed over.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) records: Vec<(Lsn, Vec<u8>)>,
    pub(crate) gaps: Vec<(Lsn, Lsn)>,
}

impl Found {
    pub(crate) fn lsns(&self) -> Vec<u64> {
        self.records.iter().map(|(lsn, _)| lsn.0).collect()
    }
}

/// Reads everything from the oldest record on.
pub(crate) fn read_all<S: SegmentStore>(reader: &LogReader<S>) -> Found {
    let mut found = Found::default();
    let mut from = reader.first();
    while from <= reader.appended() {
        match reader.cursor(from, Bound::Appended) {
            Ok(mut cursor) => loop {
                match cursor.next() {
                    Ok(Some(record)) => found.records.push((record.lsn, record.payload.to_vec())),
                    Ok(None) => return found,
                    Err(ReadError::Gap { from: gap, to }) => {
                        found.gaps.push((gap, to));
                        from = to.next();
                        break;
                    }
                    Err(error) => panic!("{error}"),
                }
            },
            Err(ReadError::Gap { from: gap, to }) => {
                found.gaps.push((gap, to));
                from = to.next();
            }
            Err(error) => panic!("{error}"),
        }
    }
    found
}

/// Checks that every record found is the one that [`fill`] wrote.
pub(crate) fn check_bodies(found: &Found, most: u64) {
    for (lsn, bytes) in &found.records {
        let body = body_bytes(*lsn, most);
        let plain = record(*lsn, None, body);
        assert_eq!(bytes.len(), plain.len(), "length of {lsn}");
        assert_eq!(bytes[BODY..], plain[BODY..], "body of {lsn}");
    }
}
