//! Reliability row 10, as far as the log goes: bytes written for bytes of records.

use crate::DIRECTORY;
use crate::record::record;
use std::sync::Arc;
use unison_base::Lsn;
use unison_sim::disk::CrashDisk;
use unison_sim::planted::{Bug, PlantedStore};
use unison_walfs::{Log, LogOptions, LogRole, StageError};

const SEGMENT_BYTES: u64 = 1 << 20;

fn open(disk: &CrashDisk) -> Log<PlantedStore> {
    let (verify_from, role) = (Lsn::ZERO, LogRole::Leader);
    let options = LogOptions { segment_bytes: SEGMENT_BYTES, verify_from, role };
    Log::open(Arc::new(PlantedStore::new(disk, DIRECTORY, Bug::None)), options, 0).unwrap().0
}

/// Writes 4 MiB of records; bytes handed to the disk for each byte of record, and bytes of pages
/// that the syncs wrote for each.
fn amplification(record_bytes: usize, group: u64) -> (f64, f64) {
    let disk = CrashDisk::new();
    let mut log = open(&disk);
    let mut bytes = 0_u64;
    while bytes < 4 << 20 {
        for _ in 0..group {
            let payload = record(log.next_lsn(), log.durable(), 0, record_bytes);
            if log.stage(&payload) == Err(StageError::SegmentFull) {
                log.append_staged().unwrap();
                log.rotate(0).unwrap();
                log.stage(&payload).unwrap();
            }
            bytes += payload.len() as u64;
        }
        log.append_staged().unwrap();
        log.sync().unwrap();
        if let Some(preparation) = log.preparation() {
            log.install(preparation.run());
        }
    }
    log.close().unwrap();
    let counters = disk.counters();
    let per_byte = |written: u64| written as f64 / bytes as f64;
    (per_byte(counters.segment_bytes), per_byte(counters.synced_page_bytes))
}

#[test]
fn the_log_writes_hardly_more_than_its_records() {
    for (record_bytes, group) in [(180, 1), (180, 64), (1_100, 1), (1_100, 64), (65_000, 1)] {
        let (handed, pages) = amplification(record_bytes, group);
        println!("{record_bytes:6} B x {group:2}: {handed:.3} bytes a byte, pages {pages:.3}");
        assert!(handed <= 1.3, "{handed} for {group} records of {record_bytes} bytes");
        let grouped = record_bytes as u64 * group >= 64 << 10;
        assert!(!grouped || pages <= 1.3, "{pages} in pages");
    }
}

#[test]
fn an_idle_log_writes_nothing() {
    let disk = CrashDisk::new();
    let mut log = open(&disk);
    let payload = record(log.next_lsn(), log.durable(), 0, 100);
    log.stage(&payload).unwrap();
    log.append_staged().unwrap();
    log.sync().unwrap();
    log.close().unwrap();
    let before = disk.counters();
    for _ in 0..3 {
        let mut log = open(&disk);
        log.sync().unwrap();
        log.close().unwrap();
    }
    let after = disk.counters();
    assert_eq!((after.writes, after.segment_bytes), (before.writes, before.segment_bytes));
}
