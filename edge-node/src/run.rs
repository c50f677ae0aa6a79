//! Wiring: store, follower, servers.

use std::sync::Arc;
use unison_engine::EngineOptions;
use unison_linux::store::Durability;
use unison_serve::config::{EdgeConfig, Ports, start_logging};
use unison_serve::health::LinkHealth;
use unison_serve::link::{FollowOptions, follow};
use unison_serve::node::{Node, NodeOptions, Role};
use unison_serve::process::{self, ProcessError};
use unison_serve::serve::Listeners;
use unison_serve::shutdown::Shutdown;
use unison_walfs::LogRole;

/// An edge is replayed from its checkpoint within a blink, on a slow card too.
const CHECKPOINT_LOG_BYTES: u64 = 32 << 20;
const TREE_CACHE_BYTES: usize = 4 << 20;

pub(crate) fn run(config: EdgeConfig) -> Result<(), ProcessError> {
    start_logging(config.log_format, config.log_level);
    process::run(serve(config))
}

async fn serve(config: EdgeConfig) -> Result<(), ProcessError> {
    if let Some(file) = &config.ports_file {
        Ports::clear(file)?;
    }
    let listeners = Listeners::open(&config.http, &config.resp, &config.zeromq).await?;
    let engine = EngineOptions {
        memtable_bytes: usize::try_from(config.memtable_size.0).unwrap_or(usize::MAX),
        checkpoint_log_bytes: CHECKPOINT_LOG_BYTES,
        role: LogRole::Follower,
        ..EngineOptions::default()
    };
    let (data_dir, keys) = (config.data_dir.clone(), config.keys_file.as_deref());
    let store =
        process::open_store("edge", data_dir, Durability::Always, engine, TREE_CACHE_BYTES, keys)?;
    let health = Arc::new(LinkHealth::default());
    let shutdown = Shutdown::default();
    let options = NodeOptions {
        role: Role::Edge { hub: config.hub.clone() },
        backup_dir: config.backup_dir.clone(),
        connections_max: config.connections_max,
        allow_origin: config.http_allow_origin.clone(),
        watchers_max: config.watchers_max,
    };
    let node = Node::new(Arc::clone(&store), Arc::clone(&health), shutdown.clone(), options);
    let options = FollowOptions {
        node: process::node_name(&config.data_dir, "edge")?,
        hub: config.hub.clone(),
        namespaces: config.namespace.names().to_vec(),
        seed: process::seed(),
    };
    let follower = follow(&store, health, shutdown.clone(), options)?;
    let ports = listeners.ports();
    let signals = process::stop_signals()?;
    listeners.serve(&node);
    if let Some(file) = &config.ports_file {
        ports.write(file)?;
    }
    tracing::info!(?ports, hub = %config.hub, "edge is up");
    let finish = || Ok(follower.join().map_err(|_| ProcessError::Panicked)??);
    process::serve_until_stopped(&node, &store, &shutdown, signals, finish).await
}
