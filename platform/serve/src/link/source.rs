//! What this node offers to one follower.

use crate::health::{Follower, LinkHealth};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use unison_base::{LogId, Lsn, NamespaceName};
use unison_link::Role;
use unison_linux::FileStore;
use unison_linux::store::Store;
use unison_node::{Admission, ServedNamespace, Source};

/// The namespaces of a store, offered to one connection. Known in the node's health as long as the
/// connection lives.
pub(super) struct StoreSource {
    store: Arc<Store>,
    health: Arc<LinkHealth>,
    peer: Option<SocketAddr>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    node: String,
    followers: BTreeMap<NamespaceName, Arc<Follower>>,
}

impl StoreSource {
    pub(super) fn new(
        store: Arc<Store>,
        health: Arc<LinkHealth>,
        peer: Option<SocketAddr>,
    ) -> Self {
        Self { store, health, peer, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source<FileStore> for StoreSource {
    fn admit(&self, node: &str, _token: &str, role: Role) -> Admission {
        tracing::info!(node, peer = ?self.peer, ?role, "follower connected");
        node.clone_into(&mut self.state().node);
        Admission::Welcome
    }

    fn namespace(&self, name: &NamespaceName) -> Option<ServedNamespace<FileStore>> {
        let namespace = self.store.namespace(name.as_str())?;
        let mut state = self.state();
        let node = state.node.clone();
        let follower = self.health.follower(node, self.peer, name.clone());
        state.followers.insert(name.clone(), follower);
        Some(ServedNamespace {
            log_id: namespace.log_id(),
            log: namespace.log().clone(),
            segment_bytes: self.store.segment_bytes(),
        })
    }

    fn log_id(&self, name: &NamespaceName) -> Option<LogId> {
        self.store.namespace(name.as_str()).map(|namespace| namespace.log_id())
    }

    fn withdrawn(&self, name: &NamespaceName) {
        tracing::info!(namespace = %name, peer = ?self.peer, "namespace replaced or dropped");
        self.state().followers.remove(name);
    }

    fn acknowledged(&self, name: &NamespaceName, durable: Lsn, applied: Lsn) {
        if let Some(follower) = self.state().followers.get(name) {
            follower.acknowledge(durable, applied);
        }
    }
}
