//! A hub and an edge in one thread: production sessions and engines over disks in memory, with a
//! pipe of bytes between them that may be cut anywhere.

mod troubled;

use std::sync::Arc;
pub(crate) use troubled::Troubled;
use unison_base::{Hlc, LogId, Lsn, NamespaceName};
use unison_engine::{Engine, EngineOptions, Write};
use unison_link::{CloseReason, FollowerConfig, LeaderConfig, NodeId, Role, Timing, Token};
use unison_node::{
    Admission, FollowerSession, LeaderSession, Outgoing, ServedNamespace, Source, Stepped,
};
use unison_ports::{SegmentFile, SegmentKind, SegmentStore};
use unison_sim::disk::{CrashDisk, SimStore};
use unison_walfs::LogRole;

/// Small, so that a few hundred records fill several segments.
pub(crate) const SEGMENT_BYTES: u64 = 64 << 10;
/// What the hub's clock says.
pub(crate) const HUB_CLOCK: Hlc = Hlc::from_millis(1_700_000_000_000);
const OUT_BYTES: usize = 4 << 10;

/// A node's disk and what runs on it.
pub(crate) struct Hub {
    pub(crate) disk: CrashDisk,
    pub(crate) engine: Engine<SimStore>,
    pub(crate) log_id: LogId,
}

pub(crate) struct Edge {
    pub(crate) disk: CrashDisk,
    pub(crate) session: FollowerSession<Troubled>,
    pub(crate) told: Vec<Stepped>,
}

fn options(role: LogRole) -> EngineOptions {
    EngineOptions {
        segment_bytes: SEGMENT_BYTES,
        memtable_bytes: 16 << 10,
        role,
        ..EngineOptions::default()
    }
}

fn open(disk: &CrashDisk, role: LogRole) -> (Arc<SimStore>, Engine<SimStore>) {
    let store = Arc::new(disk.store("wal"));
    let tree = redb::Builder::new().create_with_backend(disk.tree("tree")).unwrap();
    let (engine, _) = Engine::open(Arc::clone(&store), tree, options(role), 1).unwrap();
    (store, engine)
}

impl Hub {
    pub(crate) fn open(disk: CrashDisk, log_id: LogId) -> Self {
        let (store, engine) = open(&disk, LogRole::Leader);
        store.set_log_id(log_id).unwrap();
        Self { disk, engine, log_id }
    }

    /// Writes durably and publishes.
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) -> Lsn {
        let lsn = self.engine.stage(&Write::put(key, value), 1).unwrap().lsn;
        self.engine.append(1).unwrap();
        let outcome = self.engine.sync_ticket().run();
        let durable = self.engine.synced(outcome).unwrap();
        self.engine.publish(durable);
        flush(&mut self.engine);
        lsn
    }
}

impl Edge {
    pub(crate) fn open(disk: CrashDisk, seed: u64) -> Self {
        let replica = Troubled::open(&disk);
        let config = FollowerConfig {
            node: NodeId::try_from("edge").unwrap(),
            token: Token::default(),
            role: Role::Replica,
            window_bytes: 64 << 10,
            run_bytes_max: 1 << 20,
            timing: Timing::default(),
        };
        let mut session = FollowerSession::new(config, seed, 0).unwrap();
        session.follow(NamespaceName::new("default").unwrap(), replica).unwrap().unwrap();
        Self { disk, session, told: Vec::new() }
    }

    pub(crate) fn engine(&self) -> &Engine<SimStore> {
        self.session.replicas()[0].engine()
    }
}

/// Runs a due flush to its end.
pub(crate) fn flush(engine: &mut Engine<SimStore>) {
    while let Some(job) = engine.flush_job() {
        engine.flushed(job.run()).unwrap();
    }
}

impl Source<SimStore> for Hub {
    fn admit(&self, node: &str, _token: &str, _role: Role) -> Admission {
        assert_eq!(node, "edge");
        Admission::Welcome
    }

    fn namespace(&self, name: &NamespaceName) -> Option<ServedNamespace<SimStore>> {
        (name.as_str() == "default").then(|| ServedNamespace {
            log_id: self.log_id,
            log: self.engine.log(),
            segment_bytes: SEGMENT_BYTES,
        })
    }

    fn log_id(&self, name: &NamespaceName) -> Option<LogId> {
        (name.as_str() == "default").then_some(self.log_id)
    }

    fn withdrawn(&self, _: &NamespaceName) {}

    fn acknowledged(&self, _: &NamespaceName, durable: Lsn, applied: Lsn) {
        assert!(
            durable <= self.engine.durable(),
            "a follower is ahead of its leader's durable log"
        );
        assert!(applied <= durable);
    }
}

/// One connection: bytes in flight in both directions, and how many more may pass before it is cut.
pub(crate) struct Line {
    leader: LeaderSession<SimStore>,
    to_edge: Vec<u8>,
    to_hub: Vec<u8>,
    pub(crate) allowance: usize,
    pub(crate) passed: usize,
}

impl Line {
    pub(crate) fn connect(edge: &mut Edge, now_ms: u64, allowance: usize) -> Self {
        // What came whole before the line was cut is taken to its end.
        while edge.session.is_busy() {
            edge.session.step(now_ms, 1, &mut |stepped| edge.told.push(stepped));
        }
        edge.session.link().connected(now_ms);
        let config = LeaderConfig::new(NodeId::try_from("hub").unwrap());
        let mut leader = LeaderSession::new(config, now_ms);
        leader.link().set_hlc(HUB_CLOCK);
        Self { leader, to_edge: Vec::new(), to_hub: Vec::new(), allowance, passed: 0 }
    }

    /// Moves bytes until neither side has anything to say. False when the line was cut or closed.
    pub(crate) fn exchange(&mut self, hub: &Hub, edge: &mut Edge, now_ms: u64) -> bool {
        loop {
            let closed: Option<CloseReason> = self.leader.step(hub);
            self.leader.durable_moved(hub);
            let open = edge.session.step(now_ms, 1, &mut |stepped| edge.told.push(stepped));
            flush(edge.session.replicas_mut()[0].replica.engine_mut());
            if closed.is_some() || !open {
                return false;
            }
            self.collect(edge, now_ms);
            if self.to_edge.is_empty() && self.to_hub.is_empty() && !edge.session.is_busy() {
                return true;
            }
            if !self.deliver(edge, now_ms) {
                return false;
            }
        }
    }

    fn collect(&mut self, edge: &mut Edge, now_ms: u64) {
        let mut out = vec![0; OUT_BYTES];
        while self.to_edge.len() < (256 << 10) {
            match self.leader.poll_transmit(now_ms, &mut out) {
                Outgoing::Bytes(bytes) => self.to_edge.extend(&out[..bytes]),
                Outgoing::Head(head) => self.to_edge.extend(&head[..]),
                Outgoing::Run { head, frames } => {
                    self.to_edge.extend(&head[..]);
                    self.to_edge.extend(&frames[..]);
                }
                Outgoing::Idle | Outgoing::Close => break,
            }
        }
        loop {
            let bytes = edge.session.link().poll_transmit(now_ms, &mut out);
            if bytes == 0 {
                return;
            }
            self.to_hub.extend(&out[..bytes]);
        }
    }

    fn deliver(&mut self, edge: &mut Edge, now_ms: u64) -> bool {
        for to_edge in [true, false] {
            let queue = if to_edge { &mut self.to_edge } else { &mut self.to_hub };
            let bytes = queue.len().min(self.allowance);
            let taken = if to_edge {
                edge.session.link().handle_bytes(&queue[..bytes], now_ms)
            } else {
                self.leader.link().handle_bytes(&queue[..bytes], now_ms)
            };
            queue.drain(..taken);
            self.allowance -= taken;
            self.passed += taken;
            if self.allowance == 0 {
                return false;
            }
        }
        true
    }
}

/// Asserts that every log segment of the edge holds the hub's bytes from the first frame on.
pub(crate) fn assert_same_bytes(hub: &Hub, edge: &Edge) -> usize {
    let (hub_store, edge_store) = (hub.disk.store("wal"), edge.disk.store("wal"));
    let mut compared = 0;
    let segments = edge.engine().log().segments();
    for info in segments.iter().filter(|info| info.kind == SegmentKind::Log) {
        let length = usize::try_from(info.write_offset).unwrap() - 64;
        let mut ours = vec![0; length];
        let mut theirs = vec![0; length];
        hub_store.open(info.id, SegmentKind::Log).unwrap().read_at(64, &mut ours).unwrap();
        edge_store.open(info.id, SegmentKind::Log).unwrap().read_at(64, &mut theirs).unwrap();
        assert!(ours == theirs, "segment {} differs", info.id);
        compared += length;
    }
    compared
}
