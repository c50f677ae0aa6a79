//! Thousands of short histories of topics, with flushes, snapshots, restarts, power cuts, expiry and
//! a follower.

mod removals;
mod settings;
mod transactions;

use super::model::{Known, Model, Moment};
use super::{Shown, filter, read};
use crate::fixture::{self, NOW_MS, Sim, follower_options, options};
use crate::follow::fetch;
use std::collections::BTreeSet;
use transactions::Open;
use unison_base::Lsn;
use unison_base::prng::Prng;
use unison_engine::{
    ChangeId, EngineOptions, FlushJob, MessageId, MessageRequest, NewMessage, Operation, Pressure,
    Snapshot, TopicFilter, Write, WriteError,
};
use unison_sim::disk::{CrashDisk, Cut, SimStore};
use unison_walfs::LogRole;

const CASES: u64 = 2_000;
const STEPS: u64 = 40;

const TOPICS: [&str; 9] = ["a", "a/b", "a/b/c", "b/a", "x/x", "y/y", "$s/a", "b", "a//b"];
const PATTERNS: [&str; 7] = ["#", "+", "a/+", "a/#", "+/x", "$s/#", "x/x"];
const FILTERS: [&str; 6] = ["a/b", "+/+", "a/+/#", "nothing", "y/y", "+"];

/// What happened, for the counts at the end.
#[derive(Default, Debug)]
struct Happened {
    messages: u64,
    transactions: u64,
    deleted: u64,
    trimmed: u64,
    watermarks: u64,
    busy: u64,
    flushes: u64,
    removals: u64,
    restarts: u64,
    cuts: u64,
    fetches: u64,
    settings: u64,
    kept: u64,
}

struct Run {
    disk: CrashDisk,
    engine: Option<Sim>,
    follower_disk: CrashDisk,
    follower: Option<Sim>,
    options: EngineOptions,
    prng: Prng,
    now_ms: u64,
    model: Model,
    held: Vec<(Snapshot<SimStore>, u64)>,
    job: Option<FlushJob<SimStore>>,
    /// Trims up to here are known to the model.
    trims_to: ChangeId,
    asked_trims: BTreeSet<Lsn>,
    open: Vec<Open>,
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
            removed_keys_max: [1, 3, 1_000][usize::try_from(prng.below(3)).unwrap()],
            removal_delay_ms: 30,
            ..options()
        };
        let (disk, follower_disk) = (CrashDisk::new(), CrashDisk::new());
        let engine = Some(fixture::open_with_keys(&disk, options));
        let follower = Some(fixture::open_with_keys(&follower_disk, follower_options()));
        Self {
            disk,
            engine,
            follower_disk,
            follower,
            options,
            prng,
            now_ms: NOW_MS,
            model: Model::default(),
            held: Vec::new(),
            job: None,
            trims_to: ChangeId::default(),
            asked_trims: BTreeSet::new(),
            open: Vec::new(),
            happened: Happened::default(),
        }
    }

    fn engine(&mut self) -> &mut Sim {
        self.engine.as_mut().unwrap()
    }

    fn pick<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        texts[usize::try_from(self.prng.below(texts.len() as u64)).unwrap()]
    }

    fn snapshot(&mut self) -> Snapshot<SimStore> {
        let now_ms = self.now_ms;
        self.engine().reader().at(now_ms).snapshot()
    }

    fn step(&mut self) {
        self.pass_time();
        match self.prng.below(120) {
            0..36 => self.publish(false),
            36..41 => self.publish(true),
            41..49 => self.delete(),
            49..54 => self.trim(false),
            54..56 => self.trim(true),
            56..60 => self.expire(),
            60..72 => self.commit(),
            72..78 => self.flush(),
            78..82 => self.take_or_finish_job(),
            82..87 => self.hold_snapshot(),
            87..93 => self.follow(),
            93..95 => self.restart(),
            95..97 => self.cut_power(),
            97 => self.restart_follower(),
            100..103 => self.set_topics(),
            103..105 => self.trim_by_rules(),
            105..120 => self.transaction(),
            _ => self.append_only(),
        }
        self.look();
    }

    /// Mostly forward, sometimes back.
    fn pass_time(&mut self) {
        match self.prng.below(10) {
            0..4 => {}
            9 => self.now_ms -= self.prng.below(50),
            _ => self.now_ms += self.prng.below(40),
        }
    }

    fn publish(&mut self, patterns: bool) {
        let count = if self.prng.chance(50) { 1 } else { self.prng.between(1, 5) };
        let drafts: Vec<_> = (0..count)
            .map(|_| {
                let topic = self.pick(if patterns { &PATTERNS } else { &TOPICS });
                let ttl_ms = self.prng.chance(30).then(|| self.prng.below(200));
                let mut payload = vec![0; [0, 1, 20, 200][self.prng.below(4) as usize]];
                if self.prng.chance(60) {
                    self.prng.fill(&mut payload);
                }
                (topic, ttl_ms, payload, self.prng.chance(30))
            })
            .collect();
        let value = self.prng.next_u64().to_le_bytes();
        let headers = [("trace", &value[..])];
        let headers = if self.prng.chance(20) { &headers[..] } else { &[] };
        let messages: Vec<_> = drafts
            .iter()
            .map(|(topic, ttl_ms, payload, retain)| NewMessage {
                topic,
                payload,
                headers,
                ttl_ms: *ttl_ms,
                retain: *retain,
            })
            .collect();
        let operation = match patterns {
            true => Operation::PublishPattern(&messages),
            false => Operation::Publish(&messages),
        };
        if let Some(lsn) = self.write(operation) {
            self.published(&messages, lsn, patterns);
        }
    }

    /// Takes note of messages that were written.
    fn published(&mut self, messages: &[NewMessage<'_>], lsn: Lsn, is_pattern: bool) {
        let time_ms = self.engine().hlc().millis();
        let watermark = self.model.watermarks.iter().map(|(_, ms)| *ms).max().unwrap_or(0);
        for (index, message) in (0..).zip(messages) {
            let from = time_ms.max(watermark);
            let ttl_ms = message.ttl_ms.or(self.model.ttl_ms(message.topic, is_pattern));
            let headers = message.headers.iter();
            let shown = Shown {
                topic: message.topic.into(),
                is_pattern,
                time_ms,
                id: MessageId { lsn, index },
                expires_at: ttl_ms.map(|ttl_ms| from + ttl_ms),
                headers: headers.map(|(name, value)| ((*name).into(), value.to_vec())).collect(),
                payload: message.payload.into(),
            };
            let newest =
                self.model.messages.last().map(|known| (known.shown.time_ms, known.shown.id));
            assert!(newest.is_none_or(|newest| newest < (time_ms, shown.id)), "{newest:?}");
            if !is_pattern {
                self.model.topics.entry(shown.topic.clone()).or_insert(lsn.prev());
            }
            self.model.messages.push(Known { shown, retain: message.retain, removed: None });
            self.happened.messages += 1;
        }
    }

    /// `None` when memory is full.
    fn write(&mut self, operation: Operation<'_>) -> Option<Lsn> {
        let now_ms = self.now_ms;
        match self.engine().stage(&Write::new(operation), now_ms) {
            Err(WriteError::Busy(Pressure::Full { .. })) => {
                self.happened.busy += 1;
                None
            }
            written => Some(written.unwrap().lsn),
        }
    }

    fn expire(&mut self) {
        let now_ms = self.now_ms;
        match self.engine().expire(now_ms) {
            Ok(Some(lsn)) => {
                self.model.watermarks.push((lsn, now_ms));
                self.happened.watermarks += 1;
            }
            Ok(None) => {
                let watermark = self.model.watermarks.iter().map(|(_, ms)| *ms).max();
                let due = |known: &Known| {
                    let ends = known.shown.expires_at.filter(|ms| Some(*ms) > watermark);
                    ends.is_some_and(|ms| ms <= now_ms) && known.removed.is_none()
                };
                assert!(!self.model.messages.iter().any(due));
            }
            Err(error) => assert!(matches!(error, WriteError::Busy(_)), "{error}"),
        }
    }

    fn commit(&mut self) {
        let now_ms = self.now_ms;
        fixture::commit(self.engine());
        self.happened.removals += u64::from(self.engine().free_expired(now_ms));
    }

    fn append_only(&mut self) {
        let (appended, now_ms) = (self.engine().append(NOW_MS).unwrap(), self.now_ms);
        self.engine().publish(appended);
        self.happened.removals += u64::from(self.engine().free_expired(now_ms));
    }

    fn flush(&mut self) {
        self.finish_job();
        if self.prng.chance(50) {
            self.engine().append(NOW_MS).unwrap();
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
        let snapshot = self.snapshot();
        self.held.push((snapshot, self.now_ms));
        if self.held.len() > 2 {
            let (snapshot, now_ms) = self.held.remove(0);
            self.model.check_all(&snapshot, now_ms);
        }
    }

    fn look(&mut self) {
        self.learn_trims();
        let snapshot = self.snapshot();
        let one = self.prng.chance(50);
        let asked = filter(self.pick(if one { &TOPICS } else { &FILTERS }));
        self.model.check(&snapshot, &asked, self.now_ms);
        self.look_at_a_part(&snapshot, &asked);
        self.look_within(&asked);
    }

    /// Times, pages and orders, against the whole list.
    fn look_at_a_part(&mut self, snapshot: &Snapshot<SimStore>, asked: &TopicFilter) {
        let mut expected =
            self.model.shown(asked, Moment { lsn: snapshot.lsn(), now_ms: self.now_ms });
        let near = |prng: &mut Prng| NOW_MS + prng.below(300);
        let (from_ms, to_ms) = (near(&mut self.prng), near(&mut self.prng));
        let newest_first = self.prng.chance(50);
        expected.retain(|shown| (from_ms..to_ms).contains(&shown.time_ms));
        if newest_first {
            expected.reverse();
        }
        let request = MessageRequest { filter: asked, from_ms, to_ms, newest_first, after: None };
        let mut pages = Vec::new();
        let mut after = None;
        loop {
            let page = snapshot.messages(MessageRequest { after, ..request }).unwrap().take(3);
            let page: Vec<_> = page.map(|message| message.unwrap()).collect();
            let Some(last) = page.last() else { break };
            after = Some(last.at);
            pages.extend(page.iter().map(super::shown));
        }
        assert_eq!(pages, expected, "{request:?}");
        assert_eq!(read(snapshot, request), expected, "{request:?}");
    }

    fn follow(&mut self) {
        let durable = self.engine().durable();
        self.engine().publish(durable);
        self.learn_trims();
        let mut follower = self.follower.take().unwrap();
        let (bytes, steps) = (self.prng.between(200, 5_000), self.prng.between(1, 20));
        fetch(self.engine(), &mut follower, usize::try_from(bytes).unwrap(), steps);
        if self.prng.chance(30) {
            fixture::flush(&mut follower);
        }
        self.model.check_all(&follower.reader().at(self.now_ms).snapshot(), self.now_ms);
        self.follower = Some(follower);
        self.happened.fetches += 1;
    }

    fn restart_follower(&mut self) {
        drop(self.follower.take());
        let follower = fixture::open_with_keys(&self.follower_disk, follower_options());
        self.model.check_all(&follower.reader().snapshot(), 0);
        self.follower = Some(follower);
    }

    fn restart(&mut self) {
        self.end();
        let appended = self.engine().append(NOW_MS).unwrap();
        drop(self.engine.take());
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
        for (snapshot, now_ms) in self.held.drain(..) {
            self.model.check_all(&snapshot, now_ms);
        }
        self.job = None;
        self.open.clear();
    }

    fn reopen(&mut self, at_least: Lsn, at_most: Lsn) {
        let (mut engine, report) = fixture::try_open(&self.disk, self.options).unwrap();
        engine.set_keys(fixture::keys());
        assert!(engine.appended() >= at_least && engine.appended() <= at_most);
        assert_eq!((report.gaps, report.missing, report.invalid), (0, 0, 0));
        assert_eq!(engine.stats().skipped_records, 0);
        self.model.truncate(engine.appended());
        self.engine = Some(engine);
        self.forget_trims();
        self.learn_trims();
        let snapshot = self.snapshot();
        self.model.check_all(&snapshot, self.now_ms);
    }

    /// Everything is on both sides, and the follower can lead.
    fn finish(&mut self) {
        self.end();
        fixture::commit(self.engine());
        self.learn_trims();
        let mut follower = self.follower.take().unwrap();
        fetch(self.engine(), &mut follower, 4_000, u64::MAX);
        self.model.check_all(&follower.reader().snapshot(), 0);
        drop(follower);
        let options = EngineOptions { role: LogRole::Leader, ..options() };
        let promoted = fixture::open_with_keys(&self.follower_disk, options);
        self.model.check_all(&promoted.reader().snapshot(), 0);
        drop(self.engine.replace(promoted));
        for topic in ["a", "first/used/now"] {
            self.write(Operation::Publish(&[super::message(topic, b"led")])).unwrap();
        }
        fixture::commit(self.engine());
        let reader = self.engine().reader();
        assert_eq!(super::payloads(&reader, "first/used/now").last().unwrap(), b"led");
        let topics: BTreeSet<_> = super::topics(&reader, "#").into_iter().collect();
        assert!(topics.contains("first/used/now"));
    }
}

fn run(seeds: impl Iterator<Item = u64>) {
    let mut total = Happened::default();
    for seed in seeds {
        let mut run = Run::new(seed);
        let steps = run.prng.between(1, STEPS);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            (0..steps).for_each(|_| run.step());
            run.finish();
        }));
        if let Err(panic) = result {
            eprintln!("seed {seed}, {:?}", run.happened);
            std::panic::resume_unwind(panic);
        }
        let Happened { messages, deleted, trimmed, watermarks, busy, flushes, .. } = run.happened;
        total.messages += messages;
        total.transactions += run.happened.transactions;
        total.deleted += deleted;
        total.trimmed += trimmed;
        total.watermarks += watermarks;
        total.busy += busy;
        total.flushes += flushes;
        total.removals += run.happened.removals;
        total.restarts += run.happened.restarts;
        total.cuts += run.happened.cuts;
        total.fetches += run.happened.fetches;
        total.settings += run.happened.settings;
        total.kept += run.happened.kept;
    }
    println!("{total:?}");
    let Happened {
        messages,
        deleted,
        trimmed,
        watermarks,
        busy,
        flushes,
        removals,
        restarts,
        cuts,
        fetches,
        transactions,
        settings,
        kept,
    } = total;
    let all = [
        messages,
        deleted,
        trimmed,
        watermarks,
        busy,
        flushes,
        removals,
        restarts,
        cuts,
        fetches,
        transactions,
        settings,
        kept,
    ];
    assert!(all.iter().all(|count| *count > 50), "{all:?}");
}

/// More of them when asked: `UNISON_TOPIC_CASES=10000 cargo test -p unison-engine --test engine topics`.
fn number() -> u64 {
    crate::fixture::number_of_cases("UNISON_TOPIC_CASES", CASES)
}

#[test]
fn topics_are_lists_of_messages_in_even_cases() {
    run((0..number()).step_by(2));
}

#[test]
fn topics_are_lists_of_messages_in_odd_cases() {
    run((1..number()).step_by(2));
}
