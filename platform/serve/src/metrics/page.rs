//! The page of metrics in the OpenMetrics text format.

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use unison_linux::store::NamespaceStatus;

use super::NAMESPACES_SHOWN;
use crate::health::FollowState;
use crate::node::{Node, memory_bytes};

type Labels = [(&'static str, String); 1];

/// All metrics as they are now. Looks at every namespace: call it off the async threads.
pub(crate) fn page(node: &Node) -> String {
    let mut registry = Registry::with_prefix("unison");
    node.metrics.resp.register(registry.sub_registry_with_prefix("resp"));
    node.metrics.http.register(registry.sub_registry_with_prefix("http"));
    process(&mut registry, node);
    watchers(&mut registry, node);
    namespaces(&mut registry, node);
    replication(&mut registry, node);
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &registry) {
        Ok(()) => text,
        // A string takes everything that is written to it.
        Err(std::fmt::Error) => String::new(),
    }
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let gauge = Gauge::<i64>::default();
    gauge.set(signed(value));
    registry.register(name, help, gauge);
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn process(registry: &mut Registry, node: &Node) {
    let (resident, peak) = memory_bytes();
    gauge(registry, "uptime_seconds", "Time since the start", node.uptime().as_secs());
    gauge(registry, "resident_bytes", "Memory in use", resident);
    gauge(registry, "resident_peak_bytes", "Most memory ever in use", peak);
    let ready = node.health.obstacles().is_empty();
    gauge(registry, "ready", "1 when the node serves what it should", u64::from(ready));
    registry.register("key_hits", "Keys found over RESP", node.metrics.hits.clone());
    registry.register("key_misses", "Keys not found over RESP", node.metrics.misses.clone());
}

fn watchers(registry: &mut Registry, node: &Node) {
    let (watchers, behind) = node.watchers.figures();
    gauge(registry, "watchers", "Watchers at present", watchers as u64);
    let help = "Visible records that the slowest watcher has not been told of";
    gauge(registry, "watchers_lag_records", help, behind);
    let told = node.watchers.events.clone();
    registry.register("watch_events", "Events told to watchers", told);
    let ended = node.watchers.ended.clone();
    registry.register("watchers_ended", "Watchers that could not go on", ended);
}

/// One figure of a namespace: its name, what it says, where it comes from.
type Figure = (&'static str, &'static str, fn(&NamespaceStatus) -> u64);

const FIGURES: [Figure; 12] = [
    ("appended_lsn", "Newest written record", |status| status.appended.0),
    ("durable_lsn", "Newest synced record", |status| status.durable.0),
    ("applied_lsn", "Newest visible record", |status| status.applied.0),
    ("first_lsn", "Oldest record of the log", |status| status.first.0),
    ("checkpoint_lsn", "Newest record in the tree", |status| engine(status).checkpoint.0),
    ("segments", "Segment files", |status| status.segments.len() as u64),
    ("log_bytes", "Bytes written to the segments there are", log_bytes),
    ("memtable_bytes", "Memory of the memtables", |status| engine(status).memtable_bytes as u64),
    ("replay_bytes", "What a restart would replay", |status| engine(status).replay_bytes),
    ("flushes", "Flushes since the start", |status| engine(status).flushes),
    ("rolled_back", "Appends that failed since the start", |status| engine(status).rolled_back),
    ("recovered", "Rungs taken when it was opened", crate::report::rungs_taken),
];

fn engine(status: &NamespaceStatus) -> unison_engine::EngineStats {
    status.engine.unwrap_or_default()
}

fn log_bytes(status: &NamespaceStatus) -> u64 {
    crate::report::log_bytes(&status.segments)
}

fn namespaces(registry: &mut Registry, node: &Node) {
    let namespaces = node.store.list();
    gauge(registry, "namespaces", "Namespaces on this node", namespaces.len() as u64);
    let shown = namespaces.iter().take(NAMESPACES_SHOWN);
    let statuses: Vec<_> = shown.map(|each| (each.name().to_string(), each.status())).collect();
    for (name, help, figure) in FIGURES {
        let family = Family::<Labels, Gauge>::default();
        for (namespace, status) in &statuses {
            let labels = [("namespace", namespace.clone())];
            family.get_or_create(&labels).set(signed(figure(status)));
        }
        registry.register(format!("namespace_{name}"), help, family);
    }
}

fn replication(registry: &mut Registry, node: &Node) {
    let followers = node.health.followers();
    gauge(
        registry,
        "followers",
        "Followed namespaces over all connections",
        followers.len() as u64,
    );
    let (records, ms) = (Family::<Labels, Gauge>::default(), Family::<Labels, Gauge>::default());
    let following = Family::<Labels, Gauge>::default();
    for (name, followed) in node.health.upstream().into_iter().flat_map(|up| up.namespaces) {
        let labels = [("namespace", name)];
        records.get_or_create(&labels).set(signed(followed.lag_records));
        ms.get_or_create(&labels).set(signed(followed.lag_ms));
        let follows = followed.state == FollowState::Following;
        following.get_or_create(&labels).set(i64::from(follows));
    }
    registry.register("upstream_lag_records", "Records not visible here yet", records);
    registry.register("upstream_lag_ms", "Age of the oldest of them", ms);
    registry.register("upstream_following", "1 when following", following);
}
