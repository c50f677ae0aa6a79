//! An engine on the medium: a power cut at every I/O of log, tree and tables leaves a prefix of
//! what was written, with everything that was acknowledged in it.

use crate::support::{fresh, open};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use unison_bare::medium::{BlockStore, Volume};
use unison_base::Lsn;
use unison_base::limits::SEGMENT_BYTES_MIN;
use unison_base::prng::Prng;
use unison_engine::{Engine, EngineOptions, OpenReport, ScanRequest, Write};
use unison_sim::blocks::CrashBlocks;

const NOW_MS: u64 = 1_700_000_000_000;
const STEPS: usize = 30;
/// States on every commit; `UNISON_STATES` asks for more.
const STATES: u64 = 4_000;
const CUTS_A_MOMENT: usize = 3;

type Blocks = BlockStore<CrashBlocks>;
type Content = BTreeMap<Vec<u8>, Vec<u8>>;

/// Small sizes, so that a short run sees everything.
fn options() -> EngineOptions {
    EngineOptions {
        memtable_bytes: 4_000,
        checkpoint_log_bytes: 60_000,
        segment_bytes: SEGMENT_BYTES_MIN,
        settle_below_percent: 60,
        settle_job_bytes: 5_000,
        ..EngineOptions::default()
    }
}

fn engine(volume: &Volume<CrashBlocks>) -> (Engine<Blocks>, OpenReport) {
    let tree = volume.open_tree(1 << 20).expect("the tree opens");
    Engine::open(volume.segments(), tree, options(), NOW_MS).expect("the engine opens")
}

/// Records in order: a key and its value, or none for a deletion.
type History = Vec<(Vec<u8>, Option<Vec<u8>>)>;

fn content(history: &History, last: Lsn) -> Content {
    let mut content = Content::new();
    for (key, value) in &history[..usize::try_from(last.0).unwrap()] {
        match value {
            Some(value) => drop(content.insert(key.clone(), value.clone())),
            None => drop(content.remove(key)),
        }
    }
    content
}

fn write(engine: &mut Engine<Blocks>, history: &mut History, prng: &mut Prng) {
    let key = format!("key{:02}", prng.below(24)).into_bytes();
    let sizes = [0, 20, 128, 129, 700, 4_000, 14_000];
    let value = (!prng.chance(20)).then(|| {
        let mut value = vec![0; sizes[prng.below(7) as usize]];
        prng.fill(&mut value);
        value
    });
    let write = match &value {
        Some(value) => Write::put(&key, value),
        None => Write::delete(&key),
    };
    let lsn = engine.stage(&write, NOW_MS).expect("a write").lsn;
    history.push((key.clone(), value.clone()));
    assert_eq!(lsn.0, history.len() as u64, "an LSN is not dense");
}

/// From which moment on what is acknowledged, and how much may be there.
#[derive(Clone, Copy)]
struct Mark {
    moment: usize,
    acknowledged: Lsn,
    written: Lsn,
}

struct Run {
    disk: Arc<CrashBlocks>,
    history: History,
    marks: Vec<Mark>,
    flushes: u64,
    retired: u64,
}

impl Run {
    fn mark(&mut self, acknowledged: Lsn) {
        let before = self.marks.last().map_or(Lsn::ZERO, |mark| mark.acknowledged);
        self.marks.push(Mark {
            moment: self.disk.disk().moments(),
            acknowledged: before.max(acknowledged),
            written: Lsn(self.history.len() as u64),
        });
    }

    fn append(&mut self, engine: &mut Engine<Blocks>, prng: &mut Prng, count: u64) {
        for _ in 0..count {
            // Staging may append when a segment is full: before it, the record may be there.
            let mut ahead = self.history.clone();
            ahead.push((Vec::new(), None));
            std::mem::swap(&mut self.history, &mut ahead);
            self.mark(Lsn::ZERO);
            std::mem::swap(&mut self.history, &mut ahead);
            write(engine, &mut self.history, prng);
        }
        engine.append(NOW_MS).expect("an append");
    }

    fn play(seed: u64, forget_flushes: bool) -> Self {
        let (disk, volume) = fresh();
        if forget_flushes {
            disk.forget_flushes();
        }
        let mut prng = Prng::new(seed);
        disk.disk().record_moments();
        let mut run =
            Self { disk, history: History::new(), marks: Vec::new(), flushes: 0, retired: 0 };
        run.mark(Lsn::ZERO);
        let (mut volume, mut engine) = (volume.clone(), engine(&volume).0);
        for _ in 0..STEPS {
            match prng.below(100) {
                0..45 => {
                    let count = prng.between(1, 6);
                    run.append(&mut engine, &mut prng, count);
                    let durable = engine.synced(engine.sync_ticket().run()).expect("a sync");
                    engine.publish(durable);
                    run.mark(durable);
                }
                45..60 => run.append(&mut engine, &mut prng, 2),
                60..74 => {
                    while let Some(job) = engine.flush_now() {
                        let lsn = job.lsn();
                        drop(engine.flushed(job.run()).expect("a flush"));
                        run.flushes += 1;
                        run.mark(lsn);
                    }
                }
                74..88 => {
                    let retired = engine.retire(None, NOW_MS * 1_000_000).expect("a retirement");
                    run.retired += retired.len() as u64;
                    if let Some(job) = engine.settle_job() {
                        engine.settled(job.run()).expect("a settling");
                    }
                }
                88..95 => {
                    if let Some(preparation) = engine.preparation() {
                        engine.install(preparation.run());
                    }
                }
                _ => {
                    drop((engine, volume));
                    volume = open(&run.disk).expect("a restart").0;
                    engine = self::engine(&volume).0;
                    assert_eq!(engine.applied(), Lsn(run.history.len() as u64));
                    let durable = engine.durable();
                    run.mark(durable);
                }
            }
        }
        run
    }

    fn expected(&self, moment: usize) -> Mark {
        *self.marks.iter().rev().find(|mark| mark.moment <= moment).unwrap()
    }
}

fn compare(engine: &Engine<Blocks>, content: &Content) {
    let snapshot = engine.reader().snapshot();
    let mut scan = snapshot.scan(ScanRequest::default()).expect("a scan");
    for (key, value) in content {
        let item = scan.next().expect("a key is missing").expect("a key");
        assert_eq!(&item.key, key);
        assert_eq!(item.value.bytes().expect("a value")[..], value[..]);
        let got = engine.reader().get(key).expect("a get").expect("a key is missing");
        assert_eq!(got.bytes().expect("a value")[..], value[..]);
    }
    assert!(scan.next().is_none(), "a key is there that nobody wrote or somebody deleted");
}

/// Opens what a cut left, checks it, goes on, and loses the power again.
fn verify(disk: &Arc<CrashBlocks>, mark: Mark, history: &History, prng: &mut Prng) {
    let (volume, _) = open(disk).expect("a medium after a cut");
    let (mut engine, report) = engine(&volume);
    let rungs = report.recovery.rungs;
    let taken_for_rot = rungs.rot_segments + rungs.gaps + rungs.stale_segments + rungs.lost_tails;
    assert_eq!((taken_for_rot, report.missing, report.invalid), (0, 0, 0), "{report:?}");
    let recovered = engine.applied();
    let allowed = mark.acknowledged..=mark.written;
    assert!(allowed.contains(&recovered), "{recovered} recovered, expected {allowed:?}");
    compare(&engine, &content(history, recovered));
    let mut history = history[..usize::try_from(recovered.0).unwrap()].to_vec();
    for _ in 0..2 {
        write(&mut engine, &mut history, prng);
    }
    engine.append(NOW_MS).expect("an append");
    let durable = engine.synced(engine.sync_ticket().run()).expect("a sync");
    engine.publish(durable);
    if prng.chance(50)
        && let Some(job) = engine.flush_now()
    {
        drop(engine.flushed(job.run()).expect("a flush"));
    }
    let left = Arc::new(disk.crash(unison_sim::disk::Cut::LOST, prng));
    let (volume, _) = open(&left).expect("a medium after a second cut");
    let (engine, _) = self::engine(&volume);
    assert_eq!(engine.applied(), Lsn(history.len() as u64));
    compare(&engine, &content(&history, engine.applied()));
}

#[test]
fn a_cut_at_every_io_of_an_engine_keeps_every_promise() {
    explore(false);
}

#[test]
fn a_device_that_forgets_flushes_is_found_out() {
    let found = std::panic::catch_unwind(|| explore(true)).err();
    println!("found: {:?}", found.as_ref().and_then(|panic| panic.downcast_ref::<String>()));
    assert!(found.is_some());
}

fn explore(forget_flushes: bool) {
    let wanted = std::env::var("UNISON_STATES").map_or(STATES, |text| text.parse().unwrap());
    let started = Instant::now();
    let (mut states, mut runs, mut flushes, mut retired) = (0, 0, 0, 0);
    for seed in 0.. {
        let run = Run::play(seed, forget_flushes);
        let mut prng = Prng::new(seed ^ 0xFEED);
        (runs, flushes, retired) = (runs + 1, flushes + run.flushes, retired + run.retired);
        for (index, moment) in run.disk.disk().take_moments().iter().enumerate() {
            let tried = if moment.is_settled() { 1 } else { CUTS_A_MOMENT };
            for _ in 0..tried {
                let cut = CrashBlocks::CUTS[prng.below(4) as usize];
                let guard = Repeat { seed, index, cut };
                let disk = Arc::new(CrashBlocks::after(moment, cut, &mut prng));
                verify(&disk, run.expected(index), &run.history, &mut prng);
                drop(guard);
                states += 1;
            }
        }
        if states >= wanted {
            break;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("{runs} runs, {states} states, {flushes} flushes, {retired} retired, {seconds:.1} s");
    assert!(flushes > 3 && retired > 1);
}

/// Says, when a check panics, how to get there again.
struct Repeat {
    seed: u64,
    index: usize,
    cut: unison_sim::disk::Cut,
}

impl Drop for Repeat {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("seed {}, {:?} at moment {}", self.seed, self.cut, self.index);
        }
    }
}

#[test]
fn a_damaged_tree_is_named_and_started_over() {
    let (disk, volume) = fresh();
    let (mut engine, _) = engine(&volume);
    let (mut history, mut prng) = (History::new(), Prng::new(2));
    (0..30).for_each(|_| write(&mut engine, &mut history, &mut prng));
    engine.append(NOW_MS).unwrap();
    let durable = engine.synced(engine.sync_ticket().run()).unwrap();
    engine.publish(durable);
    let flushed = engine.flush_now().unwrap().run();
    drop(engine.flushed(flushed).unwrap());
    drop((engine, volume));
    let (volume, _) = open(&disk).unwrap();
    let region = volume.usage().segment_bytes + unison_bare::medium::METADATA_BYTES;
    unison_bare::block::BlockDevice::write(&*disk, region / 512, &[0x5A; 8 * 512]).unwrap();
    let error = volume.open_tree(1 << 20).err();
    assert_eq!(error, Some(unison_bare::medium::TreeOpenError::Damaged));
    volume.discard_tree().unwrap();
    let (engine, _) = self::engine(&volume);
    compare(&engine, &content(&history, Lsn(history.len() as u64)));
}

#[test]
fn a_full_tree_region_is_named_and_the_tree_is_as_it_was() {
    let (_, volume) = fresh();
    let usage = volume.usage();
    let tree = volume.tree();
    use redb::StorageBackend as _;
    tree.set_len(usage.tree_region_bytes).unwrap();
    let error = tree.set_len(usage.tree_region_bytes + 1).unwrap_err();
    assert_eq!(error.to_string(), "no space left on the medium");
    assert_eq!(tree.len().unwrap(), usage.tree_region_bytes);
}
