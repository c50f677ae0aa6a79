//! Thousands of short histories of keys and rows that expire, with clocks that jump, flushes,
//! snapshots, restarts, power cuts and a follower that has a clock of its own.

use super::changes::{Change, Terms};
use super::model::{State, check, check_one};
use crate::fixture::{self, Sim, follower_options, options};
use crate::follow::fetch;
use std::rc::Rc;
use unison_base::Lsn;
use unison_base::prng::Prng;
use unison_engine::{Condition, EngineOptions, FlushJob, Pressure, Snapshot, WriteError};
use unison_sim::disk::{CrashDisk, Cut, SimStore};
use unison_walfs::LogRole;

const CASES: u64 = 2_400;
const STEPS: u64 = 40;

/// What happened, for the counts at the end.
#[derive(Default, Debug)]
struct Happened {
    writes: u64,
    conflicts: u64,
    busy: u64,
    raised: u64,
    late: u64,
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
    /// What the writer's clock says.
    now: u64,
    /// The state after every record; index 0 is the empty one.
    history: Vec<Rc<State>>,
    held: Vec<(Snapshot<SimStore>, Rc<State>, u64)>,
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
            now: 1_000,
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

    fn next(&self) -> Lsn {
        Lsn(u64::try_from(self.history.len()).unwrap())
    }

    fn name(&mut self) -> Vec<u8> {
        match self.prng.below(7) {
            0 => vec![0xFB],
            1 => vec![0, 0],
            2 => vec![b'l'; 40],
            number => format!("name-{number}").into_bytes(),
        }
    }

    fn column(&mut self) -> String {
        ["a", "b", "\0", "other"][usize::try_from(self.prng.below(4)).unwrap()].to_owned()
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
        match self.prng.below(20) {
            0..6 => Change::Put(self.many(3, |run| (run.name(), run.value()))),
            6..8 => Change::Delete(self.name()),
            8..13 => Change::PutColumns(
                self.many(3, |run| (run.name(), run.many(3, |run| (run.column(), run.value())))),
            ),
            13..15 => Change::DeleteColumns(self.name(), self.many(4, Self::column)),
            15 => Change::DeleteRow(self.name()),
            16..18 => Change::Expire(self.name()),
            _ => Change::ExpireRow(self.name()),
        }
    }

    /// Mostly soon, sometimes over, often never.
    fn expiry(&mut self) -> u64 {
        match self.prng.below(10) {
            0..4 => 0,
            4..8 => self.now + 1 + self.prng.below(40),
            8 => self.now.saturating_sub(self.prng.below(40)).max(1),
            _ => self.now + (1 << self.prng.below(60)),
        }
    }

    /// A clock that may be any reader's: of the past, of now, of what is to come, or none.
    fn clock(&mut self) -> u64 {
        match self.prng.below(4) {
            0 => 0,
            1 => self.now,
            2 => self.now + self.prng.below(60),
            _ => self.now.saturating_sub(self.prng.below(60)),
        }
    }

    fn tick(&mut self) {
        match self.prng.below(100) {
            0 => self.now = 0,
            1 => self.now += 300,
            2 => self.now = self.now.saturating_sub(100),
            _ => self.now += self.prng.below(6),
        }
        if self.now == 0 && self.prng.chance(30) {
            self.now = 1_000 + self.prng.below(200);
        }
    }

    fn step(&mut self) {
        self.tick();
        match self.prng.below(100) {
            0..46 => self.write(),
            46..54 => self.raise(),
            54..68 => self.commit(),
            68..76 => self.flush(),
            76..79 => self.take_or_finish_job(),
            79..84 => self.hold_snapshot(),
            84..88 => self.look_back(),
            88..93 => self.follow(),
            93..95 => self.restart(),
            95 => self.cut_power(),
            96 => self.restart_follower(),
            _ => self.append_only(),
        }
        self.check_one();
    }

    fn condition(&mut self, current: Option<Lsn>) -> Condition {
        match self.prng.below(9) {
            0 => Condition::Absent,
            1 => Condition::Present,
            2 => Condition::UnchangedSince(current.unwrap_or(Lsn::ZERO)),
            3 => Condition::UnchangedSince(Lsn(self.prng.below(20))),
            _ => Condition::Always,
        }
    }

    fn write(&mut self) {
        let (change, now) = (self.change(), self.now);
        let before = Rc::clone(self.history.last().unwrap());
        let versions = change.versions(&before, now);
        let condition = self.condition(versions[0]);
        let (want_previous, expires_at) = (self.prng.chance(40), self.expiry());
        let terms = Terms { condition, want_previous, expires_at };
        let result = change.stage(self.engine(), terms, now);
        if let Err(WriteError::Busy(Pressure::Full { .. })) = result {
            self.happened.busy += 1;
            return;
        }
        let allowed = |current: Option<Lsn>| {
            holds(condition, current) && (current.is_some() || !change.needs_presence())
        };
        if let Some(&current) = versions.iter().find(|current| !allowed(**current)) {
            self.happened.conflicts += 1;
            assert_eq!(result.unwrap_err(), WriteError::Conflict { current }, "{change:?}");
            return;
        }
        let written = result.unwrap();
        if want_previous {
            assert_eq!(written.existing_keys, change.existing(&before, now), "{change:?}");
            assert_eq!(written.existed, Some(written.existing_keys > 0));
            self.check_previous(&change, &before, written.previous);
        }
        let before = self.raised_before(&change, before, written.lsn);
        assert_eq!(written.lsn, self.next());
        self.history.push(Rc::new(change.apply(&before, written.lsn, expires_at)));
        self.happened.writes += 1;
    }

    fn check_previous(
        &self,
        change: &Change,
        before: &State,
        previous: Option<unison_engine::ValueRef<SimStore>>,
    ) {
        let key = match change {
            Change::Put(pairs) if pairs.len() == 1 => &pairs[0].0,
            Change::Delete(key) | Change::Expire(key) => key,
            _ => return,
        };
        let previous = previous.map(|value| value.bytes().unwrap().to_vec());
        assert_eq!(previous.as_ref(), before.key(key, self.now).map(|key| &key.value));
    }

    /// When a row that is changed has expired by the clock alone, the watermark is raised first.
    fn raised_before(&mut self, change: &Change, before: Rc<State>, lsn: Lsn) -> Rc<State> {
        let late = change.is_late(&before, self.now);
        assert_eq!(lsn != self.next(), late, "{change:?}");
        if !late {
            return before;
        }
        let raised = State { watermark: self.now, ..State::clone(&before) };
        self.history.push(Rc::new(raised));
        self.happened.late += 1;
        Rc::clone(self.history.last().unwrap())
    }

    fn raise(&mut self) {
        let (now, next) = (self.now, self.next());
        let mut state = State::clone(self.history.last().unwrap());
        let raised = match self.engine().expire(now) {
            Err(WriteError::Busy(Pressure::Full { .. })) => return,
            raised => raised.unwrap(),
        };
        assert!(raised.is_some() || !state.is_due(now), "something is due at {now}");
        if let Some(lsn) = raised {
            assert_eq!(lsn, next);
            assert!(now > state.watermark);
            state.watermark = now;
            self.history.push(Rc::new(state));
            self.happened.raised += 1;
        }
    }

    fn commit(&mut self) {
        let durable = fixture::commit(self.engine());
        assert_eq!(durable.next(), self.next());
    }

    fn append_only(&mut self) {
        let appended = self.engine().append(fixture::NOW_MS).unwrap();
        self.engine().publish(appended);
    }

    fn flush(&mut self) {
        self.finish_job();
        if self.prng.chance(50) {
            self.append_only();
        }
        if let Some(job) = self.engine().flush_now() {
            self.engine().flushed(job.run()).unwrap();
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
        let clock = self.clock();
        let snapshot = self.engine().reader().at(clock).snapshot();
        let state = self.at(snapshot.lsn());
        self.held.push((snapshot, state, clock));
        if self.held.len() > 2 {
            let (snapshot, state, clock) = self.held.remove(0);
            check(&snapshot, &state, clock);
        }
    }

    fn look_back(&mut self) {
        let (oldest, newest) = (self.engine().stats().checkpoint, self.engine().applied());
        let (lsn, clock) = (Lsn(self.prng.between(oldest.0, newest.0 + 1)), self.clock());
        if let Ok(snapshot) = self.engine().reader().at(clock).snapshot_at(lsn) {
            check(&snapshot, &self.at(lsn), clock);
        }
    }

    fn check_one(&mut self) {
        let (name, column, clock) = (self.name(), self.column(), self.clock());
        let reader = self.engine().reader().at(clock);
        check_one(&reader, &self.at(reader.applied()), clock, (&name, &column));
    }

    fn follow(&mut self) {
        let mut follower = self.follower.take().unwrap();
        let (bytes, steps) = (self.prng.between(200, 5_000), self.prng.between(1, 20));
        fetch(self.engine(), &mut follower, usize::try_from(bytes).unwrap(), steps);
        if self.prng.chance(30) {
            fixture::flush(&mut follower);
        }
        self.check_follower(&follower);
        self.follower = Some(follower);
        self.happened.fetches += 1;
    }

    fn check_follower(&mut self, follower: &Sim) {
        let clock = self.clock();
        let snapshot = follower.reader().at(clock).snapshot();
        check(&snapshot, &self.at(snapshot.lsn()), clock);
    }

    fn restart_follower(&mut self) {
        drop(self.follower.take());
        let follower = fixture::open(&self.follower_disk, follower_options());
        self.check_follower(&follower);
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
        for (snapshot, state, clock) in self.held.drain(..) {
            check(&snapshot, &state, clock);
        }
        self.job = None;
    }

    fn reopen(&mut self, at_least: Lsn, at_most: Lsn) {
        let (engine, report) = fixture::try_open(&self.disk, self.options).unwrap();
        assert!(engine.appended() >= at_least && engine.appended() <= at_most);
        assert_eq!((report.gaps, report.missing, report.invalid), (0, 0, 0));
        assert_eq!(engine.stats().skipped_records, 0);
        self.history.truncate(usize::try_from(engine.appended().0 + 1).unwrap());
        let clock = self.clock();
        let snapshot = engine.reader().at(clock).snapshot();
        self.engine = Some(engine);
        check(&snapshot, &self.at(snapshot.lsn()), clock);
    }

    /// Everything is on both sides, whatever each has flushed, and the follower can lead.
    fn finish(&mut self) {
        self.end();
        fixture::commit(self.engine());
        let mut follower = self.follower.take().unwrap();
        fetch(self.engine(), &mut follower, 4_000, u64::MAX);
        let state = Rc::clone(self.history.last().unwrap());
        for clock in [0, self.now, self.now + 30] {
            check(&self.engine().reader().at(clock).snapshot(), &state, clock);
            check(&follower.reader().at(clock).snapshot(), &state, clock);
        }
        drop(follower);
        let options = EngineOptions { role: LogRole::Leader, ..options() };
        let mut promoted = fixture::open(&self.follower_disk, options);
        check(&promoted.reader().snapshot(), &state, 0);
        fixture::flush(&mut promoted);
        check(&promoted.reader().snapshot(), &state, 0);
        self.check_sizes(&promoted, &state);
    }

    /// A flush has removed what the watermark says is gone.
    fn check_sizes(&self, engine: &Sim, state: &State) {
        let keys = state.keys.values().filter(|key| !state.is_gone(key.expires_at, 0)).count();
        let rows = state.rows.values().filter(|row| !state.is_gone(row.expires_at, 0)).count();
        let stats = engine.stats();
        if stats.checkpoint == engine.appended() {
            assert!(
                stats.tree_keys == keys as u64 || stats.flushes == 0,
                "{} {keys}",
                stats.tree_keys
            );
            assert!(
                stats.tree_rows == rows as u64 || stats.flushes == 0,
                "{} {rows}",
                stats.tree_rows
            );
        }
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
        sum.raised += one.raised;
        sum.late += one.late;
        sum.flushes += one.flushes;
        sum.restarts += one.restarts;
        sum.cuts += one.cuts;
        sum.fetches += one.fetches;
    }
    println!("{sum:?}");
    let enough = sum.flushes > 1_000 && sum.cuts > 200 && sum.conflicts > 500;
    assert!(enough && sum.raised > 1_000 && sum.late > 200 && sum.fetches > 1_000, "{sum:?}");
}

/// More of them when asked: `UNISON_EXPIRY_CASES=10000 cargo test -p unison-engine --test engine expiry`.
fn number() -> u64 {
    crate::fixture::number_of_cases("UNISON_EXPIRY_CASES", CASES)
}

#[test]
fn what_expires_is_gone_for_everyone_alike_in_even_cases() {
    cases((0..number()).step_by(2));
}

#[test]
fn what_expires_is_gone_for_everyone_alike_in_odd_cases() {
    cases((1..number()).step_by(2));
}
