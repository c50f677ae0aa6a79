//! `INFO`: the state of the server under the names that tools for Redis look for.

use unison_linux::store::Namespace;
use unison_resp::COMPATIBLE_VERSION;
use unison_resp::info::{Info, database, lines};
use unison_resp::parse::Command;

use super::Session;
use crate::node::{Role, VERSION, memory_bytes};
use crate::resp::clients::number_of;
use crate::resp::server::Shared;

/// Most namespaces and followers with a line of their own.
const LINES_MAX: usize = 16;

/// Most keys and rows of a namespace's tree that are looked at to count what expires.
const EXPIRING_MAX: usize = 100_000;

/// A section: its name, and what it says.
type Section = (&'static str, fn(&Shared, &Namespace) -> String);

const SECTIONS: [Section; 7] = [
    ("server", server),
    ("clients", clients),
    ("memory", memory),
    ("persistence", persistence),
    ("stats", stats),
    ("replication", replication),
    ("keyspace", keyspace),
];

impl Session {
    pub(super) async fn info(&mut self, command: &Command<'_, '_>) {
        let asked = Info::asked(command);
        let shared = std::sync::Arc::clone(&self.server);
        let namespace = std::sync::Arc::clone(&self.namespace);
        let text = tokio::task::spawn_blocking(move || text(asked, &shared, &namespace)).await;
        match text {
            Ok(text) => self.output.verbatim(&text),
            Err(_) => self.output.err("the report was given up"),
        }
    }
}

fn text(mut info: Info, shared: &Shared, namespace: &Namespace) -> String {
    for (name, fill) in SECTIONS {
        info.section(name, || fill(shared, namespace));
    }
    info.into_text()
}

fn server(shared: &Shared, _: &Namespace) -> String {
    let uptime = shared.node.uptime().as_secs();
    lines([
        ("redis_version", COMPATIBLE_VERSION.to_owned()),
        ("redis_mode", "standalone".to_owned()),
        ("server_name", "unisondb".to_owned()),
        ("unisondb_version", VERSION.to_owned()),
        ("os", std::env::consts::OS.to_owned()),
        ("arch_bits", usize::BITS.to_string()),
        ("process_id", std::process::id().to_string()),
        ("tcp_port", shared.port.to_string()),
        ("uptime_in_seconds", uptime.to_string()),
        ("uptime_in_days", (uptime / 86_400).to_string()),
    ])
}

fn clients(shared: &Shared, _: &Namespace) -> String {
    lines([
        ("connected_clients", shared.node.metrics.resp.open().to_string()),
        ("maxclients", shared.gate.limit().to_string()),
        ("blocked_clients", "0".to_owned()),
    ])
}

fn memory(_: &Shared, namespace: &Namespace) -> String {
    let (resident, peak) = memory_bytes();
    let memtables = namespace.status().engine.map_or(0, |engine| engine.memtable_bytes);
    lines([
        ("used_memory", resident.to_string()),
        ("used_memory_rss", resident.to_string()),
        ("used_memory_peak", peak.to_string()),
        ("memtable_bytes", memtables.to_string()),
        ("maxmemory", "0".to_owned()),
    ])
}

fn persistence(_: &Shared, namespace: &Namespace) -> String {
    let status = namespace.status();
    let engine = status.engine.unwrap_or_default();
    lines([
        ("loading", "0".to_owned()),
        ("aof_enabled", "1".to_owned()),
        ("aof_last_write_status", "ok".to_owned()),
        ("appended_lsn", status.appended.to_string()),
        ("durable_lsn", status.durable.to_string()),
        ("applied_lsn", status.applied.to_string()),
        ("checkpoint_lsn", engine.checkpoint.to_string()),
        ("rdb_changes_since_last_save", status.applied.since(engine.checkpoint).to_string()),
        ("segments", status.segments.len().to_string()),
    ])
}

fn stats(shared: &Shared, _: &Namespace) -> String {
    let (metrics, resp) = (&shared.node.metrics, &shared.node.metrics.resp);
    lines([
        ("total_connections_received", resp.accepted.get().to_string()),
        ("total_commands_processed", resp.requests.get().to_string()),
        ("total_net_input_bytes", resp.received.get().to_string()),
        ("total_net_output_bytes", resp.sent.get().to_string()),
        ("rejected_connections", resp.refused.get().to_string()),
        ("total_error_replies", resp.errors.get().to_string()),
        ("keyspace_hits", metrics.hits.get().to_string()),
        ("keyspace_misses", metrics.misses.get().to_string()),
        ("expired_keys", "0".to_owned()),
        ("evicted_keys", "0".to_owned()),
    ])
}

fn replication(shared: &Shared, namespace: &Namespace) -> String {
    // `HELLO` has another word for it than `INFO`.
    let role = match shared.node.role {
        Role::Hub => "master",
        Role::Edge { .. } => "slave",
    };
    let mut text = lines([("role", role.to_owned())]);
    if let Role::Edge { hub } = &shared.node.role {
        let upstream = shared.node.health.upstream();
        let up = upstream.as_ref().is_some_and(|upstream| upstream.connected);
        let name = namespace.name().as_str();
        let followed = upstream.and_then(|upstream| upstream.namespaces.get(name).cloned());
        let lag = followed.map_or(0, |followed| followed.lag_records);
        text += &lines([
            ("master_host", hub.host.clone()),
            ("master_port", hub.port.to_string()),
            ("master_link_status", if up { "up" } else { "down" }.to_owned()),
            ("slave_repl_offset", namespace.reader().applied().to_string()),
            ("slave_lag_records", lag.to_string()),
            ("slave_read_only", "1".to_owned()),
        ]);
    }
    let mut followers = shared.node.health.followers();
    followers.retain(|follower| follower.namespace == *namespace.name());
    text += &lines([("connected_slaves", followers.len().to_string())]);
    for (index, follower) in followers.iter().take(LINES_MAX).enumerate() {
        let peer = follower.peer.map(|peer| (peer.ip().to_string(), peer.port()));
        let (ip, port) = peer.unwrap_or_default();
        let offset = follower.durable();
        let line = format!("ip={ip},port={port},state=online,offset={offset},lag=0");
        text += &lines([(&format!("slave{index}"), line)]);
    }
    text + &lines([
        ("master_replid", namespace.log_id().to_string()),
        ("master_repl_offset", namespace.log().durable().to_string()),
    ])
}

/// The namespaces that have a number: the default one is 0.
fn keyspace(shared: &Shared, _: &Namespace) -> String {
    let all = shared.node.store.list();
    let numbered = all.iter().filter_map(|each| Some((number_of(each.name().as_str())?, each)));
    let mut text = String::new();
    for (number, namespace) in numbered.take(LINES_MAX) {
        let reader = namespace.reader();
        let keys = reader.count().unwrap_or(0);
        if keys > 0 {
            text += &database(number, keys, reader.expiring(EXPIRING_MAX).ok().flatten());
        }
    }
    text
}
