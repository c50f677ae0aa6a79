//! The hub and its edges.

use super::QuickstartError;
use super::node::Node;
use crate::client::Client;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const POLL: Duration = Duration::from_millis(100);
/// A node that does not answer is shown as away, and asked again.
const STATUS_PATIENCE: Duration = Duration::ZERO;

/// All processes, in a temporary directory that goes with them.
#[derive(Debug)]
pub(crate) struct Fleet {
    // In the order in which they end: edges, the hub they follow, their data.
    /// The edges.
    pub(crate) edges: Vec<Node>,
    /// The hub.
    pub(crate) hub: Node,
    root: Scratch,
}

/// A directory of this process's own that is removed with what lies in it.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Scratch {
    fn make() -> Result<Self, QuickstartError> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("unison-quickstart-{}-{}", std::process::id(), since.as_millis());
        let root = std::env::temp_dir().join(name);
        let made = DirBuilder::new().mode(0o700).create(&root);
        made.map_err(|source| QuickstartError::Process {
            what: format!("making {}", root.display()),
            source,
        })?;
        Ok(Self(root))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The part of a node's status that the table shows.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct Standing {
    /// Newest durable record.
    pub(crate) durable: u64,
    /// Newest visible record.
    pub(crate) applied: u64,
    /// Milliseconds since the node was last level with its hub; 0 on the hub.
    #[serde(skip)]
    pub(crate) lag_ms: u64,
}

#[derive(Deserialize)]
struct Status {
    namespaces: Vec<NamespaceStatus>,
    #[serde(default)]
    upstream: Option<Upstream>,
}

#[derive(Deserialize)]
struct Upstream {
    namespaces: BTreeMap<String, Followed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Followed {
    lag_ms: u64,
}

#[derive(Deserialize)]
struct NamespaceStatus {
    name: String,
    #[serde(flatten)]
    standing: Standing,
}

impl Fleet {
    /// Starts a hub, then `edges` edges that follow it.
    pub(crate) fn start(edges: u32, stop: &AtomicBool) -> Result<Self, QuickstartError> {
        let root = Scratch::make()?;
        let serve = ["serve".to_owned()];
        let hub = Node::start(&root.0, "hub", &serve, &["--http", "--resp", "--link"], stop)?;
        let link = hub.ports.link.clone().unwrap_or_default();
        let follow = ["edge".to_owned(), "--hub".to_owned(), link];
        let edges = (1..=edges)
            .map(|n| format!("edge-{n}"))
            .map(|name| Node::start(&root.0, &name, &follow, &["--http", "--resp"], stop))
            .collect::<Result<_, _>>()?;
        Ok(Self { edges, hub, root })
    }

    /// Where a node stands in namespace `default`; `None` while it does not answer.
    pub(crate) fn standing(node: &Node) -> Option<Standing> {
        let client = Client::new(&node.http_url(), "default", STATUS_PATIENCE);
        let status: Status = client.get("status").ok()?;
        let found = status.namespaces.into_iter().find(|n| n.name == "default")?;
        let followed = status.upstream.and_then(|mut up| up.namespaces.remove("default"));
        Some(Standing { lag_ms: followed.map_or(0, |followed| followed.lag_ms), ..found.standing })
    }

    /// Waits until every edge has applied `lsn`.
    pub(crate) fn wait_until_applied(
        &self,
        lsn: u64,
        within: Duration,
        stop: &AtomicBool,
    ) -> Result<(), QuickstartError> {
        let deadline = Instant::now() + within;
        for edge in &self.edges {
            while Self::standing(edge).is_none_or(|standing| standing.applied < lsn) {
                if stop.load(Ordering::Acquire) {
                    return Err(QuickstartError::Stopped);
                }
                if Instant::now() > deadline {
                    return Err(QuickstartError::Behind {
                        name: edge.name.clone(),
                        log: edge.log(),
                    });
                }
                std::thread::sleep(POLL);
            }
        }
        Ok(())
    }

    /// What to type next.
    pub(crate) fn how_to_talk(&self) -> String {
        let port = |address: &str| address.rsplit(':').next().unwrap_or(address).to_owned();
        let hub = port(&self.hub.ports.resp);
        let edge = self.edges.first().map_or_else(String::new, |edge| port(&edge.ports.resp));
        let url = self.edges.first().map_or_else(String::new, Node::http_url);
        format!(
            "\nTry it:\n  redis-cli -p {hub} SET hello world     write to the hub\n  \
             redis-cli -p {edge} GET hello           read it from an edge\n  \
             redis-cli -p {edge} DBSIZE              count the keys there\n  \
             curl {url}/api/v1/default/kv/hello\n  \
             curl {url}/status\n\nCtrl-C stops everything and removes {}",
            self.root.0.display()
        )
    }
}

impl fmt::Display for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for node in std::iter::once(&self.hub).chain(&self.edges) {
            let data = node.data_dir.display();
            writeln!(
                f,
                "{:7} {}  resp {}  data {data}",
                node.name,
                node.http_url(),
                node.ports.resp
            )?;
        }
        Ok(())
    }
}
