//! A follower is a prefix of its leader, byte for byte, whatever happens to the line and to either
//! node.

mod pair;

use pair::{Edge, HUB_CLOCK, Hub, Line, assert_same_bytes};
use std::collections::BTreeMap;
use unison_base::prng::Prng;
use unison_base::{LogId, Lsn};
use unison_engine::ScanRequest;
use unison_link::{Divergence, Refusal};
use unison_node::{Replica as _, ReplicaError, Stepped};
use unison_ports::IoError;
use unison_sim::disk::{CrashDisk, Cut};

const LOG: LogId = LogId([7; 16]);
type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn write(hub: &mut Hub, model: &mut Model, prng: &mut Prng, count: u64) {
    for _ in 0..count {
        let key = format!("key-{}", prng.below(300)).into_bytes();
        let mut value = vec![0; usize::try_from(prng.below(2_000)).unwrap()];
        prng.fill(&mut value);
        hub.put(&key, &value);
        model.insert(key, value);
    }
}

fn assert_state(edge: &Edge, model: &Model) {
    let snapshot = edge.engine().reader().snapshot();
    let held: Model = snapshot
        .scan(ScanRequest::default())
        .unwrap()
        .map(|item| item.unwrap())
        .map(|item| (item.key.clone(), item.value.bytes().unwrap().to_vec()))
        .collect();
    assert!(held == *model, "{} keys held, {} expected", held.len(), model.len());
}

fn any_cut(prng: &mut Prng) -> Cut {
    Cut::ALL[usize::try_from(prng.below(Cut::ALL.len() as u64)).unwrap()]
}

#[test]
fn a_beat_tells_an_edge_what_its_hubs_clock_says_once() {
    let hub = Hub::open(CrashDisk::new(), LOG);
    let mut edge = Edge::open(CrashDisk::new(), 1);
    assert_eq!(edge.session.leader_clock(), None);
    let mut line = Line::connect(&mut edge, 0, usize::MAX);
    assert!(line.exchange(&hub, &mut edge, 0));
    assert_eq!(edge.session.leader_clock(), Some(HUB_CLOCK));
    assert_eq!(edge.session.leader_clock(), None);
}

#[test]
fn an_edge_catches_up_then_follows_and_holds_the_same_bytes() {
    let mut prng = Prng::new(1);
    let mut model = Model::new();
    let mut hub = Hub::open(CrashDisk::new(), LOG);
    write(&mut hub, &mut model, &mut prng, 500);
    let mut edge = Edge::open(CrashDisk::new(), 1);
    let mut line = Line::connect(&mut edge, 0, usize::MAX);
    assert!(line.exchange(&hub, &mut edge, 0));
    assert_state(&edge, &model);
    for _ in 0..50 {
        write(&mut hub, &mut model, &mut prng, 1);
        assert!(line.exchange(&hub, &mut edge, 0));
        assert_eq!(edge.engine().applied(), hub.engine.durable());
    }
    assert_state(&edge, &model);
    let compared = assert_same_bytes(&hub, &edge);
    assert!(compared > 5 * 60_000, "several segments, {compared} bytes");
}

#[test]
fn runs_that_are_taken_in_parts_leave_the_same_as_whole_ones() {
    let mut interrupted = 0;
    for seed in 0..20 {
        let mut prng = Prng::new(seed);
        let mut model = Model::new();
        let mut hub = Hub::open(CrashDisk::new(), LOG);
        let mut edge = Edge::open(CrashDisk::new(), seed);
        edge.session.replicas_mut()[0].takes_parts = true;
        let mut now_ms = 0;
        for round in 0..8 {
            let count = prng.between(40, 160);
            write(&mut hub, &mut model, &mut prng, count);
            now_ms = edge.session.link().reconnect_at().unwrap_or(now_ms).max(now_ms);
            let part = usize::try_from(prng.between(1, 160_000)).unwrap();
            let allowance = if round == 7 { usize::MAX } else { part };
            let mut line = Line::connect(&mut edge, now_ms, allowance);
            let whole = line.exchange(&hub, &mut edge, now_ms);
            assert!(whole || round < 7, "seed {seed}");
            interrupted += u32::from(edge.session.is_busy());
            assert_same_bytes(&hub, &edge);
            edge.session.link().disconnected(now_ms);
        }
        assert_eq!(edge.engine().applied(), hub.engine.durable(), "seed {seed}");
        assert_state(&edge, &model);
        assert_same_bytes(&hub, &edge);
        assert!(
            edge.told.iter().all(|it| matches!(it, Stepped::Serving { .. })),
            "{:?}",
            edge.told
        );
    }
    assert!(interrupted > 2, "{interrupted} lines were cut in the middle of a run");
}

/// A disk that comes back formatted in the middle of a run: an empty log would take the rest of it.
#[test]
fn a_replica_that_is_opened_again_takes_no_rest_of_a_run() {
    let (mut prng, mut model) = (Prng::new(8), Model::new());
    let mut hub = Hub::open(CrashDisk::new(), LOG);
    write(&mut hub, &mut model, &mut prng, 40);
    let interrupted = (1..200).map(|cut| {
        let mut edge = Edge::open(CrashDisk::new(), 8);
        edge.session.replicas_mut()[0].takes_parts = true;
        Line::connect(&mut edge, 0, cut * 500).exchange(&hub, &mut edge, 0);
        edge.session.step(0, 1, &mut |_| {});
        edge
    });
    let mut interrupted =
        interrupted.filter(|edge| edge.session.is_busy() && edge.engine().appended() > Lsn::ZERO);
    let mut edge = interrupted.next().expect("a line that is cut behind a run");

    edge.disk = CrashDisk::new();
    edge.session.replicas_mut()[0].move_to(&edge.disk);
    let end = edge.session.replicas()[0].end().unwrap();
    edge.session.restart(0, end, 0);
    for _ in 0..100 {
        edge.session.step(0, 1, &mut |_| {});
    }
    assert_eq!(edge.engine().appended(), Lsn::ZERO);
    assert!(!edge.session.is_busy());
    edge.session.link().disconnected(0);
    assert_eq!(reconnect(&hub, &mut edge).1, 0);
    assert_state(&edge, &model);
    assert_same_bytes(&hub, &edge);
}

#[test]
fn cuts_of_line_and_power_leave_a_prefix_and_then_everything() {
    let (mut cuts, mut edge_crashes, mut hub_crashes) = (0, 0, 0);
    for seed in 0..60 {
        let mut prng = Prng::new(seed);
        let mut model = Model::new();
        let mut hub = Hub::open(CrashDisk::new(), LOG);
        let mut edge = Edge::open(CrashDisk::new(), seed);
        let mut now_ms = 0;
        for _ in 0..12 {
            let count = prng.below(40);
            write(&mut hub, &mut model, &mut prng, count);
            now_ms = edge.session.link().reconnect_at().unwrap_or(now_ms).max(now_ms);
            let allowance = usize::try_from(prng.between(1, 60_000)).unwrap();
            let mut line = Line::connect(&mut edge, now_ms, allowance);
            cuts += u32::from(!line.exchange(&hub, &mut edge, now_ms));
            assert!(edge.engine().durable() <= hub.engine.durable());
            assert_same_bytes(&hub, &edge);
            edge.session.link().disconnected(now_ms);
            if prng.chance(40) {
                edge_crashes += 1;
                let before = edge.engine().durable();
                let cut = any_cut(&mut prng);
                edge = Edge::open(edge.disk.crash(cut, &mut prng), seed);
                assert!(edge.engine().durable() >= before, "an acknowledged record is gone");
                now_ms = 0;
            }
            if prng.chance(20) {
                hub_crashes += 1;
                let cut = any_cut(&mut prng);
                hub = Hub::open(hub.disk.crash(cut, &mut prng), LOG);
            }
        }
        now_ms = edge.session.link().reconnect_at().unwrap_or(now_ms).max(now_ms);
        let mut line = Line::connect(&mut edge, now_ms, usize::MAX);
        assert!(line.exchange(&hub, &mut edge, now_ms), "seed {seed}");
        assert_eq!(edge.engine().applied(), hub.engine.durable(), "seed {seed}");
        assert_state(&edge, &model);
        assert_same_bytes(&hub, &edge);
    }
    println!("60 seeds: {cuts} cut lines, {edge_crashes} edge and {hub_crashes} hub power cuts");
    assert!(cuts > 100 && edge_crashes > 100 && hub_crashes > 50);
}

/// An edge that holds 20 records of a hub, and another hub in its place, with 10.
fn replaced_hub(seed: u64) -> (Hub, Edge, Model) {
    let mut prng = Prng::new(seed);
    let mut hub = Hub::open(CrashDisk::new(), LOG);
    write(&mut hub, &mut Model::new(), &mut prng, 20);
    let mut edge = Edge::open(CrashDisk::new(), seed);
    assert!(Line::connect(&mut edge, 0, usize::MAX).exchange(&hub, &mut edge, 0));
    edge.session.link().disconnected(0);
    let mut model = Model::new();
    let mut other = Hub::open(CrashDisk::new(), LogId([8; 16]));
    write(&mut other, &mut model, &mut prng, 10);
    (other, edge, model)
}

/// Connects again and again until a connection stays; returns when, and how many did not.
fn reconnect(hub: &Hub, edge: &mut Edge) -> (u64, usize) {
    for closed in 0..20 {
        let now_ms = edge.session.link().reconnect_at().unwrap();
        if Line::connect(edge, now_ms, usize::MAX).exchange(hub, edge, now_ms) {
            return (now_ms, closed);
        }
        edge.session.link().disconnected(now_ms);
    }
    panic!("no connection stayed: {:?}", edge.told);
}

#[test]
fn a_log_that_was_made_anew_is_noticed_and_the_old_one_set_aside() {
    let (other, mut edge, model) = replaced_hub(3);
    assert_eq!(reconnect(&other, &mut edge).1, 0);
    assert!(edge.told.contains(&Stepped::SetAside { namespace: 0, why: Divergence::Log }));
    assert_eq!(edge.engine().applied(), Lsn(10));
    assert_state(&edge, &model);
    assert_same_bytes(&other, &edge);
}

#[test]
fn a_log_that_is_replaced_while_it_is_followed_is_followed_anew() {
    let mut prng = Prng::new(6);
    let mut hub = Hub::open(CrashDisk::new(), LOG);
    write(&mut hub, &mut Model::new(), &mut prng, 20);
    let mut edge = Edge::open(CrashDisk::new(), 6);
    let mut line = Line::connect(&mut edge, 0, usize::MAX);
    assert!(line.exchange(&hub, &mut edge, 0));
    let mut model = Model::new();
    let mut other = Hub::open(CrashDisk::new(), LogId([8; 16]));
    write(&mut other, &mut model, &mut prng, 30);
    assert!(line.exchange(&other, &mut edge, 1));
    let gone = Stepped::Waiting { namespace: 0, reason: Refusal::UnknownNamespace };
    assert!(edge.told.contains(&gone), "{:?}", edge.told);
    let asks_ms = edge.session.link().poll_timeout();
    assert!(line.exchange(&other, &mut edge, asks_ms), "on the same connection");
    assert_state(&edge, &model);
    assert_same_bytes(&other, &edge);
}

#[test]
fn what_cannot_be_set_aside_at_once_is_set_aside_later() {
    for loses_its_end in [false, true] {
        let (other, mut edge, model) = replaced_hub(4);
        let replica = &mut edge.session.replicas_mut()[0];
        (replica.failures, replica.loses_its_end) = (6, loses_its_end);
        let (connected_ms, closed) = reconnect(&other, &mut edge);
        assert_eq!(closed, 6);
        assert!(connected_ms > 3_000, "the pauses grow: six attempts took {connected_ms} ms");
        let failed = ReplicaError::Io(IoError::NoSpace);
        let failed = Stepped::Replica { namespace: 0, error: failed };
        assert_eq!(edge.told.iter().filter(|told| **told == failed).count(), 6);
        assert_state(&edge, &model);
        assert_same_bytes(&other, &edge);
    }
}

#[test]
fn a_log_that_is_empty_after_a_trouble_is_fetched_from_its_start() {
    let mut prng = Prng::new(7);
    let mut model = Model::new();
    let mut hub = Hub::open(CrashDisk::new(), LOG);
    write(&mut hub, &mut model, &mut prng, 5);
    let mut edge = Edge::open(CrashDisk::new(), 7);
    let mut line = Line::connect(&mut edge, 0, usize::MAX);
    assert!(line.exchange(&hub, &mut edge, 0));
    let replica = &mut edge.session.replicas_mut()[0];
    (replica.tree_differs, replica.empties) = (true, true);
    (replica.failures, replica.loses_its_end) = (1, true);
    write(&mut hub, &mut model, &mut prng, 1);
    assert!(!line.exchange(&hub, &mut edge, 0));
    edge.session.link().disconnected(0);
    assert_eq!(reconnect(&hub, &mut edge).1, 0);
    assert_state(&edge, &model);
    assert_same_bytes(&hub, &edge);
}

#[test]
fn a_tree_made_from_other_records_is_set_aside() {
    let mut prng = Prng::new(5);
    let mut model = Model::new();
    let mut hub = Hub::open(CrashDisk::new(), LOG);
    write(&mut hub, &mut model, &mut prng, 20);
    let mut edge = Edge::open(CrashDisk::new(), 5);
    edge.session.replicas_mut()[0].tree_differs = true;
    assert!(Line::connect(&mut edge, 0, usize::MAX).exchange(&hub, &mut edge, 0));
    assert!(edge.told.contains(&Stepped::SetAside { namespace: 0, why: Divergence::Frame }));
    assert_state(&edge, &model);
    assert_same_bytes(&hub, &edge);
}
