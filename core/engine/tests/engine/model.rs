//! The engine against an ordered map: thousands of short histories of puts, deletes, batches,
//! conditions, flushes, snapshots, scans, restarts and power cuts.

use crate::fixture::{self, NOW_MS, Pairs, Sim, options};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;
use unison_base::Lsn;
use unison_base::prng::Prng;
use unison_engine::{
    Condition, EngineOptions, FlushJob, Operation, Pressure, ScanRequest, Snapshot, SnapshotError,
    Write, WriteError,
};
use unison_sim::disk::{CrashDisk, Cut, SimStore};

const CASES: u64 = 10_000;
const STEPS: u64 = 24;

type State = BTreeMap<Vec<u8>, (Vec<u8>, Lsn)>;

/// What happens in a step, for the counts at the end.
#[derive(Default, Debug)]
struct Happened {
    writes: u64,
    conflicts: u64,
    busy: u64,
    flushes: u64,
    restarts: u64,
    cuts: u64,
    snapshots: u64,
    scans: u64,
}

struct Run {
    disk: CrashDisk,
    engine: Option<Sim>,
    options: EngineOptions,
    prng: Prng,
    /// The state after every record; index 0 is the empty one.
    history: Vec<Rc<State>>,
    held: Vec<(Snapshot<SimStore>, Rc<State>)>,
    job: Option<FlushJob<SimStore>>,
    happened: Happened,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut prng = Prng::new(seed);
        let disk = CrashDisk::new();
        let options = EngineOptions {
            memtable_bytes: usize::try_from(prng.between(300, 3_000)).unwrap(),
            memtables_max: usize::try_from(prng.between(1, 3)).unwrap(),
            checkpoint_log_bytes: prng.between(500, 20_000),
            inline_value_bytes: [0, 16, 1_000][usize::try_from(prng.below(3)).unwrap()],
            ..options()
        };
        let engine = Some(fixture::open(&disk, options));
        let history = vec![Rc::default()];
        let held = Vec::new();
        Self {
            disk,
            engine,
            options,
            prng,
            history,
            held,
            job: None,
            happened: Happened::default(),
        }
    }

    fn engine(&mut self) -> &mut Sim {
        self.engine.as_mut().unwrap()
    }

    fn staged(&self) -> &State {
        self.history.last().unwrap()
    }

    fn at(&self, lsn: Lsn) -> Rc<State> {
        Rc::clone(&self.history[usize::try_from(lsn.0).unwrap()])
    }

    fn key(&mut self) -> Vec<u8> {
        let number = self.prng.below(14);
        // Some begin with prefixes of storage forms, some are long, one has a prefix of another.
        match number {
            0 => vec![0xFF],
            1 => vec![0xFE, 0xFF],
            2 => vec![0xFF, 0xFF],
            3 => b"key".to_vec(),
            4 => vec![b'l'; 40],
            _ => format!("key-{number:02}").into_bytes(),
        }
    }

    fn value(&mut self) -> Vec<u8> {
        let length = [0, 5, 16, 17, 300][usize::try_from(self.prng.below(5)).unwrap()];
        let mut value = vec![0; length];
        self.prng.fill(&mut value);
        value
    }

    fn condition(&mut self, key: &[u8]) -> Condition {
        let current = self.staged().get(key).map(|(_, lsn)| *lsn);
        match self.prng.below(8) {
            0 => Condition::Absent,
            1 => Condition::Present,
            2 => Condition::UnchangedSince(current.unwrap_or(Lsn::ZERO)),
            3 => Condition::UnchangedSince(Lsn(self.prng.below(20))),
            _ => Condition::Always,
        }
    }

    fn step(&mut self) {
        match self.prng.below(100) {
            0..45 => self.write_one(),
            45..57 => self.write_batch(),
            57..72 => self.commit(),
            72..78 => self.flush(),
            78..82 => self.take_or_finish_job(),
            82..86 => self.hold_snapshot(),
            86..89 => self.look_back(),
            89..93 => self.check_scans(),
            93..95 => self.check_count(),
            95..97 => self.append_only(),
            97 => self.restart(),
            98 => self.kill(),
            _ => self.cut_power(),
        }
        self.check_visible_key();
    }

    fn write_one(&mut self) {
        let (key, value) = (self.key(), self.value());
        let condition = self.condition(&key);
        let removes = self.prng.chance(30);
        let operation = if removes {
            Operation::Delete { key: &key }
        } else {
            Operation::Put { key: &key, value: &value }
        };
        let want_previous = self.prng.chance(40);
        let change = vec![(key.clone(), (!removes).then_some(value.clone()))];
        self.write(&Write { condition, want_previous, ..Write::new(operation) }, &change);
    }

    fn write_batch(&mut self) {
        let change: Vec<(Vec<u8>, Option<Vec<u8>>)> = {
            let removes = self.prng.chance(30);
            let number = 1 + self.prng.below(5);
            let one = |run: &mut Self| (run.key(), (!removes).then(|| run.value()));
            (0..number).map(|_| one(self)).collect()
        };
        let condition = self.condition(&change[0].0);
        let keys: Vec<&[u8]> = change.iter().map(|(key, _)| key.as_slice()).collect();
        let pairs: Vec<(&[u8], &[u8])> = change
            .iter()
            .filter_map(|(key, value)| Some((key.as_slice(), value.as_deref()?)))
            .collect();
        let operation = if pairs.is_empty() {
            Operation::DeleteBatch(&keys)
        } else {
            Operation::PutBatch(&pairs)
        };
        let want_previous = self.prng.chance(40);
        self.write(&Write { condition, want_previous, ..Write::new(operation) }, &change);
    }

    fn write(&mut self, write: &Write<'_>, change: &[(Vec<u8>, Option<Vec<u8>>)]) {
        let staged = self.staged().clone();
        let next = Lsn(u64::try_from(self.history.len()).unwrap());
        let result = self.engine().stage(write, NOW_MS);
        let current = |key: &Vec<u8>| staged.get(key).map(|(_, lsn)| *lsn);
        let violated = change.iter().find(|(key, _)| !holds(write.condition, current(key)));
        if let Err(WriteError::Busy(Pressure::Full { .. })) = result {
            self.happened.busy += 1;
            return;
        }
        if let Some((key, _)) = violated {
            self.happened.conflicts += 1;
            assert_eq!(result.unwrap_err(), WriteError::Conflict { current: current(key) });
            return;
        }
        let written = result.unwrap();
        assert_eq!(written.lsn, next);
        let existing = change.iter().filter(|(key, _)| staged.contains_key(key)).count();
        let looked = write.want_previous || write.condition != Condition::Always;
        assert_eq!(written.existed, looked.then_some(existing > 0));
        let single = matches!(write.operation, Operation::Put { .. } | Operation::Delete { .. });
        let previous = written.previous.map(|value| (value.bytes().unwrap().to_vec(), value.lsn()));
        let expected = staged.get(&change[0].0).filter(|_| single && write.want_previous);
        assert_eq!(previous.as_ref(), expected);
        let mut state = staged;
        for (key, value) in change {
            match value {
                Some(value) => drop(state.insert(key.clone(), (value.clone(), next))),
                None => drop(state.remove(key)),
            }
        }
        self.history.push(Rc::new(state));
        self.happened.writes += 1;
    }

    fn commit(&mut self) {
        let durable = fixture::commit(self.engine());
        assert_eq!(durable.0 + 1, u64::try_from(self.history.len()).unwrap());
        assert_eq!(self.engine().applied(), durable);
    }

    /// Appended and visible, not durable: as with relaxed durability.
    fn append_only(&mut self) {
        let appended = self.engine().append(NOW_MS).unwrap();
        self.engine().publish(appended);
    }

    fn flush(&mut self) {
        self.finish_job();
        if self.prng.chance(50) {
            self.engine().append(NOW_MS).unwrap();
        }
        if let Some(job) = self.engine().flush_now() {
            let lsn = job.lsn();
            self.engine().flushed(job.run()).unwrap();
            assert!(self.engine().durable() >= lsn && self.engine().applied() >= lsn);
            assert_eq!(self.engine().stats().checkpoint, lsn);
            self.happened.flushes += 1;
        }
    }

    /// A job that is out while writes go on.
    fn take_or_finish_job(&mut self) {
        if self.job.is_some() {
            self.finish_job();
        } else {
            self.job = self.engine().flush_job();
        }
    }

    fn finish_job(&mut self) {
        if let Some(job) = self.job.take() {
            self.engine().flushed(job.run()).unwrap();
            self.happened.flushes += 1;
        }
    }

    fn hold_snapshot(&mut self) {
        let snapshot = self.engine().reader().snapshot();
        assert_eq!(snapshot.lsn(), self.engine().applied());
        let state = self.at(snapshot.lsn());
        self.held.push((snapshot, state));
        if self.held.len() > 3 {
            self.held.remove(0);
        }
        self.happened.snapshots += 1;
    }

    fn look_back(&mut self) {
        let (oldest, newest) = (self.engine().stats().checkpoint, self.engine().applied());
        let lsn = Lsn(self.prng.below(newest.0 + 3));
        match self.engine().reader().snapshot_at(lsn) {
            Ok(snapshot) => {
                assert!(lsn >= oldest && lsn <= newest);
                check_all(&snapshot, &self.at(lsn));
            }
            Err(SnapshotError::Gone { oldest: told }) => assert!(lsn < oldest && told == oldest),
            Err(SnapshotError::Ahead { newest: told }) => assert!(lsn > newest && told == newest),
        }
    }

    fn check_scans(&mut self) {
        let snapshot = self.engine().reader().snapshot();
        let state = self.at(snapshot.lsn());
        let bound = |run: &mut Self| {
            let key = run.key();
            match run.prng.below(3) {
                0 => Bound::Unbounded,
                1 => Bound::Included(key),
                _ => Bound::Excluded(key),
            }
        };
        let (start, end) = (bound(self), bound(self));
        let prefix = match self.prng.below(4) {
            0 => b"key".to_vec(),
            1 => b"key-1".to_vec(),
            2 => vec![0xFF],
            _ => Vec::new(),
        };
        let request = ScanRequest {
            prefix: &prefix,
            start: start.as_ref().map(Vec::as_slice),
            end: end.as_ref().map(Vec::as_slice),
            reverse: self.prng.chance(50),
        };
        let inside = |key: &[u8]| {
            key.starts_with(&prefix) && above(key, request.start) && below(key, request.end)
        };
        let mut expected: Pairs =
            pairs(&state).into_iter().filter(|item| inside(&item.0)).collect();
        if request.reverse {
            expected.reverse();
        }
        assert_eq!(fixture::scan(&snapshot, request), expected);
        self.happened.scans += 1;
    }

    fn check_count(&mut self) {
        let reader = self.engine().reader();
        let expected = self.at(reader.applied()).len() as u64;
        assert_eq!(reader.count().unwrap(), expected);
        assert_eq!(reader.count().unwrap(), expected);
    }

    fn check_visible_key(&mut self) {
        let key = self.key();
        let reader = self.engine().reader();
        let state = self.at(reader.applied());
        let found = reader.get(&key).unwrap();
        let found = found.map(|value| (value.bytes().unwrap().to_vec(), value.lsn()));
        assert_eq!(found.as_ref(), state.get(&key));
        assert_eq!(reader.version(&key).unwrap(), state.get(&key).map(|(_, lsn)| *lsn));
    }

    fn check_held(&self) {
        for (snapshot, state) in &self.held {
            check_all(snapshot, state);
        }
    }

    /// A clean end and a new start.
    fn restart(&mut self) {
        self.end();
        let appended = self.engine().append(NOW_MS).unwrap();
        self.engine.take().unwrap().close().unwrap();
        self.reopen(appended, appended);
        self.happened.restarts += 1;
    }

    /// The process ends; the medium does not.
    fn kill(&mut self) {
        self.end();
        let engine = self.engine.take().unwrap();
        let appended = engine.appended();
        drop(engine);
        self.reopen(appended, appended);
        self.happened.restarts += 1;
    }

    fn cut_power(&mut self) {
        self.end();
        let engine = self.engine.take().unwrap();
        let (durable, appended) = (engine.durable(), engine.appended());
        let cut = Cut::ALL[usize::try_from(self.prng.below(7)).unwrap()];
        self.disk = self.disk.crash(cut, &mut self.prng);
        drop(engine);
        self.reopen(durable, appended);
        self.happened.cuts += 1;
    }

    fn end(&mut self) {
        self.check_held();
        self.held.clear();
        self.job = None;
    }

    fn reopen(&mut self, at_least: Lsn, at_most: Lsn) {
        let (engine, report) = fixture::try_open(&self.disk, self.options).unwrap();
        assert!(engine.appended() >= at_least && engine.appended() <= at_most);
        assert_eq!((engine.applied(), engine.durable()), (engine.appended(), engine.appended()));
        assert_eq!((report.gaps, report.missing, report.invalid), (0, 0, 0));
        self.history.truncate(usize::try_from(engine.appended().0 + 1).unwrap());
        self.engine = Some(engine);
        let snapshot = self.engine().reader().snapshot();
        check_all(&snapshot, &self.at(snapshot.lsn()));
    }
}

fn holds(condition: Condition, current: Option<Lsn>) -> bool {
    match condition {
        Condition::Always => true,
        Condition::Absent => current.is_none(),
        Condition::Present => current.is_some(),
        Condition::UnchangedSince(lsn) => current.unwrap_or(Lsn::ZERO) == lsn,
    }
}

fn above(key: &[u8], bound: Bound<&[u8]>) -> bool {
    match bound {
        Bound::Included(bound) => key >= bound,
        Bound::Excluded(bound) => key > bound,
        Bound::Unbounded => true,
    }
}

fn below(key: &[u8], bound: Bound<&[u8]>) -> bool {
    match bound {
        Bound::Included(bound) => key <= bound,
        Bound::Excluded(bound) => key < bound,
        Bound::Unbounded => true,
    }
}

fn pairs(state: &State) -> Pairs {
    state.iter().map(|(key, (value, lsn))| (key.clone(), value.clone(), *lsn)).collect()
}

fn check_all(snapshot: &Snapshot<SimStore>, state: &State) {
    assert_eq!(fixture::scan(snapshot, ScanRequest::default()), pairs(state));
    assert_eq!(snapshot.count().unwrap(), state.len() as u64);
    for (key, (value, _)) in state {
        let found = snapshot.get(key).unwrap().unwrap();
        assert_eq!(&*found.bytes().unwrap(), value.as_slice());
    }
}

fn cases(seeds: impl Iterator<Item = u64>) -> Happened {
    let mut sum = Happened::default();
    for seed in seeds {
        let mut run = Run::new(seed);
        for _ in 0..STEPS {
            run.step();
        }
        run.restart();
        let one = run.happened;
        sum.writes += one.writes;
        sum.conflicts += one.conflicts;
        sum.busy += one.busy;
        sum.flushes += one.flushes;
        sum.restarts += one.restarts;
        sum.cuts += one.cuts;
        sum.snapshots += one.snapshots;
        sum.scans += one.scans;
    }
    sum
}

#[test]
fn the_engine_does_what_an_ordered_map_does_in_even_cases() {
    let happened = cases((0..CASES).step_by(2));
    assert!(happened.flushes > 1_000 && happened.cuts > 500 && happened.busy > 10, "{happened:?}");
    println!("{} cases: {happened:?}", CASES / 2);
}

#[test]
fn the_engine_does_what_an_ordered_map_does_in_odd_cases() {
    let happened = cases((1..CASES).step_by(2));
    assert!(happened.flushes > 1_000 && happened.cuts > 500 && happened.busy > 10, "{happened:?}");
    println!("{} cases: {happened:?}", CASES / 2);
}
