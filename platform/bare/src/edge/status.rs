//! What a node says about itself: `/status`, with the names that the edge on Linux uses.

use super::disk::DiskState;
use super::event::DISK_FULL_ADVICE;
use super::follow::Follow;
use super::tenant::{Tenant, is_out_of_room};
use super::view::View;
use crate::block::BlockDevice;
use crate::medium::Usage;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use serde::Serialize;
use unison_engine::{EngineStats, Pressure};
use unison_link::Standing;
use unison_walfs::RungCounts;

/// A node at one moment.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    role: &'static str,
    version: &'static str,
    node: String,
    ready: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
    uptime_ms: u64,
    clock: Clock,
    memory: Memory,
    network: Network,
    disk: Disk,
    connections: BTreeMap<&'static str, u64>,
    connections_refused: BTreeMap<&'static str, u64>,
    namespaces_total: usize,
    namespaces: Vec<Namespace>,
    followers_total: usize,
    hub: String,
    upstream: Upstream,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Clock {
    /// `hub`, or `none` while the hub has not said what time it is.
    source: &'static str,
    /// Milliseconds since 1970.
    wall_ms: Option<u64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Memory {
    used_bytes: usize,
    peak_bytes: usize,
    budget_bytes: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Network {
    address: Option<String>,
    gateway: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
enum Disk {
    Opening,
    Missing {
        advice: &'static str,
    },
    Refused {
        reason: String,
    },
    #[serde(rename_all = "camelCase")]
    Failed {
        reason: String,
        next_attempt_in_ms: u64,
    },
    Open,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Namespace {
    name: String,
    log_id: Option<String>,
    durability: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed: Option<String>,
    appended: u64,
    durable: u64,
    applied: u64,
    checkpoint: u64,
    segments: usize,
    damaged_segments: usize,
    /// Bytes that segments take; a new one has its whole size reserved.
    disk_bytes: u64,
    disk_total_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    disk_full: Option<&'static str>,
    evidence_bytes: u64,
    evidence_dropped: u32,
    tree_bytes: u64,
    tree_total_bytes: u64,
    tree_keys: u64,
    memtable_bytes: usize,
    replay_bytes: u64,
    flushes: u64,
    pressure: Option<String>,
    /// What the newest opening found, by kind.
    recovery: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Upstream {
    address: String,
    connected: bool,
    connections: u64,
    last_error: Option<String>,
    /// Milliseconds since there was a connection that the hub had answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    away_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_in_ms: Option<u64>,
    namespaces: BTreeMap<String, Followed>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
enum State {
    Connecting,
    Following,
    Waiting { reason: String },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Followed {
    #[serde(flatten)]
    state: State,
    upstream_durable: u64,
    lag_records: u64,
    /// Milliseconds since this node last held all that the hub had; nothing when it never did.
    lag_ms: Option<u64>,
}

/// The node as it is now, as text.
pub(crate) fn json<D: BlockDevice>(view: &View<'_, D>) -> String {
    // Names are text and numbers are whole: JSON has all of them.
    serde_json::to_string(&status(view)).unwrap_or_default()
}

/// The node as it is now.
pub(crate) fn status<D: BlockDevice>(view: &View<'_, D>) -> Status {
    let reasons = view.obstacles();
    let heap = view.heap.figures();
    let names = &view.config.namespaces;
    Status {
        role: "edge",
        version: env!("CARGO_PKG_VERSION"),
        node: view.node.to_string(),
        ready: reasons.is_empty(),
        reasons,
        uptime_ms: view.uptime_ms(),
        clock: clock(view),
        memory: Memory { used_bytes: heap.used, peak_bytes: heap.peak, budget_bytes: heap.budget },
        network: network(view),
        disk: disk(view.disk, view.now_ms),
        connections: both(view.http.present as u64, view.resp.present as u64),
        connections_refused: both(view.http.refused, view.resp.refused),
        namespaces_total: names.len(),
        namespaces: view.follow.map_or_else(Vec::new, |follow| namespaces(view, follow)),
        followers_total: 0,
        hub: view.hub().to_string(),
        upstream: upstream(view),
    }
}

fn both(http: u64, resp: u64) -> BTreeMap<&'static str, u64> {
    BTreeMap::from([("http", http), ("resp", resp)])
}

fn clock<D: BlockDevice>(view: &View<'_, D>) -> Clock {
    let wall_ms = view.wall_ms();
    Clock { source: if wall_ms.is_some() { "hub" } else { "none" }, wall_ms }
}

fn network<D: BlockDevice>(view: &View<'_, D>) -> Network {
    Network {
        address: view.address.map(|address| address.cidr.to_string()),
        gateway: view.address.and_then(|address| address.gateway).map(|it| it.to_string()),
    }
}

fn disk(state: &DiskState, now_ms: u64) -> Disk {
    match state {
        DiskState::Unopened => Disk::Opening,
        DiskState::Missing => Disk::Missing { advice: "attach a disk and start again" },
        DiskState::Refused(error) => Disk::Refused { reason: error.to_string() },
        DiskState::Failed { error, retry_at_ms } => Disk::Failed {
            reason: error.to_string(),
            next_attempt_in_ms: retry_at_ms.saturating_sub(now_ms),
        },
        DiskState::Open => Disk::Open,
    }
}

fn namespaces<D: BlockDevice>(view: &View<'_, D>, follow: &Follow<D>) -> Vec<Namespace> {
    follow.tenants().iter().map(|tenant| namespace(view, follow, tenant)).collect()
}

fn namespace<D: BlockDevice>(
    view: &View<'_, D>,
    follow: &Follow<D>,
    tenant: &Tenant<D>,
) -> Namespace {
    let replica = follow.replica(tenant);
    let engine = replica.and_then(|replica| replica.engine());
    let stats = engine.map_or_else(EngineStats::default, |engine| engine.stats());
    let usage = replica.map_or_else(Usage::default, |replica| replica.volume().usage());
    let segments = engine.map_or_else(Vec::new, |engine| engine.log().segments());
    let pressure = engine.map_or(Pressure::None, |engine| engine.pressure());
    let out_of_room = tenant.trouble.is_some_and(|trouble| is_out_of_room(&trouble.error))
        || replica.is_some_and(|replica| replica.is_tree_full());
    Namespace {
        name: tenant.name.to_string(),
        log_id: replica.map(|replica| replica.log_id().to_string()),
        durability: "always",
        closed: view.why_closed(&tenant.name),
        appended: stats.appended.0,
        durable: stats.durable.0,
        applied: stats.applied.0,
        checkpoint: stats.checkpoint.0,
        segments: segments.len(),
        damaged_segments: segments.iter().filter(|segment| segment.damaged).count(),
        disk_bytes: usage.segment_used_bytes,
        disk_total_bytes: usage.segment_bytes,
        disk_full: out_of_room.then_some(DISK_FULL_ADVICE),
        evidence_bytes: usage.evidence_bytes,
        evidence_dropped: usage.evidence_dropped,
        tree_bytes: usage.tree_bytes,
        tree_total_bytes: usage.tree_region_bytes,
        tree_keys: stats.tree_keys,
        memtable_bytes: stats.memtable_bytes,
        replay_bytes: stats.replay_bytes,
        flushes: stats.flushes,
        pressure: (pressure != Pressure::None).then(|| pressure.to_string()),
        recovery: replica.map_or_else(BTreeMap::new, |replica| recovery(replica.rungs())),
    }
}

fn recovery(counts: &RungCounts) -> BTreeMap<&'static str, u64> {
    let all = [
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
    ];
    all.into_iter().filter(|(_, count)| *count > 0).collect()
}

fn upstream<D: BlockDevice>(view: &View<'_, D>) -> Upstream {
    let hub = view.hub().to_string();
    let Some(follow) = view.follow else {
        return Upstream {
            address: hub,
            connected: false,
            connections: 0,
            last_error: None,
            away_ms: None,
            next_attempt_in_ms: None,
            namespaces: BTreeMap::new(),
        };
    };
    let now_ms = view.now_ms;
    let in_ms = |at_ms: u64| at_ms.saturating_sub(now_ms);
    let followed = follow.tenants().iter();
    Upstream {
        address: hub,
        connected: follow.is_connected(),
        connections: follow.connections(),
        last_error: follow.away().map(|reason| reason.to_string()),
        away_ms: follow.away_since_ms().map(|since_ms| now_ms.saturating_sub(since_ms)),
        next_attempt_in_ms: follow.next_attempt_ms().map(in_ms),
        namespaces: followed
            .map(|it| (it.name.to_string(), self::followed(view, follow, it)))
            .collect(),
    }
}

fn followed<D: BlockDevice>(
    view: &View<'_, D>,
    follow: &Follow<D>,
    tenant: &Tenant<D>,
) -> Followed {
    let lag = follow.lag(tenant, view.now_ms);
    let following = lag.is_some_and(|lag| lag.standing == Standing::Following);
    let state = match (tenant.trouble, tenant.waiting) {
        (Some(trouble), _) => State::Waiting { reason: format!("{}", trouble.error) },
        (None, Some(reason)) => State::Waiting { reason: reason.to_string() },
        (None, None) if following => State::Following,
        (None, None) => State::Connecting,
    };
    Followed {
        state,
        upstream_durable: lag.map_or(0, |lag| lag.leader_durable.0),
        lag_records: lag.map_or(0, |lag| lag.records_behind),
        lag_ms: lag.and_then(|lag| lag.since_in_sync_ms),
    }
}
