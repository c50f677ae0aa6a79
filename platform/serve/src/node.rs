//! What all servers of one process share.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use unison_linux::store::Store;
use unison_resp::refusal::ReadOnly;

use crate::budget::{Budget, INPUT_BYTES_MAX, REPLIES_BYTES_MAX};
use crate::config::{Address, Origins};
use crate::health::LinkHealth;
use crate::http::Turns;
use crate::metrics::Metrics;
use crate::shutdown::Shutdown;
use crate::watch::Watchers;

/// Whether a node takes writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes writes.
    Hub,
    /// Follows a hub and refuses writes with its address.
    Edge {
        /// Where writes go: what the refusal names.
        hub: Address,
    },
}

impl Role {
    /// The role's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Hub => "hub",
            Self::Edge { .. } => "edge",
        }
    }
}

/// A process's store with everything its servers say about it.
#[derive(Debug)]
pub struct Node {
    pub(crate) store: Arc<Store>,
    pub(crate) role: Role,
    pub(crate) health: Arc<LinkHealth>,
    pub(crate) metrics: Metrics,
    pub(crate) shutdown: Shutdown,
    pub(crate) backup_dir: Option<PathBuf>,
    /// Held by the one backup there may be at a time.
    pub(crate) backing_up: Mutex<()>,
    pub(crate) connections_max: usize,
    pub(crate) allow_origin: Origins,
    pub(crate) watchers: Arc<Watchers>,
    /// Memory of requests that are not complete yet.
    pub(crate) input: Arc<Budget>,
    /// Memory of replies that wait for the end of their transaction, and for their client.
    pub(crate) replies: Arc<Budget>,
    /// Whose turn it is to add to an object.
    pub(crate) uploads: Turns,
    started: Instant,
    started_ms: u64,
}

/// How a node's servers behave.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// Whether it takes writes.
    pub role: Role,
    /// Directory under which backups may be written; `None` refuses them.
    pub backup_dir: Option<PathBuf>,
    /// Most connections of each server at a time.
    pub connections_max: u32,
    /// Whose web pages may use HTTP.
    pub allow_origin: Origins,
    /// Most watchers of all protocols at a time.
    pub watchers_max: u32,
}

impl Node {
    /// A node over an open store.
    #[must_use]
    pub fn new(
        store: Arc<Store>,
        health: Arc<LinkHealth>,
        shutdown: Shutdown,
        options: NodeOptions,
    ) -> Arc<Self> {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let watchers = Watchers::new(Arc::clone(&store), shutdown.clone(), options.watchers_max);
        Arc::new(Self {
            watchers,
            store,
            role: options.role,
            health,
            metrics: Metrics::default(),
            shutdown,
            backup_dir: options.backup_dir,
            backing_up: Mutex::default(),
            connections_max: usize::try_from(options.connections_max).unwrap_or(usize::MAX),
            allow_origin: options.allow_origin,
            input: Budget::new(INPUT_BYTES_MAX),
            replies: Budget::new(REPLIES_BYTES_MAX),
            uploads: Turns::default(),
            started: Instant::now(),
            started_ms: u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// Time since the node was made.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// When the node was made, milliseconds since 1970.
    #[must_use]
    pub fn started_ms(&self) -> u64 {
        self.started_ms
    }

    /// The text that refuses a write on a node that follows a hub; `None` on a hub.
    pub(crate) fn read_only(&self) -> Option<String> {
        match &self.role {
            Role::Hub => None,
            Role::Edge { hub } => Some(ReadOnly { hub }.to_string()),
        }
    }
}

/// Version of this program.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Memory of this process: resident, and the most it ever was, bytes.
pub(crate) fn memory_bytes() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    (kilobytes(&status, "VmRSS:") << 10, kilobytes(&status, "VmHWM:") << 10)
}

fn kilobytes(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
