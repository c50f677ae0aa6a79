//! What an engine does until the power goes, and what was promised at each moment.

use crate::model::{Change, History, change};
use std::sync::Arc;
use unison_base::Lsn;
use unison_base::limits::SEGMENT_BYTES_MIN;
use unison_base::prng::Prng;
use unison_engine::{
    ColumnNames, ColumnValues, Engine, EngineOpenError, EngineOptions, OpenReport, Operation, Write,
};
use unison_sim::disk::{CrashDisk, Moment};
use unison_sim::planted::{Bug, PlantedStore, PlantedTree};

const NOW_MS: u64 = 1_700_000_000_000;
const DIRECTORY: &str = "default";

/// One step.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// So many records, synced and acknowledged.
    Durable(u64),
    /// So many records, visible but not synced.
    Visible(u64),
    /// A flush, due or not.
    Flush,
    /// What fits leaves the log; what is hardly live is settled.
    Retire,
    /// The next segment is made ahead, if it is wanted.
    Prepare,
    /// The process ends and starts again; with `true`, in order.
    Restart(bool),
}

/// Steps from a seed.
pub(crate) fn script(seed: u64, steps: usize) -> Vec<Step> {
    let mut prng = Prng::new(seed);
    let step = |_| match prng.below(100) {
        0..45 => Step::Durable(prng.between(1, 6)),
        45..60 => Step::Visible(prng.between(1, 4)),
        60..74 => Step::Flush,
        74..88 => Step::Retire,
        88..95 => Step::Prepare,
        _ => Step::Restart(prng.chance(50)),
    };
    (0..steps).map(step).collect()
}

/// Small sizes, so that a short run sees everything.
fn options() -> EngineOptions {
    EngineOptions {
        memtable_bytes: 4_000,
        memtables_max: 4,
        checkpoint_log_bytes: 60_000,
        segment_bytes: SEGMENT_BYTES_MIN,
        settle_below_percent: 60,
        settle_job_bytes: 5_000,
        ..EngineOptions::default()
    }
}

pub(crate) fn open(
    disk: &CrashDisk,
    bug: Bug,
) -> Result<(Engine<PlantedStore>, OpenReport), EngineOpenError> {
    let tree = PlantedTree::new(disk, DIRECTORY, bug);
    let mut builder = redb::Database::builder();
    let tree = builder.set_cache_size(1 << 20).create_with_backend(tree).expect("the tree opens");
    Engine::open(Arc::new(PlantedStore::new(disk, DIRECTORY, bug)), tree, options(), NOW_MS)
}

/// A promise, and from which moment on it holds.
#[derive(Clone, Copy, Debug)]
struct Mark {
    moment: usize,
    acknowledged: Lsn,
    appended: Lsn,
}

/// What must hold after a cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected<'a> {
    pub(crate) history: &'a History,
    pub(crate) acknowledged: Lsn,
    pub(crate) appended: Lsn,
}

/// A run of an engine on a disk that keeps its moments.
pub(crate) struct Run {
    disk: CrashDisk,
    bug: Bug,
    prng: Prng,
    history: History,
    marks: Vec<Mark>,
    pub(crate) flushes: u64,
    pub(crate) retired: u64,
    pub(crate) settled: u64,
}

impl Run {
    pub(crate) fn new(seed: u64, bug: Bug) -> Self {
        let (disk, history) = (CrashDisk::new(), History::default());
        // redb does not open a file of which it was cut off while making it: whoever makes a tree
        // gives it its name when it is complete. So here it is complete.
        drop(open(&disk, Bug::None).expect("a new namespace"));
        disk.record_moments();
        let marks = vec![Mark { moment: 0, acknowledged: Lsn::ZERO, appended: Lsn::ZERO }];
        let prng = Prng::new(seed ^ 0xABCD);
        Self { disk, bug, prng, history, marks, flushes: 0, retired: 0, settled: 0 }
    }

    fn acknowledge(&mut self, lsn: Lsn) {
        let before = self.marks.last().map(|mark| mark.acknowledged).unwrap_or_default();
        let (moment, appended) = (self.disk.moments(), self.history.last());
        self.marks.push(Mark { moment, acknowledged: before.max(lsn), appended });
    }

    /// Opens the engine and plays the steps; no call may fail.
    pub(crate) fn play(&mut self, steps: &[Step]) {
        let (mut engine, _) = open(&self.disk, self.bug).expect("an empty engine");
        for &step in steps {
            match step {
                Step::Durable(count) => {
                    self.write(&mut engine, count);
                    let durable = engine.synced(engine.sync_ticket().run()).expect("a sync");
                    engine.publish(durable);
                    self.acknowledge(durable);
                }
                Step::Visible(count) => {
                    self.write(&mut engine, count);
                    engine.publish(engine.appended());
                }
                Step::Flush => self.flush(&mut engine),
                Step::Retire => self.retire(&mut engine),
                Step::Prepare => {
                    if let Some(preparation) = engine.preparation() {
                        engine.install(preparation.run());
                    }
                }
                Step::Restart(close) => {
                    if close {
                        engine.close().expect("a close");
                    } else {
                        drop(engine);
                    }
                    engine = open(&self.disk, self.bug).expect("an engine after a restart").0;
                    assert_eq!(engine.applied(), self.history.last(), "a restart lost records");
                    self.acknowledge(engine.durable());
                }
            }
        }
    }

    fn write(&mut self, engine: &mut Engine<PlantedStore>, count: u64) {
        for _ in 0..count {
            let change = change(&mut self.prng);
            self.history.push(change.clone());
            // Staging may append when a segment is full: before it, the record may be there.
            self.acknowledge(Lsn::ZERO);
            stage(engine, &change);
        }
        let appended = engine.append(NOW_MS).expect("an append");
        if self.bug == Bug::AnswerBeforeSync {
            self.acknowledge(appended);
        }
    }

    fn flush(&mut self, engine: &mut Engine<PlantedStore>) {
        while let Some(job) = engine.flush_now() {
            let lsn = job.lsn();
            drop(engine.flushed(job.run()).expect("a flush"));
            self.flushes += 1;
            self.acknowledge(lsn);
        }
    }

    fn retire(&mut self, engine: &mut Engine<PlantedStore>) {
        let retired = engine.retire(None, NOW_MS * 1_000_000).expect("a retirement");
        self.retired += retired.len() as u64;
        if let Some(job) = engine.settle_job() {
            engine.settled(job.run()).expect("a settling");
            self.settled += 1;
        }
    }

    /// Every moment of the run, the end included.
    pub(crate) fn moments(&self) -> Vec<Moment> {
        let mut moments = self.disk.take_moments();
        moments.push(self.disk.moment());
        moments
    }

    /// What must hold after a cut at a moment.
    pub(crate) fn expected(&self, moment: usize) -> Expected<'_> {
        let mark = self.marks.iter().rev().find(|mark| mark.moment <= moment);
        let (acknowledged, appended) =
            mark.map(|mark| (mark.acknowledged, mark.appended)).unwrap_or_default();
        Expected { history: &self.history, acknowledged, appended }
    }
}

/// Stages one record.
pub(crate) fn stage(engine: &mut Engine<PlantedStore>, change: &Change) -> Lsn {
    let written = match change {
        Change::Put(entries) => {
            let entries: Vec<_> =
                entries.iter().map(|(key, value)| (key.as_slice(), value.as_slice())).collect();
            let operation = match entries[..] {
                [(key, value)] => Operation::Put { key, value },
                _ => Operation::PutBatch(&entries),
            };
            engine.stage(&Write::new(operation), NOW_MS)
        }
        Change::Delete(keys) => {
            let keys: Vec<_> = keys.iter().map(Vec::as_slice).collect();
            let operation = match keys[..] {
                [key] => Operation::Delete { key },
                _ => Operation::DeleteBatch(&keys),
            };
            engine.stage(&Write::new(operation), NOW_MS)
        }
        Change::PutColumns(row, columns) => {
            let columns: Vec<_> =
                columns.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
            let rows = [ColumnValues { row, columns: &columns }];
            engine.stage(&Write::new(Operation::PutColumns(&rows)), NOW_MS)
        }
        Change::DeleteColumns(row, columns) => {
            let columns: Vec<_> = columns.iter().map(String::as_str).collect();
            let rows = [ColumnNames { row, columns: &columns }];
            engine.stage(&Write::new(Operation::DeleteColumns(&rows)), NOW_MS)
        }
        Change::DeleteRow(row) => engine.stage(&Write::new(Operation::DeleteRows(&[row])), NOW_MS),
    };
    written.expect("a write").lsn
}
