//! `INFO`: the state of the node under the names that tools for Redis look for.

use super::super::Service;
use super::Session;
use crate::block::BlockDevice;
use alloc::borrow::ToOwned as _;
use alloc::string::{String, ToString as _};
use unison_base::NamespaceName;
use unison_engine::EngineStats;
use unison_resp::COMPATIBLE_VERSION;
use unison_resp::info::{Info, database, lines};
use unison_resp::parse::Command;

/// Most keys and rows of the tree that are looked at to count what expires.
const EXPIRING_MAX: usize = 1_000;

pub(super) fn text<D: BlockDevice>(
    session: &Session,
    command: &Command<'_, '_>,
    service: &Service<'_, '_, D>,
) -> String {
    let mut info = Info::asked(command);
    let name = session.namespace(service);
    info.section("server", || server(service));
    info.section("clients", || clients(service));
    info.section("memory", || memory(service, name.as_ref()));
    info.section("persistence", || persistence(service, name.as_ref()));
    info.section("replication", || replication(service, name.as_ref()));
    info.section("keyspace", || keyspace(service));
    info.into_text()
}

fn stats<D: BlockDevice>(
    service: &Service<'_, '_, D>,
    name: Option<&NamespaceName>,
) -> Option<EngineStats> {
    let tenant = service.view.tenant(name?)?;
    Some(service.view.follow?.replica(tenant)?.engine()?.stats())
}

fn server<D: BlockDevice>(service: &Service<'_, '_, D>) -> String {
    let uptime = service.view.uptime_ms() / 1_000;
    lines([
        ("redis_version", COMPATIBLE_VERSION.to_owned()),
        ("redis_mode", "standalone".to_owned()),
        ("server_name", "unisondb".to_owned()),
        ("unisondb_version", env!("CARGO_PKG_VERSION").to_owned()),
        ("os", "none".to_owned()),
        ("arch_bits", usize::BITS.to_string()),
        ("tcp_port", service.view.config.resp.unwrap_or_default().to_string()),
        ("uptime_in_seconds", uptime.to_string()),
        ("uptime_in_days", (uptime / 86_400).to_string()),
    ])
}

fn clients<D: BlockDevice>(service: &Service<'_, '_, D>) -> String {
    let callers = service.view.resp;
    lines([
        ("connected_clients", callers.present.to_string()),
        ("maxclients", callers.limit.to_string()),
        ("blocked_clients", "0".to_owned()),
        ("rejected_connections", callers.refused.to_string()),
    ])
}

fn memory<D: BlockDevice>(service: &Service<'_, '_, D>, name: Option<&NamespaceName>) -> String {
    let heap = service.view.heap.figures();
    let memtables = stats(service, name).map_or(0, |stats| stats.memtable_bytes);
    lines([
        ("used_memory", heap.used.to_string()),
        ("used_memory_peak", heap.peak.to_string()),
        ("memtable_bytes", memtables.to_string()),
        ("maxmemory", heap.budget.to_string()),
    ])
}

fn persistence<D: BlockDevice>(
    service: &Service<'_, '_, D>,
    name: Option<&NamespaceName>,
) -> String {
    let loading = name.is_some_and(|name| service.view.why_closed(name).is_some());
    let stats = stats(service, name).unwrap_or_default();
    lines([
        ("loading", u8::from(loading).to_string()),
        ("aof_enabled", "1".to_owned()),
        ("appended_lsn", stats.appended.to_string()),
        ("durable_lsn", stats.durable.to_string()),
        ("applied_lsn", stats.applied.to_string()),
        ("checkpoint_lsn", stats.checkpoint.to_string()),
        ("rdb_changes_since_last_save", stats.applied.since(stats.checkpoint).to_string()),
    ])
}

fn replication<D: BlockDevice>(
    service: &Service<'_, '_, D>,
    name: Option<&NamespaceName>,
) -> String {
    let view = service.view;
    let up = view.follow.is_some_and(|follow| follow.is_connected());
    let tenant = name.and_then(|name| view.tenant(name));
    let lag = tenant.and_then(|tenant| view.follow?.lag(tenant, view.now_ms));
    let hub = view.hub();
    lines([
        ("role", "slave".to_owned()),
        ("master_host", hub.address.to_string()),
        ("master_port", hub.port.to_string()),
        ("master_link_status", if up { "up" } else { "down" }.to_owned()),
        ("slave_repl_offset", stats(service, name).unwrap_or_default().applied.to_string()),
        ("slave_lag_records", lag.map_or(0, |lag| lag.records_behind).to_string()),
        ("slave_read_only", "1".to_owned()),
        ("connected_slaves", "0".to_owned()),
    ])
}

/// The first namespace is number 0.
fn keyspace<D: BlockDevice>(service: &Service<'_, '_, D>) -> String {
    let first = service.view.config.namespaces.first();
    let namespace = first.and_then(|name| service.view.namespaces.get(name));
    let reader = namespace.and_then(|namespace| namespace.reader());
    let now_ms = service.view.wall_ms().unwrap_or(0);
    let Some(reader) = reader.map(|reader| reader.at(now_ms)) else { return String::new() };
    match reader.count() {
        Err(_) | Ok(0) => String::new(),
        Ok(keys) => database(0, keys, reader.expiring(EXPIRING_MAX).ok().flatten()),
    }
}
