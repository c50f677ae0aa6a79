//! What a log does until the power goes, and what was promised at each moment.

use crate::DIRECTORY;
use crate::record::record;
use std::sync::Arc;
use unison_base::Lsn;
use unison_base::limits::SEGMENT_BYTES_MIN;
use unison_base::prng::Prng;
use unison_sim::disk::{CrashDisk, DiskOptions, Fault, Moment};
use unison_sim::planted::{Bug, PlantedStore};
use unison_walfs::{Log, LogOptions, LogRole, StageError};

/// One step.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A group of records of these sizes is appended.
    Group(Vec<usize>),
    /// Everything is synced.
    Sync,
    /// A sync that was asked for before the group and runs after it.
    LateSync(Vec<usize>),
    /// The next segment is made ahead, if it is wanted.
    Prepare,
    /// The process ends and starts again; with `close`, in order.
    Restart { close: bool },
}

/// Steps from a seed. Seeds differ in the sizes of records as well: all alike, small, or so large
/// that a segment holds only a few.
pub(crate) fn script(seed: u64, steps: usize) -> Vec<Step> {
    let mut prng = Prng::new(seed);
    let sizes = match seed % 4 {
        0 => (120, 120),
        1 => (40, 700),
        2 => (900, 9_000),
        _ => (6_000, 14_000),
    };
    (0..steps).map(|_| step(&mut prng, sizes)).collect()
}

fn step(prng: &mut Prng, (low, high): (u64, u64)) -> Step {
    let group = |prng: &mut Prng| {
        let size = |prng: &mut Prng| usize::try_from(prng.between(low, high)).unwrap();
        (0..prng.between(1, 4)).map(|_| size(prng)).collect()
    };
    match prng.below(100) {
        0..50 => Step::Group(group(prng)),
        50..78 => Step::Sync,
        78..88 => Step::LateSync(group(prng)),
        88..96 => Step::Prepare,
        _ => Step::Restart { close: prng.chance(50) },
    }
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
    /// Every record that was ever appended, in order of LSN.
    pub(crate) records: &'a [Arc<[u8]>],
    /// The same before a failed write gave LSNs to others.
    pub(crate) older: &'a [Vec<Arc<[u8]>>],
    /// What must be there.
    pub(crate) acknowledged: Lsn,
    /// What may be there.
    pub(crate) appended: Lsn,
}

/// A run of a log on a disk that keeps its moments.
pub(crate) struct Run {
    disk: CrashDisk,
    bug: Bug,
    life: u64,
    records: Vec<Arc<[u8]>>,
    older: Vec<Vec<Arc<[u8]>>>,
    marks: Vec<Mark>,
    /// The moment at which each step began.
    begun: Vec<usize>,
}

pub(crate) fn open(
    disk: &CrashDisk,
    bug: Bug,
) -> Result<(Log<PlantedStore>, unison_walfs::RecoveryReport), unison_walfs::OpenError> {
    let options = LogOptions {
        segment_bytes: SEGMENT_BYTES_MIN,
        verify_from: Lsn::ZERO,
        role: LogRole::Leader,
    };
    Log::open(Arc::new(PlantedStore::new(disk, DIRECTORY, bug)), options, 1_700_000_000_000_000_000)
}

impl Run {
    /// A run on `disk`, which holds `records` already, acknowledged up to `acknowledged`. `life`
    /// counts the power cuts before.
    pub(crate) fn new(
        disk: CrashDisk,
        bug: Bug,
        life: u64,
        records: Vec<Arc<[u8]>>,
        acknowledged: Lsn,
    ) -> Self {
        disk.record_moments();
        let appended = Lsn(records.len() as u64);
        let marks = vec![Mark { moment: 0, acknowledged, appended }];
        Self { disk, bug, life, records, older: Vec::new(), marks, begun: Vec::new() }
    }

    /// A run on an empty disk, with views or without.
    pub(crate) fn fresh(bug: Bug, mapped: bool) -> Self {
        let disk = CrashDisk::with(DiskOptions { mapped, seed: 0 });
        Self::new(disk, bug, 0, Vec::new(), Lsn::ZERO)
    }

    /// Makes calls fail from now on.
    pub(crate) fn inject(&self, fault: Fault) {
        self.disk.inject(fault);
    }

    fn mark(&mut self, acknowledged: Lsn) {
        let (moment, appended) = (self.disk.moments(), Lsn(self.records.len() as u64));
        self.marks.push(Mark { moment, acknowledged, appended });
    }

    fn acknowledged(&self) -> Lsn {
        self.marks.last().map(|mark| mark.acknowledged).unwrap_or_default()
    }

    fn acknowledge(&mut self, lsn: Lsn) {
        self.mark(lsn.max(self.acknowledged()));
    }

    /// Opens the log and plays the steps. `None` when a call failed, because of a fault or because the
    /// log noticed a planted bug: the process ends there.
    pub(crate) fn play(&mut self, steps: &[Step]) -> Option<()> {
        let (mut log, _) = open(&self.disk, self.bug).ok()?;
        self.recovered(&log);
        for step in steps {
            self.begun.push(self.disk.moments());
            match step {
                Step::Group(sizes) => self.group(&mut log, sizes)?,
                Step::Sync => {
                    let durable = log.sync().ok()?;
                    self.acknowledge(durable);
                }
                Step::LateSync(sizes) => {
                    let ticket = log.sync_ticket();
                    self.group(&mut log, sizes)?;
                    let durable = log.completed(ticket.run()).ok()?;
                    self.acknowledge(durable);
                }
                Step::Prepare => {
                    if let Some(preparation) = log.preparation() {
                        log.install(preparation.run());
                    }
                }
                Step::Restart { close } => {
                    if *close {
                        log.close().ok()?;
                    }
                    log = open(&self.disk, self.bug).ok()?.0;
                    self.recovered(&log);
                }
            }
        }
        Some(())
    }

    /// What a log says after it was opened is a promise too.
    fn recovered(&mut self, log: &Log<PlantedStore>) {
        let there = usize::try_from(log.appended().0).unwrap();
        if there < self.records.len() {
            self.older.push(self.records.clone());
            self.records.truncate(there);
        }
        let durable = log.durable().min(Lsn(self.records.len() as u64));
        self.acknowledge(durable);
    }

    fn group(&mut self, log: &mut Log<PlantedStore>, sizes: &[usize]) -> Option<()> {
        for &size in sizes {
            let payload = record(log.next_lsn(), log.durable(), self.life, size);
            if log.stage(&payload) == Err(StageError::SegmentFull) {
                self.append(log)?;
                log.rotate(1_700_000_000_000_000_000).ok()?;
                log.stage(&payload).ok()?;
            }
            self.records.push(payload.into());
        }
        self.append(log)
    }

    fn append(&mut self, log: &mut Log<PlantedStore>) -> Option<()> {
        // Before the write: from its moment on the records may be there.
        self.mark(self.acknowledged());
        let appended = log.append_staged().ok()?;
        if self.bug == Bug::AnswerBeforeSync {
            self.acknowledge(appended);
        }
        Some(())
    }

    /// Every moment of the run, the end included.
    pub(crate) fn moments(&self) -> Vec<Moment> {
        let mut moments = self.disk.take_moments();
        moments.push(self.disk.moment());
        moments
    }

    /// How many steps had begun at a moment.
    pub(crate) fn steps_begun(&self, moment: usize) -> usize {
        self.begun.iter().filter(|&&begun| begun <= moment).count()
    }

    /// What must hold after a cut at a moment.
    pub(crate) fn expected(&self, moment: usize) -> Expected<'_> {
        let mark = self.marks.iter().rev().find(|mark| mark.moment <= moment);
        let (acknowledged, appended) =
            mark.map(|mark| (mark.acknowledged, mark.appended)).unwrap_or_default();
        Expected { records: &self.records, older: &self.older, acknowledged, appended }
    }
}
