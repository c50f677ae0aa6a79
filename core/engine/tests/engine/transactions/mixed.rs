//! Thousands of short histories in which transactions over all models and single writes are mixed,
//! with flushes, restarts, power cuts and a follower.

use super::model::{Part, World, abort, begin, check_world, commit, id};
use crate::fixture::{self, Sim, follower_options, options};
use crate::follow::fetch;
use crate::rows::model::Change;
use std::rc::Rc;
use unison_base::prng::Prng;
use unison_base::{Lsn, TxnId};
use unison_engine::{
    Check, Condition, EngineOptions, Model, TransactionError, WriteError, Written,
};
use unison_sim::disk::{CrashDisk, Cut, SimStore};
use unison_walfs::LogRole;

const CASES: u64 = 2_000;
const STEPS: u64 = 45;

/// What happened, for the counts at the end.
#[derive(Default, Debug)]
struct Happened {
    commits: u64,
    conflicts: u64,
    changed_meanwhile: u64,
    conditions: u64,
    reads_within: u64,
    aborts: u64,
    ended_by_restart: u64,
    flushes_while_open: u64,
    restarts: u64,
    cuts: u64,
    follower_cuts: u64,
    fetches: u64,
}

struct Transaction {
    id: TxnId,
    /// With the records that did it.
    parts: Vec<(Part, Lsn)>,
    /// What must not have changed when it is committed.
    checked: Vec<(Model, Vec<u8>, Option<Lsn>)>,
}

impl Transaction {
    fn parts(&self) -> impl Iterator<Item = (&Part, Lsn)> {
        self.parts.iter().map(|(part, lsn)| (part, *lsn))
    }

    fn has_named(&self, name: (Model, &Vec<u8>)) -> bool {
        self.parts.iter().any(|(part, _)| part.name() == Some(name))
    }
}

struct Run {
    disk: CrashDisk,
    engine: Option<Sim>,
    follower_disk: CrashDisk,
    follower: Option<Sim>,
    options: EngineOptions,
    prng: Prng,
    /// The world after every record; index 0 is the empty one.
    history: Vec<Rc<World>>,
    open: Vec<Transaction>,
    ids: u64,
    happened: Happened,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut prng = Prng::new(seed);
        let options = EngineOptions {
            memtable_bytes: usize::try_from(prng.between(600, 6_000)).unwrap(),
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
            open: Vec::new(),
            ids: 0,
            happened: Happened::default(),
        }
    }

    fn engine(&mut self) -> &mut Sim {
        self.engine.as_mut().unwrap()
    }

    fn at(&self, lsn: Lsn) -> Rc<World> {
        Rc::clone(&self.history[usize::try_from(lsn.0).unwrap()])
    }

    fn newest(&self) -> Rc<World> {
        Rc::clone(self.history.last().unwrap())
    }

    fn key(&mut self) -> Vec<u8> {
        let keys = [&b"a"[..], b"a\0", b"ab", b"b", b"\0\0", &[0xFF]];
        keys[usize::try_from(self.prng.below(6)).unwrap()].to_vec()
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = [0, 5, 17, 300, 2_000][usize::try_from(self.prng.below(5)).unwrap()];
        let mut bytes = vec![0; length];
        self.prng.fill(&mut bytes);
        bytes
    }

    fn topic(&mut self) -> String {
        format!(
            "t/{}",
            ["a", "b", "c", "d", "e", "f"][usize::try_from(self.prng.below(6)).unwrap()]
        )
    }

    fn part(&mut self) -> Part {
        let name = ["x", "y", "z"][usize::try_from(self.prng.below(3)).unwrap()].to_owned();
        let (key, value) = (self.key(), self.bytes());
        match self.prng.below(14) {
            0..3 => Part::Change(Change::Key(key, Some(value))),
            3 => Part::Change(Change::Key(key, None)),
            4..7 => Part::Change(Change::Put(vec![(key, vec![(name, value)])])),
            7 => Part::Change(Change::Delete(vec![(key, vec![name])])),
            8 => Part::Change(Change::DeleteRows(vec![key])),
            9..11 => Part::Chunk(key, value),
            11 => {
                let topics = (0..self.prng.between(1, 3)).map(|_| self.topic()).collect();
                Part::Publish(topics, value)
            }
            12 => {
                let pattern = ["t/+", "t/a", "#"][usize::try_from(self.prng.below(3)).unwrap()];
                Part::PublishPattern(pattern.into(), value)
            }
            _ => Part::DeleteObjects(vec![key]),
        }
    }

    fn step(&mut self) {
        match self.prng.below(100) {
            0..15 => self.write(),
            15..27 => self.begin(),
            27..57 => self.add(),
            57..68 => self.commit(),
            68..71 => self.abort(),
            71..75 => self.read_within(),
            75..79 => drop(fixture::commit(self.engine())),
            79..86 => self.flush(),
            86..94 => self.follow(),
            94..96 => self.restart(),
            96..98 => self.cut_power(),
            _ => self.restart_follower(),
        }
        let snapshot = self.engine().reader().snapshot();
        check_world(&snapshot, &self.at(snapshot.lsn()));
    }

    /// Takes note of all records that were staged: those before the newest only end transactions.
    fn note(&mut self, parts: &[(Part, Lsn)], result: &Result<Written<SimStore>, WriteError>) {
        let next = usize::try_from(self.engine().next_lsn().0).unwrap();
        let newest = self.newest();
        self.history.resize(next, Rc::clone(&newest));
        if let Ok(written) = result {
            assert_eq!(written.lsn.0 + 1, u64::try_from(next).unwrap());
            let parts = parts.iter().map(|(part, _)| part);
            let changed = Rc::new(newest.changed(parts, written.lsn));
            *self.history.last_mut().unwrap() = changed;
        }
    }

    fn write(&mut self) {
        let part = match self.part() {
            Part::Chunk(key, _) => Part::DeleteObjects(vec![key]),
            part => part,
        };
        let result = part.stage(self.engine(), None, Condition::Always, false);
        assert!(matches!(result, Ok(_) | Err(WriteError::Busy(_))), "{result:?}");
        let named = self.newest().topics.len();
        self.note(&[(part, Lsn::ZERO)], &result);
        let topics = self.newest().topics.clone();
        if topics.len() > named {
            // A record of its own, right before the messages.
            let definition = self.history.len() - 2;
            Rc::make_mut(&mut self.history[definition]).topics = topics;
        }
    }

    fn begin(&mut self) {
        self.ids += 1;
        let id = id(self.ids);
        let result = begin(self.engine(), id);
        self.note(&[], &result);
        if result.is_ok() {
            self.open.push(Transaction { id, parts: Vec::new(), checked: Vec::new() });
        }
    }

    fn any_open(&mut self) -> Option<usize> {
        let open = u64::try_from(self.open.len()).unwrap();
        (open > 0).then(|| usize::try_from(self.prng.below(open)).unwrap())
    }

    fn add(&mut self) {
        let Some(at) = self.any_open() else { return };
        let (part, id) = (self.part(), self.open[at].id);
        let own = self.newest().within(self.open[at].parts());
        let Some((model, key)) = part.name() else { return self.publish(at, part) };
        let (version, there) = (own.version(model, key), self.newest().version(model, key));
        let (condition, holds) = self.condition(version);
        let want_previous = self.prng.chance(50);
        let result = part.stage(self.engine(), Some(id), condition, want_previous);
        self.note(&[], &result);
        let Ok(written) = result else {
            let busy = matches!(result, Err(WriteError::Busy(_)));
            let conflict = WriteError::Conflict { current: version };
            return assert!(busy || !holds && result.unwrap_err() == conflict);
        };
        assert!(holds, "{condition:?} of {version:?}");
        if let (Part::Change(change), true) = (&part, want_previous) {
            assert_eq!(written.existing_keys, change.existing(&own.state), "{part:?}");
            let previous = written.previous.map(|value| value.bytes().unwrap().to_vec());
            let before = own.state.keys.get(key).filter(|_| model == Model::KeyValue);
            assert_eq!(previous, before.map(|(value, _)| value.clone()));
        }
        if condition != Condition::Always {
            self.happened.conditions += 1;
            if !self.open[at].has_named((model, key)) {
                self.open[at].checked.push((model, key.clone(), there));
            }
        }
        self.open[at].parts.push((part, written.lsn));
    }

    fn publish(&mut self, at: usize, part: Part) {
        let id = self.open[at].id;
        let result = part.stage(self.engine(), Some(id), Condition::Always, false);
        self.note(&[], &result);
        match result {
            Ok(written) => self.open[at].parts.push((part, written.lsn)),
            Err(error) => assert!(matches!(error, WriteError::Busy(_)), "{error}"),
        }
    }

    /// A condition, and whether it holds for a key of this version.
    fn condition(&mut self, version: Option<Lsn>) -> (Condition, bool) {
        let other = Lsn(self.prng.below(9));
        match self.prng.below(8) {
            0 => (Condition::Absent, version.is_none()),
            1..3 => (Condition::Present, version.is_some()),
            3 => (Condition::UnchangedSince(version.unwrap_or_default()), true),
            4 => (Condition::UnchangedSince(other), version.unwrap_or_default() == other),
            _ => (Condition::Always, true),
        }
    }

    /// A transaction sees what it has done before everything there is.
    fn read_within(&mut self) {
        let Some(at) = self.any_open() else { return };
        let id = self.open[at].id;
        let reader = self.engine().reader_within(id, fixture::NOW_MS).unwrap();
        check_world(&reader.snapshot(), &self.newest().within(self.open[at].parts()));
        self.happened.reads_within += 1;
    }

    /// Every second commit asks for the version of a key, every fourth for one that may be wrong.
    fn commit(&mut self) {
        let Some(at) = self.any_open() else { return };
        let key = self.key();
        let newest = self.newest();
        let current = newest.state.rows.get(&key).map_or(Lsn::ZERO, |row| row.lsn);
        let version = if self.prng.chance(50) { current } else { Lsn(self.prng.below(9)) };
        let check = Check { model: Model::Row, key: &key, version };
        let checks: &[Check<'_>] = if self.prng.chance(50) { &[check] } else { &[] };
        let id = self.open[at].id;
        let result = commit(self.engine(), id, checks);
        if matches!(result, Err(WriteError::Busy(_))) {
            return self.note(&[], &result);
        }
        let transaction = self.open.swap_remove(at);
        let changed = |(model, key, version): &(Model, Vec<u8>, Option<Lsn>)| {
            newest.version(*model, key) != *version
        };
        if transaction.checked.iter().any(changed) {
            assert!(matches!(result, Err(WriteError::Conflict { .. })), "{result:?}");
            self.happened.changed_meanwhile += 1;
        } else if checks.is_empty() || version == current {
            assert!(result.is_ok(), "{result:?}");
            self.happened.commits += 1;
        } else {
            let current = (current > Lsn::ZERO).then_some(current);
            assert_eq!(result.as_ref().unwrap_err(), &WriteError::Conflict { current });
            self.happened.conflicts += 1;
        }
        self.note(&transaction.parts, &result);
        self.is_over(id);
    }

    fn abort(&mut self) {
        let Some(at) = self.any_open() else { return };
        let id = self.open[at].id;
        let result = abort(self.engine(), id);
        self.note(&[], &result);
        if result.is_ok() {
            self.open.swap_remove(at);
            self.happened.aborts += 1;
            self.is_over(id);
        }
    }

    fn is_over(&mut self, id: TxnId) {
        let again = super::model::put(self.engine(), id, b"k", b"v");
        assert!(matches!(again, Err(WriteError::Transaction(_) | WriteError::Busy(_))));
        self.note(&[], &again);
    }

    fn flush(&mut self) {
        self.engine().append(fixture::NOW_MS).unwrap();
        if let Some(job) = self.engine().flush_now() {
            self.happened.flushes_while_open += u64::from(!self.open.is_empty());
            let lsn = job.lsn();
            self.engine().flushed(job.run()).unwrap();
            let (stats, world) = (self.engine().stats(), self.at(lsn));
            assert_eq!(stats.tree_rows, world.state.rows.len() as u64);
            assert_eq!(stats.tree_keys, world.state.keys.len() as u64);
        }
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

    fn check_follower(&self, follower: &Sim) {
        let snapshot = follower.reader().snapshot();
        check_world(&snapshot, &self.at(snapshot.lsn()));
        assert_eq!(follower.stats().skipped_records, 0);
    }

    /// Every second time by a power cut.
    fn restart_follower(&mut self) {
        if self.prng.chance(50) {
            let cut = Cut::ALL[usize::try_from(self.prng.below(7)).unwrap()];
            self.follower_disk = self.follower_disk.crash(cut, &mut self.prng);
            self.happened.follower_cuts += 1;
        }
        drop(self.follower.take());
        let follower = fixture::open(&self.follower_disk, follower_options());
        self.check_follower(&follower);
        self.follower = Some(follower);
    }

    fn restart(&mut self) {
        let appended = self.engine().append(fixture::NOW_MS).unwrap();
        drop(self.engine.take());
        self.reopen(appended, appended);
        self.happened.restarts += 1;
    }

    fn cut_power(&mut self) {
        let engine = self.engine.take().unwrap();
        let (durable, appended) = (engine.durable(), engine.appended());
        let cut = Cut::ALL[usize::try_from(self.prng.below(7)).unwrap()];
        self.disk = self.disk.crash(cut, &mut self.prng);
        drop(engine);
        self.reopen(durable, appended);
        self.happened.cuts += 1;
    }

    /// What was open is over, and nothing of it happened.
    fn reopen(&mut self, at_least: Lsn, at_most: Lsn) {
        let (mut engine, report) = fixture::try_open(&self.disk, self.options).unwrap();
        assert!(engine.appended() >= at_least && engine.appended() <= at_most);
        assert_eq!((report.gaps, report.missing, report.invalid), (0, 0, 0));
        assert_eq!(engine.stats().skipped_records, 0);
        self.history.truncate(usize::try_from(engine.appended().0 + 1).unwrap());
        for Transaction { id, .. } in self.open.drain(..) {
            let again = super::model::put(&mut engine, id, b"k", b"v").unwrap_err();
            let over =
                |error| matches!(error, TransactionError::Failed | TransactionError::Unknown);
            assert!(matches!(again, WriteError::Transaction(error) if over(error)), "{again:?}");
            self.happened.ended_by_restart += 1;
        }
        self.engine = Some(engine);
        self.note(&[], &Err(WriteError::Closed));
    }

    fn finish(&mut self) {
        fixture::commit(self.engine());
        let mut follower = self.follower.take().unwrap();
        fetch(self.engine(), &mut follower, 4_000, u64::MAX);
        self.check_follower(&follower);
        drop(follower);
        let options = EngineOptions { role: LogRole::Leader, ..options() };
        let promoted = fixture::open(&self.follower_disk, options);
        check_world(&promoted.reader().snapshot(), &self.newest());
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
        sum.commits += one.commits;
        sum.conflicts += one.conflicts;
        sum.changed_meanwhile += one.changed_meanwhile;
        sum.conditions += one.conditions;
        sum.reads_within += one.reads_within;
        sum.aborts += one.aborts;
        sum.ended_by_restart += one.ended_by_restart;
        sum.flushes_while_open += one.flushes_while_open;
        sum.restarts += one.restarts;
        sum.cuts += one.cuts;
        sum.follower_cuts += one.follower_cuts;
        sum.fetches += one.fetches;
    }
    println!("{sum:?}");
    let enough = sum.commits > 1_000 && sum.conflicts > 300 && sum.ended_by_restart > 300;
    assert!(enough && sum.flushes_while_open > 500, "{sum:?}");
    assert!(sum.conditions > 500 && sum.changed_meanwhile > 10, "{sum:?}");
    assert!(sum.reads_within > 500, "{sum:?}");
    assert!(sum.cuts > 200 && sum.follower_cuts > 100, "{sum:?}");
}

/// More of them when asked: `UNISON_TRANSACTION_CASES=10000 cargo test -p unison-engine --test engine
/// transactions`.
fn number() -> u64 {
    crate::fixture::number_of_cases("UNISON_TRANSACTION_CASES", CASES)
}

#[test]
fn transactions_happen_at_once_or_never_in_even_cases() {
    cases((0..number()).step_by(2));
}

#[test]
fn transactions_happen_at_once_or_never_in_odd_cases() {
    cases((1..number()).step_by(2));
}
