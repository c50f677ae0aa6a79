//! The whole store on this machine: group commit, SET, GET, scan, and bulk loads.

use crate::device;
use crate::floor::{RawLog, group};
use crate::measure::{Latencies, Setting, seconds};
use crate::peer::{Look, Redb, summed};
use crate::report::{Report, human};
use crate::sqlite::{Sqlite, SqliteReader};
use crate::workload::{VALUE_BYTES, Workload};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use unison_base::NamespaceName;
use unison_engine::{EngineOptions, Operation, ScanRequest, Write};
use unison_linux::store::{Durability, Namespace, Store, StoreOptions};

const COMMITTING: Duration = Duration::from_secs(1);
const BATCH: usize = 100;
const SCAN_ENTRIES: usize = 100;
/// redb reads a value's place and no byte of it; ours checks all of them, so a second row does too.
const REDB: [(&str, Look); 2] =
    [("redb, values not looked at", <[u8]>::len), ("redb, values checked", summed)];
const READS: u64 = 400_000;
const SCANS: u64 = 5_000;
const THREADS: usize = 2;
const COMMIT_THREADS: usize = 10;
/// Bulk load: this many times the keys of the other suites.
const BULK_TIMES: u64 = 5;
const TREE_CACHE_BYTES: usize = 256 << 20;

/// A store with one namespace, in a directory that goes with it.
pub(crate) struct Bench {
    pub(crate) store: Arc<Store>,
    pub(crate) namespace: Arc<Namespace>,
    dir: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn open(setting: &Setting<'_>, durability: Durability) -> anyhow::Result<Self> {
        let dir = setting.dir()?;
        let store = Store::open(StoreOptions {
            data_dir: dir.path().to_owned(),
            durability,
            engine: EngineOptions::default(),
            tree_cache_bytes: TREE_CACHE_BYTES,
            doubt_trees: false,
        })?;
        let namespace = store.create(&NamespaceName::new("bench")?)?;
        Ok(Self { store, namespace, dir })
    }

    /// All keys once, in batches. Returns the operations a second.
    pub(crate) fn load(&self, keys: u64) -> anyhow::Result<f64> {
        let mut workload = Workload::new(1, keys);
        let all: Vec<_> = workload.all_keys().collect();
        let values: Vec<_> = (0..BATCH).map(|_| workload.value().to_vec()).collect();
        let elapsed = seconds(|| {
            for keys in all.chunks(BATCH) {
                let pairs: Vec<_> =
                    keys.iter().zip(&values).map(|(k, v)| (k.as_slice(), v.as_slice())).collect();
                self.namespace.write(&Write::new(Operation::PutBatch(&pairs)))?;
            }
            Ok(())
        })?;
        Ok(keys as f64 / elapsed)
    }
}

/// What a second of commits gave.
struct Commits {
    latencies: Latencies,
    device_bytes: u64,
}

impl Commits {
    fn measure(
        dir: &Path,
        work: impl FnOnce(Instant) -> anyhow::Result<Latencies>,
    ) -> anyhow::Result<Self> {
        let before = device::bytes_written(dir);
        let latencies = work(Instant::now() + COMMITTING)?;
        let device_bytes = device::bytes_written(dir).saturating_sub(before);
        Ok(Self { latencies, device_bytes })
    }

    fn rate(&self) -> f64 {
        self.latencies.count() as f64 / COMMITTING.as_secs_f64()
    }

    /// Device bytes for each acknowledged byte of value.
    fn amplification(&self) -> f64 {
        self.device_bytes as f64 / (self.latencies.count().max(1) * VALUE_BYTES) as f64
    }
}

/// Durable writes beside the bare commit of the same minute, and redb's.
pub(crate) fn commits(setting: &Setting<'_>, report: &mut Report) -> anyhow::Result<()> {
    let mut bare = bare_commits(setting)?;
    let mut one = durable_sets(setting, 1)?;
    let (bare_p50, one_p50) = (bare.latencies.micros(50), one.latencies.micros(50));
    report.row(
        "durable SET, 1 thread, p50",
        format!("{one_p50:.0} us, device {:.1}x", one.amplification()),
        format!("bare commit {bare_p50:.0} us, device {:.1}x", bare.amplification()),
        format!("{:.2}x the time", one_p50 / bare_p50),
    );
    report.rate("durable SET, 1 thread", one.rate(), "redb", redb_commits(setting)?);
    report.rate("durable SET, 1 thread", one.rate(), "SQLite", sqlite_commits(setting)?);
    let mut ten = durable_sets(setting, COMMIT_THREADS)?;
    let what = format!(
        "durable SET, {COMMIT_THREADS} threads (p99 {:.0} us, device {:.1}x)",
        ten.latencies.micros(99),
        ten.amplification()
    );
    report.rate(&what, ten.rate(), "bare commits of one record", bare.rate());
    Ok(())
}

fn bare_commits(setting: &Setting<'_>) -> anyhow::Result<Commits> {
    let dir = setting.dir()?;
    let mut raw = RawLog::create(&dir.path().join("raw"), 64 << 20)?;
    let group = group(1, VALUE_BYTES + 128);
    Commits::measure(dir.path(), |deadline| {
        let mut latencies = Latencies::default();
        while Instant::now() < deadline {
            latencies.time(|| raw.append(&group).and_then(|()| raw.sync()))?;
        }
        Ok(latencies)
    })
}

fn durable_sets(setting: &Setting<'_>, threads: usize) -> anyhow::Result<Commits> {
    let bench = Bench::open(setting, Durability::Always)?;
    // The first segment is made before the clock starts, as it is on a node that runs.
    bench.namespace.write(&Write::put(b"first", b""))?;
    let commits = Commits::measure(bench.dir.path(), |deadline| {
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..threads)
                .map(|thread| {
                    let namespace = &bench.namespace;
                    scope
                        .spawn(move || sets_until(namespace, thread as u64, setting.keys, deadline))
                })
                .collect();
            let mut all = Latencies::default();
            for writer in writers {
                all.merge(writer.join().map_err(|_| anyhow::anyhow!("a writer panicked"))??);
            }
            Ok(all)
        })
    })?;
    bench.store.close()?;
    Ok(commits)
}

fn sets_until(
    namespace: &Namespace,
    seed: u64,
    keys: u64,
    deadline: Instant,
) -> anyhow::Result<Latencies> {
    let mut workload = Workload::new(seed, keys);
    let mut latencies = Latencies::default();
    while Instant::now() < deadline {
        let key = workload.random_key();
        let value = workload.value();
        latencies.time(|| namespace.write(&Write::put(&key, value)))?;
    }
    Ok(latencies)
}

fn redb_commits(setting: &Setting<'_>) -> anyhow::Result<f64> {
    let dir = setting.dir()?;
    let peer = Redb::create(dir.path())?;
    let mut workload = Workload::new(7, setting.keys);
    let mut count = 0_u32;
    let deadline = Instant::now() + COMMITTING;
    while Instant::now() < deadline {
        let pair = (workload.random_key(), workload.value().to_vec());
        peer.put(&[pair], true)?;
        count += 1;
    }
    Ok(f64::from(count) / COMMITTING.as_secs_f64())
}

fn sqlite_commits(setting: &Setting<'_>) -> anyhow::Result<f64> {
    let mut peer = Sqlite::create(setting, true)?;
    let mut workload = Workload::new(7, setting.keys);
    let mut count = 0_u32;
    let deadline = Instant::now() + COMMITTING;
    while Instant::now() < deadline {
        let key = workload.random_key();
        peer.put(&[(key, workload.value())])?;
        count += 1;
    }
    Ok(f64::from(count) / COMMITTING.as_secs_f64())
}

/// SET, GET and scan, beside redb alone and SQLite.
pub(crate) fn key_value(setting: &Setting<'_>, report: &mut Report) -> anyhow::Result<()> {
    let bench = Bench::open(setting, Durability::Never)?;
    let peer_dir = setting.dir()?;
    let peer = Redb::create(peer_dir.path())?;
    let ours = bench.load(setting.keys)?;
    let redb = load_redb(&peer, setting.keys)?;
    let mut sqlite = Sqlite::create(setting, false)?;
    let what = format!("SET, {BATCH} a batch, unsynced");
    report.rate(&what, ours, "redb", redb);
    report.rate(&what, ours, "SQLite", load_sqlite(&mut sqlite, setting.keys)?);
    reads(setting, &bench, (&peer, sqlite.file()), report, "memtable")?;
    flush(&bench)?;
    reads(setting, &bench, (&peer, sqlite.file()), report, "tree")?;
    bench.store.close()?;
    Ok(())
}

pub(crate) fn load_redb(peer: &Redb, keys: u64) -> anyhow::Result<f64> {
    let mut workload = Workload::new(1, keys);
    let all: Vec<_> = workload.all_keys().collect();
    let values: Vec<_> = (0..BATCH).map(|_| workload.value().to_vec()).collect();
    let elapsed = seconds(|| {
        for keys in all.chunks(BATCH) {
            let pairs: Vec<_> = keys.iter().copied().zip(values.iter().cloned()).collect();
            peer.put(&pairs, false)?;
        }
        Ok(())
    })?;
    Ok(keys as f64 / elapsed)
}

fn load_sqlite(peer: &mut Sqlite, keys: u64) -> anyhow::Result<f64> {
    let mut workload = Workload::new(1, keys);
    let all: Vec<_> = workload.all_keys().collect();
    let values: Vec<_> = (0..BATCH).map(|_| workload.value().to_vec()).collect();
    let elapsed = seconds(|| {
        for keys in all.chunks(BATCH) {
            let pairs = keys.iter().copied().zip(values.iter().map(Vec::as_slice));
            peer.put(&pairs.collect::<Vec<_>>())?;
        }
        Ok(())
    })?;
    Ok(keys as f64 / elapsed)
}

/// Everything to the tree.
pub(crate) fn flush(bench: &Bench) -> anyhow::Result<()> {
    let job = bench.namespace.with_engine(|engine| engine.flush_now())?;
    if let Some(job) = job {
        let result = job.run();
        bench.namespace.with_engine(|engine| engine.flushed(result))??;
    }
    Ok(())
}

fn reads(
    setting: &Setting<'_>,
    bench: &Bench,
    (peer, sqlite): (&Redb, &Path),
    report: &mut Report,
    place: &str,
) -> anyhow::Result<()> {
    let ours = in_threads(READS, |seed, count| {
        gets(bench, &mut Workload::new(seed, setting.keys), count)
    })?;
    let what = format!("GET from the {place}, {THREADS} threads");
    for (name, look) in REDB {
        let redb = in_threads(READS, |seed, count| {
            peer.gets(&mut Workload::new(seed, setting.keys), count, look)
        })?;
        report.rate(&what, ours, name, redb);
    }
    let lite = in_threads(READS, |seed, count| {
        SqliteReader::open(sqlite)?.gets(&mut Workload::new(seed, setting.keys), count)
    })?;
    report.rate(&what, ours, "SQLite", lite);
    let ours = in_threads(SCANS, |seed, count| {
        scans(bench, &mut Workload::new(seed, setting.keys), count)
    })?;
    let what = format!("scan of {SCAN_ENTRIES} from the {place}, {THREADS} threads");
    for (name, look) in REDB {
        let redb = in_threads(SCANS, |seed, count| {
            peer.scans(&mut Workload::new(seed, setting.keys), count, look)
        })?;
        report.rate(&what, ours, name, redb);
    }
    let lite = in_threads(SCANS, |seed, count| {
        let mut workload = Workload::new(seed, setting.keys);
        SqliteReader::open(sqlite)?.scans(&mut workload, (count, SCAN_ENTRIES))
    })?;
    report.rate(&what, ours, "SQLite", lite);
    Ok(())
}

/// Runs `work` on every thread; returns the operations a second of all.
fn in_threads(
    each: u64,
    work: impl Fn(u64, u64) -> anyhow::Result<usize> + Sync,
) -> anyhow::Result<f64> {
    let elapsed = seconds(|| {
        std::thread::scope(|scope| {
            let work = &work;
            let threads: Vec<_> =
                (0..THREADS as u64).map(|seed| scope.spawn(move || work(seed, each))).collect();
            for thread in threads {
                let bytes = thread.join().map_err(|_| anyhow::anyhow!("a reader panicked"))??;
                anyhow::ensure!(bytes > 0, "nothing was read");
            }
            Ok(())
        })
    })?;
    Ok((each * THREADS as u64) as f64 / elapsed)
}

/// `count` random reads; returns the bytes read.
pub(crate) fn gets(bench: &Bench, workload: &mut Workload, count: u64) -> anyhow::Result<usize> {
    let reader = bench.namespace.reader();
    let mut bytes = 0;
    for _ in 0..count {
        if let Some(value) = reader.get(&workload.random_key())? {
            bytes += value.bytes()?.len();
        }
    }
    Ok(bytes)
}

/// `count` scans of [`SCAN_ENTRIES`]; returns the bytes read.
pub(crate) fn scans(bench: &Bench, workload: &mut Workload, count: u64) -> anyhow::Result<usize> {
    let snapshot = bench.namespace.reader().snapshot();
    let mut bytes = 0;
    for _ in 0..count {
        let key = workload.random_key();
        let start = std::ops::Bound::Included(key.as_slice());
        let request = ScanRequest { start, ..ScanRequest::default() };
        for item in snapshot.scan(request)?.take(SCAN_ENTRIES) {
            bytes += item?.value.bytes()?.len();
        }
    }
    Ok(bytes)
}

/// A load much larger than a memtable, flushes included: rate and bytes to the device.
pub(crate) fn bulk(setting: &Setting<'_>, report: &mut Report) -> anyhow::Result<()> {
    let keys = setting.keys * BULK_TIMES;
    let user_bytes = (keys * (VALUE_BYTES as u64 + 16)) as f64;
    let bench = Bench::open(setting, Durability::Never)?;
    device::settle();
    let before = device::bytes_written(bench.dir.path());
    let rate = bench.load(keys)?;
    flush(&bench)?;
    bench.store.close()?;
    device::settle();
    let device_bytes = device::bytes_written(bench.dir.path()).saturating_sub(before) as f64;
    report.row(
        &format!("bulk SET of {keys} keys, flushes included"),
        human(rate),
        format!("{:.0} MB of keys and values", user_bytes / 1e6),
        format!("device {:.2}x", device_bytes / user_bytes),
    );
    Ok(())
}
