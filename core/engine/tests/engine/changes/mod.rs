//! Events: what a list of all that was written says, whoever reads it, from where and how often.

mod history;
mod model;
mod topics;

use crate::fixture::{self, Sim, commit, flush, follower_options, options};
use crate::follow::fetch;
use crate::transactions;
use model::{Told, Watcher, expected, expected_of, pick, told};
use std::ops::ControlFlow;
use unison_base::Lsn;
use unison_base::prng::Prng;
use unison_engine::{
    ChangeFilter, ChangeId, ChangeKind, ChangeModel, Models, Operation, Reached, Write,
};
use unison_sim::disk::SimStore;

/// What one write was, with the record it became.
type Written = Vec<Told>;

/// One random write; what it should tell.
fn write(engine: &mut Sim, prng: &mut Prng) -> Written {
    loop {
        let change = model::change(prng);
        match change.stage(engine, None) {
            Ok(lsn) => return expected(&change, lsn),
            Err(_) => {
                commit(engine);
                flush(engine);
            }
        }
    }
}

/// A transaction of some parts, with other writes between them; what all of it should tell.
fn transact(engine: &mut Sim, prng: &mut Prng) -> Written {
    let id = transactions::model::id(prng.next_u64());
    let marker = |engine: &mut Sim, operation| {
        engine.stage(&Write::new(operation).within(id), fixture::NOW_MS)
    };
    let (mut history, mut parts) = (Vec::new(), Vec::new());
    while marker(engine, Operation::Begin).is_err() {
        commit(engine);
        flush(engine);
    }
    let only_objects = prng.chance(30);
    for _ in 0..prng.below(9) {
        let part = match only_objects || prng.chance(30) {
            true => model::chunk(prng),
            false => model::change(prng),
        };
        match part.stage(engine, Some(id)) {
            Ok(_) => parts.push(part),
            Err(_) => {
                commit(engine);
                flush(engine);
            }
        }
        if prng.chance(40) {
            history.extend(write(engine, prng));
        }
    }
    if prng.chance(20) {
        let _ = marker(engine, Operation::Abort);
    } else if let Ok(written) = marker(engine, Operation::Commit(&[])) {
        history.extend(expected_of(&parts, written.lsn));
    }
    history
}

/// Some filters that let different things through.
fn filter(prng: &mut Prng) -> ChangeFilter {
    let models = [
        Models::ALL,
        Models::NONE.with(ChangeModel::Object),
        Models::NONE.with(ChangeModel::Kv),
        Models::NONE.with(ChangeModel::Row),
    ];
    let prefix = [&b""[..], b"", b"a", b"ab"];
    let (prefix, models) = (Box::from(*pick(prng, &prefix)), *pick(prng, &models));
    ChangeFilter { prefix, models, topics: None }
}

/// A leader, a follower, and watchers that read, stop, and come back at either of them.
struct World {
    prng: Prng,
    leader: Sim,
    follower: Sim,
    /// All events, and how many of them the follower has been sent.
    history: Vec<Told>,
    watchers: Vec<Watcher>,
}

impl World {
    fn visible(&self, applied: Lsn) -> Vec<Told> {
        self.history.iter().filter(|told| told.id.lsn <= applied).cloned().collect()
    }

    fn act(&mut self) {
        let now = self.leader.applied();
        match self.prng.below(8) {
            0 => {
                let (filter, behind) = (filter(&mut self.prng), self.start(now));
                self.watchers.push(Watcher::new(&self.leader, filter, behind));
            }
            1 if !self.watchers.is_empty() => {
                let at = usize::try_from(self.prng.below(self.watchers.len() as u64)).unwrap();
                let there = if self.prng.chance(50) { &self.leader } else { &self.follower };
                self.watchers[at].come_back(there);
            }
            _ => {}
        }
        for at in 0..self.watchers.len() {
            if self.prng.chance(60) {
                self.watchers[at].read(&mut self.prng);
            }
        }
    }

    /// From the beginning, from now, or from any event there was.
    fn start(&mut self, now: Lsn) -> ChangeId {
        match self.prng.below(3) {
            0 => ChangeId::default(),
            1 => ChangeId::whole(now),
            _ if self.history.is_empty() => ChangeId::whole(Lsn(1)),
            _ => pick(&mut self.prng, &self.history).id,
        }
    }

    fn check(&self) {
        for watcher in &self.watchers {
            let due = self.visible(watcher.reader.applied());
            watcher.check(&due);
        }
    }
}

/// Cuts: after any event, and wherever as many bytes were read as were allowed. Rotation, flushes,
/// reopenings, and another node that has the same log.
#[test]
fn every_event_is_told_once_and_in_order() {
    let (mut segments, mut led) = (0, 0);
    for seed in 0..30 {
        let (leader_disk, leader) = fixture::new(options());
        let (follower_disk, follower) = fixture::new(follower_options());
        let prng = Prng::new(seed);
        let (history, watchers) = (Vec::new(), Vec::new());
        let mut world = World { prng, leader, follower, history, watchers };
        for _ in 0..120 {
            let written = match world.prng.chance(15) {
                true => transact(&mut world.leader, &mut world.prng),
                false => write(&mut world.leader, &mut world.prng),
            };
            world.history.extend(written);
            if world.prng.chance(50) {
                world.act();
                commit(&mut world.leader);
            }
            match world.prng.below(20) {
                0 => flush(&mut world.leader),
                1 => {
                    commit(&mut world.leader);
                    drop(world.leader);
                    world.leader = fixture::open(&leader_disk, options());
                    world.watchers.iter_mut().for_each(|one| one.come_back(&world.leader));
                }
                2 => {
                    drop(world.follower);
                    world.follower = fixture::open(&follower_disk, follower_options());
                    world.watchers.iter_mut().for_each(|one| one.come_back(&world.follower));
                }
                3..6 => fetch(&world.leader, &mut world.follower, 3_000, 4),
                _ => {}
            }
            world.act();
            if world.prng.chance(30) {
                world.check();
            }
        }
        commit(&mut world.leader);
        fetch(&world.leader, &mut world.follower, 8_000, u64::MAX);
        for watcher in &mut world.watchers {
            watcher.read_all();
        }
        world.check();
        let (seen, due) = (world.watchers.len(), world.visible(Lsn::MAX).len());
        assert!(seen > 3 && due > 100, "{seen} watchers, {due} events");
        segments += world.leader.log().segments().len();
        led += world.watchers.iter().map(|one| one.led).sum::<usize>();
    }
    assert!(segments > 45, "{segments} segments: too few rotations");
    assert!(led > 1_000, "{led} times led by another one");
}

/// Everything that is told behind an event, without a filter.
fn all_behind(engine: &Sim, behind: ChangeId) -> Vec<Told> {
    let mut changes = engine.reader().changes(ChangeFilter::default(), behind);
    let mut seen = Vec::new();
    let reached = changes.read(usize::MAX, &mut |change| {
        seen.push(told(change));
        ControlFlow::Continue(())
    });
    assert_eq!(reached, Ok(Reached::End));
    seen
}

#[test]
fn from_every_event_the_rest_follows() {
    let (_disk, mut engine) = fixture::new(options());
    let mut prng = Prng::new(7);
    let history: Vec<Told> = (0..60)
        .flat_map(|number| match number % 5 {
            0 => transact(&mut engine, &mut prng),
            _ => write(&mut engine, &mut prng),
        })
        .collect();
    commit(&mut engine);
    assert_eq!(all_behind(&engine, ChangeId::default()), history);
    for (at, event) in history.iter().enumerate() {
        assert_eq!(all_behind(&engine, event.id), history[at + 1..]);
        let behind = ChangeId::whole(event.id.lsn);
        let rest: Vec<_> = history.iter().filter(|told| told.id > behind).cloned().collect();
        assert_eq!(all_behind(&engine, behind), rest);
        assert_eq!(event.id.to_string().parse(), Ok(event.id));
    }
}

/// What is appended and not visible is not told; nor is what an append that failed took back.
#[test]
fn nothing_is_told_before_a_reader_sees_it() {
    let (_disk, mut engine) = fixture::new(options());
    let mut changes = engine.reader().changes(ChangeFilter::default(), ChangeId::default());
    let count = |changes: &mut unison_engine::Changes<SimStore>| {
        let mut count = 0;
        changes
            .read(usize::MAX, &mut |_| {
                count += 1;
                ControlFlow::Continue(())
            })
            .unwrap();
        count
    };
    fixture::put(&mut engine, b"a", b"1");
    assert_eq!(count(&mut changes), 0);
    engine.append(fixture::NOW_MS).unwrap();
    assert_eq!(count(&mut changes), 0);
    fixture::put(&mut engine, b"b", b"2");
    engine.publish(Lsn(1));
    assert_eq!((count(&mut changes), changes.behind()), (1, 0));
    commit(&mut engine);
    assert_eq!((changes.behind(), count(&mut changes)), (1, 1));
}

#[test]
fn the_watermark_of_expiry_is_an_event_that_no_filter_of_keys_leaves_out() {
    let (_disk, mut engine) = fixture::new(options());
    let filter = ChangeFilter { prefix: Box::from(&b"door"[..]), ..ChangeFilter::default() };
    let mut changes = engine.reader().changes(filter, ChangeId::default());
    let soon = fixture::NOW_MS + 5;
    for key in [&b"a"[..], b"door:1"] {
        engine.stage(&Write::put(key, b"v").expiring_at(soon), fixture::NOW_MS).unwrap();
    }
    commit(&mut engine);
    let lsn = engine.expire(soon + 1).unwrap().expect("a record");
    commit(&mut engine);
    let mut seen = Vec::new();
    changes
        .read(usize::MAX, &mut |change| {
            seen.push((change.id.lsn, change.kind, change.key.to_vec(), change.expires_at));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(seen[0], (Lsn(2), ChangeKind::Put, b"door:1".to_vec(), Some(soon)));
    assert_eq!((seen.len(), seen[1].0, seen[1].1), (2, lsn, ChangeKind::ExpiredTo));
    assert!(seen[1].2.is_empty() && seen[1].3 >= Some(soon));
}

/// Begins a transaction and puts the parts into it; commits.
fn commit_parts(engine: &mut Sim, parts: &[model::Change]) -> Vec<Told> {
    let id = transactions::model::id(1);
    let marker = |engine: &mut Sim, operation| {
        engine.stage(&Write::new(operation).within(id), fixture::NOW_MS).unwrap().lsn
    };
    marker(engine, Operation::Begin);
    for part in parts {
        part.stage(engine, Some(id)).unwrap();
        commit(engine);
    }
    let lsn = marker(engine, Operation::Commit(&[]));
    commit(engine);
    expected_of(parts, lsn)
}

#[test]
fn every_object_of_a_transaction_is_told_once_however_many_there_are() {
    let (_disk, mut engine) = fixture::new(options());
    let object = |number: u8| model::Change::Chunk(vec![b'o', number], b"chunk".to_vec());
    let parts: Vec<_> = (0..2).flat_map(|_| (0..100).map(object)).collect();
    let due = commit_parts(&mut engine, &parts);
    assert_eq!(due.len(), 100);
    assert_eq!(all_behind(&engine, ChangeId::default()), due);
    for event in [0, 63, 64, 70, 98] {
        assert_eq!(all_behind(&engine, due[event].id), due[event + 1..]);
    }
}

/// The way back to the beginning of a transaction is as long as the transaction.
#[test]
fn a_transaction_is_read_as_many_bytes_at_a_time_as_are_allowed() {
    let (_disk, mut engine) = fixture::new(options());
    let put = |number: u8| model::Change::Put(vec![(vec![b'k', number], vec![1; 100])]);
    let parts: Vec<_> = (0..20).map(put).collect();
    let due = commit_parts(&mut engine, &parts);
    let mut changes = engine.reader().changes(ChangeFilter::default(), ChangeId::default());
    let (mut seen, mut first_at, mut calls) = (Vec::new(), None, 0);
    loop {
        let reached = changes.read(1, &mut |change| {
            seen.push(told(change));
            ControlFlow::Continue(())
        });
        calls += 1;
        first_at = first_at.or((!seen.is_empty()).then_some(calls));
        changes.rest();
        if reached == Ok(Reached::End) {
            break;
        }
    }
    assert_eq!(seen, due);
    assert!(first_at > Some(parts.len()), "told at the call {first_at:?}");
}
