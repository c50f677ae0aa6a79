//! Accepting RESP connections.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, MutexGuard, PoisonError};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use unison_base::NamespaceName;
use unison_resp::cursors::Cursors;
use unison_resp::refusal::too_many_callers;

use super::audience::Audience;
use super::clients::Clients;
use super::connection::Connection;
use super::session::Session;
use crate::listen::Gate;
use crate::node::{Node, Role};

/// Most places that scans may go on from.
const CURSORS_MAX: usize = 65_536;
/// Locks among which the keys of read-change-write commands are spread.
const TURNS: usize = 64;

/// What the connections of one server share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) node: Arc<Node>,
    pub(super) gate: Gate,
    pub(super) clients: Clients,
    pub(super) audience: Arc<Audience>,
    cursors: std::sync::Mutex<Cursors>,
    pub(super) port: u16,
    turns: Vec<Mutex<()>>,
    hasher: RandomState,
}

impl Shared {
    /// The lock that commands which read, change and write this key take turns with, so that
    /// clients of this server do not get into each other's way and try again.
    pub(super) fn turn(&self, namespace: &NamespaceName, key: &[u8]) -> &Mutex<()> {
        let hash = self.hasher.hash_one((namespace, key));
        let index = usize::try_from(hash % TURNS as u64).unwrap_or(0);
        // The vector has `TURNS` locks; with none a command would only wait for itself.
        self.turns.get(index).or_else(|| self.turns.first()).unwrap_or(&SPARE_TURN)
    }

    /// The places that scans may go on from.
    pub(super) fn cursors(&self) -> MutexGuard<'_, Cursors> {
        self.cursors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What Redis calls this node's role.
    pub(super) fn redis_role(&self) -> &'static str {
        match self.node.role {
            Role::Hub => "master",
            Role::Edge { .. } => "replica",
        }
    }
}

static SPARE_TURN: Mutex<()> = Mutex::const_new(());

/// The RESP server of a node.
#[derive(Debug)]
pub struct RespServer {
    shared: Arc<Shared>,
    listener: TcpListener,
}

impl RespServer {
    /// A server on a bound listener.
    #[must_use]
    pub fn new(node: Arc<Node>, listener: TcpListener) -> Self {
        let shared = Shared {
            gate: Gate::new(node.connections_max, node.shutdown.clone()),
            clients: Clients::default(),
            audience: Arc::default(),
            cursors: std::sync::Mutex::new(Cursors::new(node.started_ms(), CURSORS_MAX)),
            port: listener.local_addr().map_or(0, |address| address.port()),
            turns: (0..TURNS).map(|_| Mutex::new(())).collect(),
            hasher: RandomState::new(),
            node,
        };
        Self { shared: Arc::new(shared), listener }
    }

    /// Serves until the node's shutdown begins. Connections end by themselves then; the shutdown
    /// waits for them.
    pub async fn run(self) {
        let Self { shared, listener } = self;
        let gate = shared.gate.clone();
        let serve = |stream, peer, place| {
            let shared = Arc::clone(&shared);
            async move {
                let counters = &shared.node.metrics.resp;
                counters.accepted.inc();
                let client = shared.clients.enter(peer);
                if let Some(session) = Session::new(Arc::clone(&shared), Arc::clone(&client)) {
                    let end = Connection::new(stream, session).run().await;
                    tracing::debug!(%peer, ?end, "RESP connection ended");
                }
                shared.clients.leave(&client);
                counters.ended.inc();
                drop(place);
            }
        };
        let refuse = |stream| {
            shared.node.metrics.resp.refused.inc();
            refuse(stream, gate.limit())
        };
        gate.accept(listener, serve, refuse).await;
    }
}

/// Tells a client that there are too many, without waiting for it.
async fn refuse(mut stream: TcpStream, limit: usize) {
    let text = too_many_callers(limit);
    // A new connection's send buffer is empty: this does not wait, and who does not listen is lost.
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}
