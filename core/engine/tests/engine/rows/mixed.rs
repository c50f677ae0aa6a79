//! Thousands of short histories of rows and keys, with flushes, snapshots, restarts, power cuts and
//! a follower.

use super::model::{self, Change, State, check_all, columns, scan};
use crate::fixture::{self, Sim, follower_options, options};
use crate::follow::fetch;
use std::ops::Bound;
use std::rc::Rc;
use unison_base::Lsn;
use unison_base::prng::Prng;
use unison_engine::{
    ColumnRange, Condition, EngineOptions, FlushJob, Pressure, RowScanRequest, Snapshot, WriteError,
};
use unison_sim::disk::{CrashDisk, Cut, SimStore};
use unison_walfs::LogRole;

const CASES: u64 = 3_000;
const STEPS: u64 = 30;

/// What happened, for the counts at the end.
#[derive(Default, Debug)]
struct Happened {
    writes: u64,
    conflicts: u64,
    busy: u64,
    flushes: u64,
    restarts: u64,
    cuts: u64,
    fetches: u64,
}

struct Run {
    disk: CrashDisk,
    engine: Option<Sim>,
    follower_disk: CrashDisk,
    follower: Option<Sim>,
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
        let options = EngineOptions {
            memtable_bytes: usize::try_from(prng.between(600, 6_000)).unwrap(),
            memtables_max: usize::try_from(prng.between(1, 3)).unwrap(),
            checkpoint_log_bytes: prng.between(500, 20_000),
            inline_value_bytes: [0, 16, 1_000][usize::try_from(prng.below(3)).unwrap()],
            ..options()
        };
        let (disk, follower_disk) = (CrashDisk::new(), CrashDisk::new());
        let engine = Some(fixture::open(&disk, options));
        let follower = Some(fixture::open(&follower_disk, follower_options()));
        Self {
            disk,
            engine,
            follower_disk,
            follower,
            options,
            prng,
            history: vec![Rc::default()],
            held: Vec::new(),
            job: None,
            happened: Happened::default(),
        }
    }

    fn engine(&mut self) -> &mut Sim {
        self.engine.as_mut().unwrap()
    }

    fn at(&self, lsn: Lsn) -> Rc<State> {
        Rc::clone(&self.history[usize::try_from(lsn.0).unwrap()])
    }

    /// Keys of one space and of the other are often the same, and hold what storage forms use.
    fn key(&mut self) -> Vec<u8> {
        match self.prng.below(9) {
            0 => vec![0xFD],
            1 => vec![0],
            2 => vec![0, 0],
            3 => b"row".to_vec(),
            4 => b"row\0".to_vec(),
            5 => vec![b'l'; 40],
            number => format!("row-{number}").into_bytes(),
        }
    }

    fn name(&mut self) -> String {
        let names = ["a", "ab", "b", "\0", "\0\0", "name", "\u{e9}t\u{e9}", "row"];
        names[usize::try_from(self.prng.below(8)).unwrap()].to_owned()
    }

    fn value(&mut self) -> Vec<u8> {
        let length = [0, 5, 16, 17, 300][usize::try_from(self.prng.below(5)).unwrap()];
        let mut value = vec![0; length];
        self.prng.fill(&mut value);
        value
    }

    fn many<T>(&mut self, most: u64, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let number = if self.prng.chance(60) { 1 } else { self.prng.between(1, most) };
        (0..number).map(|_| one(self)).collect()
    }

    fn change(&mut self) -> Change {
        match self.prng.below(10) {
            0..5 => Change::Put(
                self.many(3, |run| (run.key(), run.many(4, |run| (run.name(), run.value())))),
            ),
            5..7 => Change::Delete(self.many(3, |run| (run.key(), run.many(4, Self::name)))),
            7 => Change::DeleteRows(self.many(3, Self::key)),
            8 => Change::Key(self.key(), Some(self.value())),
            _ => Change::Key(self.key(), None),
        }
    }

    fn condition(&mut self, current: Option<Lsn>) -> Condition {
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
            0..50 => self.write(),
            50..66 => self.commit(),
            66..73 => self.flush(),
            73..77 => self.take_or_finish_job(),
            77..83 => self.hold_snapshot(),
            83..86 => self.look_back(),
            86..90 => self.check_scans(),
            90..95 => self.follow(),
            95..97 => self.restart(),
            97 => self.cut_power(),
            98 => self.restart_follower(),
            _ => self.append_only(),
        }
        self.check_one_row();
    }

    fn write(&mut self) {
        let change = self.change();
        let staged = Rc::clone(self.history.last().unwrap());
        let versions = change.versions(&staged);
        let condition = self.condition(versions[0]);
        let want_previous = self.prng.chance(40);
        let next = Lsn(u64::try_from(self.history.len()).unwrap());
        let result = change.stage(self.engine(), condition, want_previous);
        if let Err(WriteError::Busy(Pressure::Full { .. })) = result {
            self.happened.busy += 1;
            return;
        }
        if let Some(&current) = versions.iter().find(|current| !holds(condition, **current)) {
            self.happened.conflicts += 1;
            assert_eq!(result.unwrap_err(), WriteError::Conflict { current });
            return;
        }
        let written = result.unwrap();
        assert_eq!(written.lsn, next);
        if want_previous {
            assert_eq!(written.existing_keys, change.existing(&staged), "{change:?}");
            assert_eq!(written.existed, Some(written.existing_keys > 0));
        }
        self.history.push(Rc::new(staged.changed(&change, next)));
        self.happened.writes += 1;
    }

    fn commit(&mut self) {
        let durable = fixture::commit(self.engine());
        assert_eq!(durable.0 + 1, u64::try_from(self.history.len()).unwrap());
    }

    fn append_only(&mut self) {
        let appended = self.engine().append(fixture::NOW_MS).unwrap();
        self.engine().publish(appended);
    }

    fn flush(&mut self) {
        self.finish_job();
        if self.prng.chance(50) {
            self.engine().append(fixture::NOW_MS).unwrap();
        }
        if let Some(job) = self.engine().flush_now() {
            let lsn = job.lsn();
            self.engine().flushed(job.run()).unwrap();
            let stats = self.engine().stats();
            let state = self.at(lsn);
            assert_eq!(stats.tree_rows, state.rows.len() as u64);
            assert_eq!(stats.tree_keys, state.keys.len() as u64);
            self.happened.flushes += 1;
        }
    }

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
        let state = self.at(snapshot.lsn());
        self.held.push((snapshot, state));
        if self.held.len() > 2 {
            self.held.remove(0);
        }
    }

    fn look_back(&mut self) {
        let (oldest, newest) = (self.engine().stats().checkpoint, self.engine().applied());
        let lsn = Lsn(self.prng.between(oldest.0, newest.0 + 1));
        if let Ok(snapshot) = self.engine().reader().snapshot_at(lsn) {
            check_all(&snapshot, &self.at(lsn));
        }
    }

    fn check_scans(&mut self) {
        let snapshot = self.engine().reader().snapshot();
        let state = self.at(snapshot.lsn());
        let (start, end) = (self.bound(Self::key), self.bound(Self::key));
        let prefix =
            [&b"row"[..], b"row-", b"\0", b"", b""][usize::try_from(self.prng.below(5)).unwrap()];
        let after = (self.key(), self.name());
        let request = RowScanRequest {
            prefix,
            start: start.as_ref().map(Vec::as_slice),
            end: end.as_ref().map(Vec::as_slice),
            reverse: self.prng.chance(50),
            after: self.prng.chance(40).then_some((&after.0, &after.1)),
        };
        let mut expected = model::flat(&state);
        expected.retain(|(row, _, column, ..)| {
            let behind = |(after_row, after_column): (&[u8], &str)| {
                let order = (row.as_slice(), column.as_str()).cmp(&(after_row, after_column));
                if request.reverse { order.is_lt() } else { order.is_gt() }
            };
            row.starts_with(prefix)
                && above(row.as_slice(), request.start)
                && below(row.as_slice(), request.end)
                && request.after.is_none_or(behind)
        });
        if request.reverse {
            expected.reverse();
        }
        assert_eq!(scan(&snapshot, request), expected, "{request:?}");
        self.check_column_range(&snapshot, &state);
    }

    fn check_column_range(&mut self, snapshot: &Snapshot<SimStore>, state: &State) {
        let key = self.key();
        let (start, end) = (self.bound(Self::name), self.bound(Self::name));
        let range = ColumnRange {
            start: start.as_ref().map(String::as_str),
            end: end.as_ref().map(String::as_str),
            reverse: self.prng.chance(50),
        };
        let Some(row) = snapshot.row(&key).unwrap() else {
            assert!(!state.rows.contains_key(&key));
            return;
        };
        let of_model = state.rows[&key].columns.iter();
        let mut expected: Vec<_> = of_model
            .filter(|(name, _)| {
                above(name.as_str(), range.start) && below(name.as_str(), range.end)
            })
            .map(|(name, (value, lsn))| (name.clone(), value.clone(), *lsn))
            .collect();
        if range.reverse {
            expected.reverse();
        }
        assert_eq!(columns(&row, range), expected, "{range:?}");
    }

    fn bound<T>(&mut self, one: impl Fn(&mut Self) -> T) -> Bound<T> {
        match self.prng.below(4) {
            0 => Bound::Included(one(self)),
            1 => Bound::Excluded(one(self)),
            _ => Bound::Unbounded,
        }
    }

    fn check_one_row(&mut self) {
        let (key, name) = (self.key(), self.name());
        let reader = self.engine().reader();
        let state = self.at(reader.applied());
        let row = state.rows.get(&key);
        assert_eq!(reader.row_version(&key).unwrap(), row.map(|row| row.lsn));
        let found = reader.column(&key, &name).unwrap();
        let found = found.map(|value| (value.bytes().unwrap().to_vec(), value.lsn()));
        assert_eq!(found.as_ref(), row.and_then(|row| row.columns.get(&name)));
    }

    fn follow(&mut self) {
        let mut follower = self.follower.take().unwrap();
        let (bytes, steps) = (self.prng.between(200, 5_000), self.prng.between(1, 20));
        fetch(self.engine(), &mut follower, usize::try_from(bytes).unwrap(), steps);
        if self.prng.chance(30) {
            fixture::flush(&mut follower);
        }
        let snapshot = follower.reader().snapshot();
        check_all(&snapshot, &self.at(snapshot.lsn()));
        self.follower = Some(follower);
        self.happened.fetches += 1;
    }

    fn restart_follower(&mut self) {
        drop(self.follower.take());
        let follower = fixture::open(&self.follower_disk, follower_options());
        let snapshot = follower.reader().snapshot();
        check_all(&snapshot, &self.at(snapshot.lsn()));
        self.follower = Some(follower);
    }

    fn restart(&mut self) {
        self.end();
        let appended = self.engine().append(fixture::NOW_MS).unwrap();
        let engine = self.engine.take().unwrap();
        if self.prng.chance(50) {
            engine.close().unwrap();
        } else {
            drop(engine);
        }
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
        for (snapshot, state) in self.held.drain(..) {
            check_all(&snapshot, &state);
        }
        self.job = None;
    }

    fn reopen(&mut self, at_least: Lsn, at_most: Lsn) {
        let (engine, report) = fixture::try_open(&self.disk, self.options).unwrap();
        assert!(engine.appended() >= at_least && engine.appended() <= at_most);
        assert_eq!((report.gaps, report.missing, report.invalid), (0, 0, 0));
        assert_eq!(engine.stats().skipped_records, 0);
        self.history.truncate(usize::try_from(engine.appended().0 + 1).unwrap());
        let snapshot = engine.reader().snapshot();
        self.engine = Some(engine);
        check_all(&snapshot, &self.at(snapshot.lsn()));
    }

    /// Everything is on both sides, and the follower can lead.
    fn finish(&mut self) {
        self.end();
        fixture::commit(self.engine());
        let mut follower = self.follower.take().unwrap();
        fetch(self.engine(), &mut follower, 4_000, u64::MAX);
        let state = Rc::clone(self.history.last().unwrap());
        check_all(&follower.reader().snapshot(), &state);
        drop(follower);
        let options = EngineOptions { role: LogRole::Leader, ..options() };
        let promoted = fixture::open(&self.follower_disk, options);
        check_all(&promoted.reader().snapshot(), &state);
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

fn above<T: Ord + ?Sized>(key: &T, bound: Bound<&T>) -> bool {
    match bound {
        Bound::Included(bound) => key >= bound,
        Bound::Excluded(bound) => key > bound,
        Bound::Unbounded => true,
    }
}

fn below<T: Ord + ?Sized>(key: &T, bound: Bound<&T>) -> bool {
    match bound {
        Bound::Included(bound) => key <= bound,
        Bound::Excluded(bound) => key < bound,
        Bound::Unbounded => true,
    }
}

fn cases(seeds: impl Iterator<Item = u64>) {
    let mut sum = Happened::default();
    for seed in seeds {
        let mut run = Run::new(seed);
        for _ in 0..STEPS {
            run.step();
        }
        run.finish();
        let one = run.happened;
        sum.writes += one.writes;
        sum.conflicts += one.conflicts;
        sum.busy += one.busy;
        sum.flushes += one.flushes;
        sum.restarts += one.restarts;
        sum.cuts += one.cuts;
        sum.fetches += one.fetches;
    }
    println!("{sum:?}");
    let enough = sum.flushes > 1_000 && sum.cuts > 200 && sum.conflicts > 500 && sum.busy > 5;
    assert!(enough && sum.fetches > 1_000, "{sum:?}");
}

/// More of them when asked: `UNISON_ROW_CASES=10000 cargo test -p unison-engine --test engine rows`.
fn number() -> u64 {
    crate::fixture::number_of_cases("UNISON_ROW_CASES", CASES)
}

#[test]
fn rows_are_a_map_of_maps_in_even_cases() {
    cases((0..number()).step_by(2));
}

#[test]
fn rows_are_a_map_of_maps_in_odd_cases() {
    cases((1..number()).step_by(2));
}
