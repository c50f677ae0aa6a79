//! What a node says about itself: `/status` and the reasons of `/readyz`.

use std::collections::BTreeMap;

use serde::Serialize;
use unison_base::NamespaceName;
use unison_engine::{Encryption, Pressure};
use unison_linux::store::{Durability, Namespace, NamespaceStatus};
use unison_walfs::{RungCounts, SegmentInfo};

use crate::health::{Follower, Upstream};
use crate::metrics::NAMESPACES_SHOWN;
use crate::node::{Node, Role, VERSION, memory_bytes};

/// Most followers that are listed; the ones furthest behind.
const FOLLOWERS_SHOWN: usize = 100;

/// A node at one moment.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    role: &'static str,
    version: &'static str,
    ready: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
    uptime_ms: u64,
    memory: Memory,
    connections: BTreeMap<&'static str, u64>,
    namespaces_total: usize,
    namespaces: Vec<NamespaceReport>,
    followers_total: usize,
    followers: Vec<FollowerReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<Upstream>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Memory {
    resident_bytes: u64,
    peak_bytes: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NamespaceReport {
    name: String,
    log_id: String,
    durability: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sync_interval_ms: Option<u64>,
    first: u64,
    appended: u64,
    durable: u64,
    applied: u64,
    checkpoint: u64,
    segments: usize,
    damaged_segments: usize,
    /// Bytes of the segment files; a new one has its whole size reserved.
    disk_bytes: u64,
    log_bytes: u64,
    tree_bytes: u64,
    tree_keys: u64,
    memtable_bytes: usize,
    replay_bytes: u64,
    flushes: u64,
    pressure: Option<String>,
    recovery: BTreeMap<&'static str, u64>,
    /// Records above the checkpoint that could not be read when the namespace was opened.
    missing_records: u64,
    /// Of a namespace that has sealed messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption: Option<EncryptionReport>,
}

/// The newest key that messages of a namespace are sealed with.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EncryptionReport {
    epoch: u64,
    /// Check value of the master key that opens it.
    key: String,
    /// Whether this node has that one.
    key_present: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FollowerReport {
    node: String,
    peer: Option<String>,
    namespace: String,
    durable: u64,
    applied: u64,
    lag_records: u64,
}

/// Looks at every namespace and the file system: call it off the async threads.
pub(crate) fn report(node: &Node) -> Report {
    let (resident_bytes, peak_bytes) = memory_bytes();
    let reasons = obstacles(node);
    let namespaces = node.store.list();
    let (followers_total, followers) = followers(node);
    Report {
        role: node.role.name(),
        version: VERSION,
        ready: reasons.is_empty(),
        reasons,
        uptime_ms: millis(node.uptime()),
        memory: Memory { resident_bytes, peak_bytes },
        connections: [("http", node.metrics.http.open()), ("resp", node.metrics.resp.open())]
            .into(),
        namespaces_total: namespaces.len(),
        namespaces: namespaces.iter().take(NAMESPACES_SHOWN).map(|n| namespace(node, n)).collect(),
        followers_total,
        followers,
        hub: match &node.role {
            Role::Hub => None,
            Role::Edge { hub } => Some(hub.to_string()),
        },
        upstream: node.health.upstream(),
    }
}

/// Why this node should not be asked; empty when it is ready.
pub(crate) fn obstacles(node: &Node) -> Vec<String> {
    let mut obstacles = node.health.obstacles();
    if node.shutdown.has_begun() {
        obstacles.push("the node is stopping".to_owned());
    }
    if matches!(node.role, Role::Edge { .. }) && node.health.upstream().is_none() {
        obstacles.push("the node has not begun to follow its hub yet".to_owned());
    }
    obstacles.extend(without_key(node));
    obstacles
}

fn namespace(node: &Node, namespace: &Namespace) -> NamespaceReport {
    let status = namespace.status();
    let engine = status.engine.unwrap_or_default();
    let (durability, sync_interval_ms) = match status.durability {
        Durability::Always => ("always", None),
        Durability::Interval { every } => ("interval", Some(millis(every))),
        Durability::Never => ("never", None),
    };
    let pressure = namespace.with_engine(|engine| engine.pressure()).ok();
    let opened = namespace.open_report();
    NamespaceReport {
        name: namespace.name().to_string(),
        log_id: status.log_id.to_string(),
        durability,
        sync_interval_ms,
        first: status.first.0,
        appended: status.appended.0,
        durable: status.durable.0,
        applied: status.applied.0,
        checkpoint: engine.checkpoint.0,
        segments: status.segments.len(),
        damaged_segments: status.segments.iter().filter(|segment| segment.damaged).count(),
        disk_bytes: status.segments.iter().map(|segment| segment.size).sum(),
        log_bytes: log_bytes(&status.segments),
        tree_bytes: tree_bytes(node, namespace.name()),
        tree_keys: engine.tree_keys,
        memtable_bytes: engine.memtable_bytes,
        replay_bytes: engine.replay_bytes,
        flushes: engine.flushes,
        pressure: pressure.filter(|it| *it != Pressure::None).map(|it| it.to_string()),
        recovery: rungs(&status.recovery).into_iter().filter(|(_, count)| *count > 0).collect(),
        missing_records: opened.missing.saturating_add(opened.invalid),
        encryption: encryption(namespace),
    }
}

fn encryption(namespace: &Namespace) -> Option<EncryptionReport> {
    let seal = namespace.reader().snapshot().newest_seal().ok()??;
    Some(EncryptionReport { epoch: seal.epoch, key: seal.key.to_string(), key_present: seal.known })
}

/// Namespaces whose messages a hub is to seal and cannot. An edge stores them all the same.
fn without_key(node: &Node) -> impl Iterator<Item = String> {
    let lacks = |namespace: &Namespace| {
        let reader = namespace.reader();
        let settings = reader.snapshot().topic_settings();
        let seals = settings.is_ok_and(|settings| settings.encryption != Encryption::None);
        seals && !reader.can_seal()
    };
    let namespaces = if matches!(node.role, Role::Hub) { node.store.list() } else { Vec::new() };
    namespaces.into_iter().filter(move |namespace| lacks(namespace)).map(|namespace| {
        format!(
            "namespace {} has no master key, and its messages are to be encrypted: put one into the \
             keys file",
            namespace.name()
        )
    })
}

fn followers(node: &Node) -> (usize, Vec<FollowerReport>) {
    let followers = node.health.followers();
    let mut reports: Vec<_> = followers.iter().map(|each| follower(node, each)).collect();
    reports.sort_by_key(|report| std::cmp::Reverse(report.lag_records));
    reports.truncate(FOLLOWERS_SHOWN);
    (followers.len(), reports)
}

fn follower(node: &Node, follower: &Follower) -> FollowerReport {
    let namespace = node.store.namespace(follower.namespace.as_str());
    let newest = namespace.map(|namespace| namespace.log().durable()).unwrap_or_default();
    FollowerReport {
        node: follower.node.clone(),
        peer: follower.peer.map(|peer| peer.to_string()),
        namespace: follower.namespace.to_string(),
        durable: follower.durable().0,
        applied: follower.applied().0,
        lag_records: newest.since(follower.applied()),
    }
}

fn tree_bytes(node: &Node, name: &NamespaceName) -> u64 {
    let path = node.store.data_dir().join(name.as_str()).join("tree.redb");
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Bytes written to the segments there are.
pub(crate) fn log_bytes(segments: &[SegmentInfo]) -> u64 {
    segments.iter().map(|segment| segment.write_offset).sum()
}

/// How often recovery took a rung when the namespace was opened.
pub(crate) fn rungs_taken(status: &NamespaceStatus) -> u64 {
    rungs(&status.recovery).into_iter().map(|(_, count)| count).sum()
}

fn rungs(counts: &RungCounts) -> [(&'static str, u64); 11] {
    [
        ("tornTails", counts.torn_tails),
        ("lostTails", counts.lost_tails),
        ("discardedSegments", counts.discarded_segments),
        ("rotSegments", counts.rot_segments),
        ("gaps", counts.gaps),
        ("staleSegments", counts.stale_segments),
        ("headersRebuilt", counts.headers_rebuilt),
        ("emptySegments", counts.empty_segments),
        ("sealedNewest", counts.sealed_newest),
        ("repairsFailed", counts.repairs_failed),
        ("unprovedHoles", counts.unproved_holes),
    ]
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
