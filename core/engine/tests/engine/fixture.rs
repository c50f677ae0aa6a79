//! An engine on a disk in memory.

use redb::{DatabaseError, StorageBackend, StorageError};
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use unison_base::limits::SEGMENT_BYTES_MIN;
use unison_base::{Lsn, NamespaceName};
use unison_engine::{
    Engine, EngineOpenError, EngineOptions, Keyring, MasterKey, OpenReport, Operation, Reader,
    ScanRequest, Snapshot, Write, WriteError, Written,
};
use unison_sim::SimEntropy;
use unison_sim::disk::{CrashDisk, SimStore};
use unison_walfs::LogRole;

pub(crate) type Sim = Engine<SimStore>;

/// 2023, in milliseconds.
pub(crate) const NOW_MS: u64 = 1_700_000_000_000;

/// Small enough for flushes and rotations to happen all the time.
pub(crate) fn options() -> EngineOptions {
    EngineOptions {
        memtable_bytes: 4 << 10,
        memtables_max: 2,
        checkpoint_log_bytes: 64 << 10,
        inline_value_bytes: 16,
        segment_bytes: SEGMENT_BYTES_MIN,
        ..EngineOptions::default()
    }
}

pub(crate) fn follower_options() -> EngineOptions {
    EngineOptions { role: LogRole::Follower, ..options() }
}

pub(crate) fn try_open(
    disk: &CrashDisk,
    options: EngineOptions,
) -> Result<(Sim, OpenReport), EngineOpenError> {
    let mut builder = redb::Database::builder();
    builder.set_cache_size(1 << 20);
    let mut tree = builder.create_with_backend(disk.tree("ns"));
    if let Err(DatabaseError::Storage(StorageError::Io(error))) = &tree {
        if error.kind() == ErrorKind::InvalidData {
            // The power went while redb made the file: it writes its magic number last. Nothing
            // was ever in it, and an owner of such a file begins anew.
            disk.tree("ns").set_len(0).expect("an empty file");
        }
        tree = builder.create_with_backend(disk.tree("ns"));
    }
    let tree = tree.expect("a tree");
    Engine::open(Arc::new(disk.store("ns")), tree, options, NOW_MS)
}

pub(crate) fn open(disk: &CrashDisk, options: EngineOptions) -> Sim {
    try_open(disk, options).expect("an engine").0
}

/// As [`open`], with the master key of the namespace.
pub(crate) fn open_with_keys(disk: &CrashDisk, options: EngineOptions) -> Sim {
    let mut engine = open(disk, options);
    engine.set_keys(keys());
    engine
}

/// A namespace's keys, which seal differently each time.
pub(crate) fn keys() -> Keyring {
    static OPENED: AtomicU64 = AtomicU64::new(0);
    let entropy = SimEntropy::new(OPENED.fetch_add(1, Ordering::Relaxed));
    let name = NamespaceName::new("ns").expect("a name");
    Keyring::new(name, vec![MasterKey::new(&[7; 32])], Arc::new(entropy))
}

pub(crate) fn new(options: EngineOptions) -> (CrashDisk, Sim) {
    let disk = CrashDisk::new();
    let engine = open(&disk, options);
    (disk, engine)
}

/// Writes, syncs and publishes what is staged.
pub(crate) fn commit(engine: &mut Sim) -> Lsn {
    engine.append(NOW_MS).expect("appended");
    let outcome = engine.sync_ticket().run();
    let durable = engine.synced(outcome).expect("synced");
    engine.publish(durable);
    durable
}

pub(crate) fn stage(
    engine: &mut Sim,
    operation: Operation<'_>,
) -> Result<Written<SimStore>, WriteError> {
    engine.stage(&Write::new(operation), NOW_MS)
}

pub(crate) fn put(engine: &mut Sim, key: &[u8], value: &[u8]) -> Lsn {
    stage(engine, Operation::Put { key, value }).expect("staged").lsn
}

pub(crate) fn delete(engine: &mut Sim, key: &[u8]) -> Lsn {
    stage(engine, Operation::Delete { key }).expect("staged").lsn
}

/// Flushes everything there is, on this thread.
pub(crate) fn flush(engine: &mut Sim) {
    while let Some(job) = engine.flush_now() {
        engine.flushed(job.run()).expect("flushed");
    }
}

pub(crate) fn get(reader: &Reader<SimStore>, key: &[u8]) -> Option<Vec<u8>> {
    let value = reader.get(key).expect("readable");
    value.map(|value| value.bytes().expect("sound").to_vec())
}

pub(crate) type Pairs = Vec<(Vec<u8>, Vec<u8>, Lsn)>;

pub(crate) fn scan(snapshot: &Snapshot<SimStore>, request: ScanRequest<'_>) -> Pairs {
    let items = snapshot.scan(request).expect("a scan");
    items
        .map(|item| {
            let item = item.expect("readable");
            let value = item.value.bytes().expect("sound").to_vec();
            assert_eq!(item.value.len(), value.len());
            (item.key, value, item.lsn)
        })
        .collect()
}

pub(crate) fn all(reader: &Reader<SimStore>) -> Pairs {
    scan(&reader.snapshot(), ScanRequest::default())
}

/// How many cases a test of many runs: what a variable of the environment says, else `usual`.
pub(crate) fn number_of_cases(variable: &str, usual: u64) -> u64 {
    let asked = std::env::var(variable).ok();
    asked.and_then(|number| number.parse().ok()).unwrap_or(usual)
}
