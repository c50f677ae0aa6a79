//! How replication stands: written by the link's driver, read by status, readiness, metrics, `INFO`
//! and `WAIT`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use serde::Serialize;
use tokio::sync::{Notify, watch};
use unison_base::{Lsn, NamespaceName};

/// How following one namespace goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum FollowState {
    /// Not there yet, or there no more; an attempt will follow.
    #[default]
    Connecting,
    /// Records come as they are written.
    Following,
    /// The hub said to wait.
    Waiting {
        /// What for.
        reason: String,
    },
    /// Will not go on by itself.
    Stopped {
        /// Why, and what to do.
        reason: String,
    },
}

/// One followed namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Followed {
    /// How it goes.
    #[serde(flatten)]
    pub state: FollowState,
    /// Newest durable record of the upstream that is known here.
    pub upstream_durable: u64,
    /// Records that are durable there and not visible here.
    pub lag_records: u64,
    /// Age of the oldest of them, milliseconds; 0 when there is none.
    pub lag_ms: u64,
}

/// The node this one follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Upstream {
    /// Where it is, `host:port`.
    pub address: String,
    /// Whether the connection stands.
    pub connected: bool,
    /// Connections made since the start.
    pub connections: u64,
    /// Why the newest attempt or connection ended.
    pub last_error: Option<String>,
    /// By namespace.
    pub namespaces: BTreeMap<String, Followed>,
}

/// What a follower has acknowledged; the driver of its connection holds it, and the follower counts
/// as gone when it is dropped.
#[derive(Debug)]
pub struct Follower {
    /// The node it says it is.
    pub node: String,
    /// Where it comes from.
    pub peer: Option<SocketAddr>,
    /// What it follows.
    pub namespace: NamespaceName,
    durable: AtomicU64,
    applied: AtomicU64,
    acknowledged: Arc<Notify>,
}

impl Follower {
    /// Takes note of an acknowledgement.
    pub fn acknowledge(&self, durable: Lsn, applied: Lsn) {
        self.durable.store(durable.0, Ordering::Relaxed);
        self.applied.store(applied.0, Ordering::Relaxed);
        self.acknowledged.notify_waiters();
    }

    /// Newest record that is on its disk.
    #[must_use]
    pub fn durable(&self) -> Lsn {
        Lsn(self.durable.load(Ordering::Relaxed))
    }

    /// Newest record that its readers see.
    #[must_use]
    pub fn applied(&self) -> Lsn {
        Lsn(self.applied.load(Ordering::Relaxed))
    }
}

/// Replication of this node in both directions.
#[derive(Debug, Default)]
pub struct LinkHealth {
    upstream: Mutex<Option<Upstream>>,
    followers: Mutex<Vec<Weak<Follower>>>,
    acknowledged: Arc<Notify>,
    /// The line came, went, or serves other namespaces.
    turns: watch::Sender<()>,
}

impl LinkHealth {
    /// Changes what is known of the upstream; the first change makes it known.
    pub fn update_upstream(&self, address: &str, change: impl FnOnce(&mut Upstream)) {
        let mut known = lock(&self.upstream);
        let upstream = known.get_or_insert_with(|| Upstream {
            address: address.to_owned(),
            connected: false,
            connections: 0,
            last_error: None,
            namespaces: BTreeMap::new(),
        });
        let before = upstream.following();
        change(upstream);
        let turned = upstream.following() != before;
        drop(known);
        if turned {
            self.turns.send_replace(());
        }
    }

    /// Changes whenever the node begins or ceases to follow a namespace.
    #[must_use]
    pub fn turns(&self) -> watch::Receiver<()> {
        self.turns.subscribe()
    }

    /// The upstream as it was last told; `None` on a node that follows nobody.
    #[must_use]
    pub fn upstream(&self) -> Option<Upstream> {
        lock(&self.upstream).clone()
    }

    /// Makes a follower of one namespace known until the handle is dropped.
    #[must_use]
    pub fn follower(
        &self,
        node: String,
        peer: Option<SocketAddr>,
        namespace: NamespaceName,
    ) -> Arc<Follower> {
        let follower = Arc::new(Follower {
            node,
            peer,
            namespace,
            durable: AtomicU64::new(0),
            applied: AtomicU64::new(0),
            acknowledged: Arc::clone(&self.acknowledged),
        });
        let mut followers = lock(&self.followers);
        followers.retain(|known| known.strong_count() > 0);
        followers.push(Arc::downgrade(&follower));
        follower
    }

    /// All present followers, in the order they came.
    #[must_use]
    pub fn followers(&self) -> Vec<Arc<Follower>> {
        lock(&self.followers).iter().filter_map(Weak::upgrade).collect()
    }

    /// How many followers of a namespace have everything up to `lsn` on disk.
    #[must_use]
    pub fn holding(&self, namespace: &NamespaceName, lsn: Lsn) -> usize {
        let followers = lock(&self.followers);
        let holds = |follower: &Arc<Follower>| {
            follower.namespace == *namespace && follower.durable() >= lsn
        };
        followers.iter().filter_map(Weak::upgrade).filter(holds).count()
    }

    /// Waits until `wanted` followers of a namespace hold `lsn`; never returns if they do not.
    pub async fn held_by(&self, wanted: usize, namespace: &NamespaceName, lsn: Lsn) {
        loop {
            let acknowledged = self.acknowledged.notified();
            tokio::pin!(acknowledged);
            // Registered before looking, so that an acknowledgement in between is not missed.
            acknowledged.as_mut().enable();
            if self.holding(namespace, lsn) >= wanted {
                return;
            }
            acknowledged.await;
        }
    }

    /// Why this node should not be asked; empty when it is ready.
    #[must_use]
    pub fn obstacles(&self) -> Vec<String> {
        let upstream = lock(&self.upstream);
        let Some(upstream) = upstream.as_ref() else { return Vec::new() };
        upstream.namespaces.keys().filter_map(|name| upstream.obstacle(name)).collect()
    }
}

impl Upstream {
    /// Why a namespace is not followed; `None` when it is.
    #[must_use]
    pub fn obstacle(&self, name: &str) -> Option<String> {
        match self.namespaces.get(name) {
            Some(followed) => obstacle(self, name, followed),
            None => Some(format!("namespace {name} is not followed")),
        }
    }

    /// Of each namespace whether it is followed.
    fn following(&self) -> Vec<bool> {
        let states = self.namespaces.values().map(|followed| &followed.state);
        states.map(|state| *state == FollowState::Following).collect()
    }
}

fn obstacle(upstream: &Upstream, name: &str, followed: &Followed) -> Option<String> {
    let hub = &upstream.address;
    let not_connected = || match &upstream.last_error {
        Some(error) => format!("namespace {name} is not connected to {hub}: {error}"),
        None => format!("namespace {name} is not connected to {hub} yet"),
    };
    match &followed.state {
        FollowState::Following => None,
        FollowState::Connecting => Some(not_connected()),
        FollowState::Waiting { reason } if upstream.connected => {
            Some(format!("namespace {name} waits for {hub}: {reason}"))
        }
        FollowState::Waiting { reason } => {
            Some(format!("{}; before that it waited: {reason}", not_connected()))
        }
        FollowState::Stopped { reason } => {
            Some(format!("namespace {name} has stopped following {hub}: {reason}"))
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{FollowState, Followed, LinkHealth};
    use std::time::Duration;
    use unison_base::{Lsn, NamespaceName};

    #[tokio::test]
    async fn waiting_for_followers_ends_with_the_acknowledgement_that_suffices() {
        let health = LinkHealth::default();
        let name = NamespaceName::new("default").unwrap();
        let other = NamespaceName::new("other").unwrap();
        let first = health.follower("a".into(), None, name.clone());
        let second = health.follower("b".into(), None, name.clone());
        let foreign = health.follower("c".into(), None, other);
        foreign.acknowledge(Lsn(9), Lsn(9));
        first.acknowledge(Lsn(5), Lsn(5));
        assert_eq!(health.holding(&name, Lsn(5)), 1);
        let wait = health.held_by(2, &name, Lsn(5));
        tokio::pin!(wait);
        assert!(tokio::time::timeout(Duration::from_millis(5), &mut wait).await.is_err());
        second.acknowledge(Lsn(6), Lsn(5));
        wait.await;
        drop(first);
        assert_eq!(health.holding(&name, Lsn(5)), 1);
        assert_eq!(health.followers().len(), 2);
    }

    #[test]
    fn a_node_that_does_not_follow_says_why() {
        let health = LinkHealth::default();
        assert!(health.obstacles().is_empty());
        let set = |state: FollowState, error: Option<&str>| {
            health.update_upstream("hub:4003", |upstream| {
                upstream.last_error = error.map(str::to_owned);
                let followed = Followed { state, ..Followed::default() };
                upstream.namespaces.insert("default".into(), followed);
            });
            health.obstacles().join("; ")
        };
        assert_eq!(
            set(FollowState::Connecting, None),
            "namespace default is not connected to hub:4003 yet"
        );
        assert_eq!(
            set(FollowState::Connecting, Some("refused")),
            "namespace default is not connected to hub:4003: refused"
        );
        assert_eq!(
            set(FollowState::Stopped { reason: "other log".into() }, None),
            "namespace default has stopped following hub:4003: other log"
        );
        assert_eq!(set(FollowState::Following, None), "");
    }
}
