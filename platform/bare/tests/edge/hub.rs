//! A hub: production's leader over production's engine.

use crate::peer::Peer;
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::State;
use std::sync::Arc;
use unison_base::{Hlc, LogId, Lsn, NamespaceName};
use unison_engine::{Engine, EngineOptions, Write};
use unison_link::{ByeReason, LeaderConfig, NodeId, Role};
use unison_node::{Admission, LeaderSession, Outgoing, ServedNamespace, Source};
use unison_ports::SegmentStore;
use unison_sim::disk::{CrashDisk, SimStore};
use unison_walfs::LogRole;

pub(crate) const PORT: u16 = 4003;
/// Small, so that a few hundred records fill several segments.
const SEGMENT_BYTES: u64 = 64 << 10;
/// What the hub's clock says when the simulation begins.
pub(crate) const WALL_MS: u64 = 1_700_000_000_000;
const OUT_BYTES: usize = 4 << 10;
/// Bytes that wait for the connection.
const UNSENT_MAX: usize = 128 << 10;

/// What a hub has to offer.
pub(crate) struct Log {
    pub(crate) engine: Engine<SimStore>,
    log_id: LogId,
    pub(crate) dismisses: bool,
    /// Nothing that followers say is taken off the line.
    pub(crate) is_deaf: bool,
    segment_bytes: u64,
}

pub(crate) struct Hub {
    pub(crate) log: Log,
    listener: SocketHandle,
    followers: Vec<Follower>,
}

struct Follower {
    socket: SocketHandle,
    session: LeaderSession<SimStore>,
    unsent: Vec<u8>,
    unread: Vec<u8>,
}

impl Hub {
    pub(crate) fn new(log_id: u8, peer: &mut Peer) -> Self {
        Self::with_segments(SEGMENT_BYTES, log_id, peer)
    }

    pub(crate) fn with_segments(segment_bytes: u64, log_id: u8, peer: &mut Peer) -> Self {
        let disk = CrashDisk::new();
        let store = Arc::new(disk.store("wal"));
        let log_id = LogId([log_id; 16]);
        store.set_log_id(log_id).unwrap();
        let tree = redb::Builder::new().create_with_backend(disk.tree("tree")).unwrap();
        let options =
            EngineOptions { segment_bytes, role: LogRole::Leader, ..EngineOptions::default() };
        let (engine, _) = Engine::open(store, tree, options, WALL_MS).unwrap();
        let listener = listen(peer);
        let log = Log { engine, log_id, dismisses: false, is_deaf: false, segment_bytes };
        Self { log, listener, followers: Vec::new() }
    }

    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) -> Lsn {
        self.write(&Write::put(key, value))
    }

    pub(crate) fn write(&mut self, write: &Write<'_>) -> Lsn {
        let engine = &mut self.log.engine;
        let lsn = engine.stage(write, WALL_MS).unwrap().lsn;
        engine.append(WALL_MS).unwrap();
        let outcome = engine.sync_ticket().run();
        let durable = engine.synced(outcome).unwrap();
        engine.publish(durable);
        lsn
    }

    /// Serves whoever follows.
    pub(crate) fn poll(&mut self, peer: &mut Peer, now_ms: u64) {
        if !matches!(peer.tcp(self.listener).state(), State::Listen | State::SynReceived) {
            let socket = std::mem::replace(&mut self.listener, listen(peer));
            let config = LeaderConfig::new(NodeId::try_from("hub").unwrap());
            let session = LeaderSession::new(config, now_ms);
            self.followers.push(Follower { socket, session, unsent: vec![], unread: vec![] });
        }
        let log = &self.log;
        self.followers.retain_mut(|follower| follower.poll(log, peer, now_ms));
    }

    pub(crate) fn next_ms(&mut self) -> Option<u64> {
        let due = |follower: &mut Follower| follower.session.link().poll_timeout();
        self.followers.iter_mut().map(due).min()
    }

    pub(crate) fn followers(&self) -> usize {
        self.followers.len()
    }

    /// Takes everything down without a word.
    pub(crate) fn die(self, peer: &mut Peer) -> Log {
        for follower in &self.followers {
            peer.tcp(follower.socket).abort();
        }
        peer.tcp(self.listener).abort();
        self.log
    }

    /// Comes back with the same log.
    pub(crate) fn again(log: Log, peer: &mut Peer) -> Self {
        Self { log, listener: listen(peer), followers: Vec::new() }
    }

    /// Sends bytes that no hub would send, to everybody.
    pub(crate) fn babble(&mut self, bytes: &[u8]) {
        self.followers.iter_mut().for_each(|follower| follower.unsent.extend(bytes));
    }
}

fn listen(peer: &mut Peer) -> SocketHandle {
    let socket = peer.socket();
    peer.tcp(socket).listen(PORT).unwrap();
    socket
}

impl Follower {
    /// False when the connection is over.
    fn poll(&mut self, log: &Log, peer: &mut Peer, now_ms: u64) -> bool {
        self.session.link().set_hlc(Hlc::from_millis(WALL_MS + now_ms));
        if !log.is_deaf {
            self.unread.extend(peer.receive(self.socket));
        }
        if self.session.link().poll_timeout() <= now_ms {
            self.session.link().handle_timeout(now_ms);
        }
        let mut closed = None;
        loop {
            let taken = self.session.link().handle_bytes(&self.unread, now_ms);
            self.unread.drain(..taken);
            closed = closed.or(self.session.step(log));
            if taken == 0 || closed.is_some() {
                break;
            }
        }
        self.session.durable_moved(log);
        self.transmit(now_ms);
        peer.send(self.socket, &mut self.unsent);
        if closed.is_some() || peer.is_over(self.socket) {
            peer.tcp(self.socket).close();
            return false;
        }
        true
    }

    fn transmit(&mut self, now_ms: u64) {
        let mut out = [0; OUT_BYTES];
        while self.unsent.len() < UNSENT_MAX {
            match self.session.poll_transmit(now_ms, &mut out) {
                Outgoing::Bytes(bytes) => self.unsent.extend(&out[..bytes]),
                Outgoing::Head(head) => self.unsent.extend(&head[..]),
                Outgoing::Run { head, frames } => {
                    self.unsent.extend(&head[..]);
                    self.unsent.extend(&frames[..]);
                }
                Outgoing::Idle | Outgoing::Close => return,
            }
        }
    }
}

impl Source<SimStore> for Log {
    fn admit(&self, _: &str, _: &str, _: Role) -> Admission {
        match self.dismisses {
            true => Admission::Dismiss { reason: ByeReason::NotAllowed, retry_after_ms: 1_000 },
            false => Admission::Welcome,
        }
    }

    fn namespace(&self, name: &NamespaceName) -> Option<ServedNamespace<SimStore>> {
        (name.as_str() == "default").then(|| ServedNamespace {
            log_id: self.log_id,
            log: self.engine.log(),
            segment_bytes: self.segment_bytes,
        })
    }

    fn log_id(&self, name: &NamespaceName) -> Option<LogId> {
        (name.as_str() == "default").then_some(self.log_id)
    }

    fn withdrawn(&self, _: &NamespaceName) {}

    fn acknowledged(&self, _: &NamespaceName, durable: Lsn, applied: Lsn) {
        assert!(durable <= self.engine.durable(), "a follower is ahead of its leader");
        assert!(applied <= durable);
    }
}
