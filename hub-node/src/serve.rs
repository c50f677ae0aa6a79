//! Wiring: store, link, servers.

use std::sync::Arc;
use unison_engine::EngineOptions;
use unison_linux::store::Durability;
use unison_serve::config::{DurabilityLevel, HubConfig, Listen, Ports, start_logging};
use unison_serve::health::LinkHealth;
use unison_serve::link::{LeadOptions, lead};
use unison_serve::listen::listen;
use unison_serve::node::{Node, NodeOptions, Role};
use unison_serve::process::{self, ProcessError};
use unison_serve::serve::Listeners;
use unison_serve::shutdown::Shutdown;

const TREE_CACHE_BYTES: usize = 64 << 20;

pub(crate) fn serve(config: HubConfig) -> Result<(), ProcessError> {
    start_logging(config.log_format, config.log_level);
    process::run(run(config))
}

async fn run(config: HubConfig) -> Result<(), ProcessError> {
    if let Some(file) = &config.ports_file {
        Ports::clear(file)?;
    }
    let listeners = Listeners::open(&config.http, &config.resp, &config.zeromq).await?;
    let link = match &config.link {
        Listen::Off => None,
        Listen::At(address) => Some(listen("link", address).await?),
    };
    let data_dir = config.data_dir.clone();
    let (engine, keys) = (engine_options(&config), config.keys_file.as_deref());
    let store =
        process::open_store("hub", data_dir, durability(&config), engine, TREE_CACHE_BYTES, keys)?;
    store.limit_transactions(usize::try_from(config.transactions_size.0).unwrap_or(usize::MAX));
    let health = Arc::new(LinkHealth::default());
    let shutdown = Shutdown::default();
    let options = NodeOptions {
        role: Role::Hub,
        backup_dir: config.backup_dir.clone(),
        connections_max: config.connections_max,
        allow_origin: config.http_allow_origin.clone(),
        watchers_max: config.watchers_max,
    };
    let node = Node::new(Arc::clone(&store), Arc::clone(&health), shutdown.clone(), options);
    let mut ports = listeners.ports();
    if let Some(listener) = link {
        ports.link = listener.local_addr().ok();
        let options = LeadOptions {
            node: process::node_name(&config.data_dir, "hub")?,
            followers_max: usize::try_from(config.connections_max).unwrap_or(usize::MAX),
        };
        let leading = lead(listener, Arc::clone(&store), health, shutdown.clone(), options);
        tokio::spawn(leading);
    }
    let signals = process::stop_signals()?;
    listeners.serve(&node);
    if let Some(file) = &config.ports_file {
        ports.write(file)?;
    }
    tracing::info!(?ports, data = %config.data_dir.display(), "hub is up");
    process::serve_until_stopped(&node, &store, &shutdown, signals, || Ok(())).await
}

fn engine_options(config: &HubConfig) -> EngineOptions {
    let suits = EngineOptions::default();
    // What is to leave the log has to be in the tree first.
    let checkpoint_log_bytes = config.keep_bytes.map_or(suits.checkpoint_log_bytes, |keep| {
        keep.0.max(config.segment_size.0).min(suits.checkpoint_log_bytes)
    });
    EngineOptions {
        checkpoint_log_bytes,
        memtable_bytes: usize::try_from(config.memtable_size.0).unwrap_or(usize::MAX),
        segment_bytes: config.segment_size.0,
        keep_bytes: config.keep_bytes.map(|size| size.0),
        keep_ms: config.keep_time.map(|time| u64::try_from(time.0.as_millis()).unwrap_or(u64::MAX)),
        ..suits
    }
}

fn durability(config: &HubConfig) -> Durability {
    match config.durability {
        DurabilityLevel::Always => Durability::Always,
        DurabilityLevel::Interval => Durability::Interval { every: config.sync_interval.0 },
        DurabilityLevel::Never => Durability::Never,
    }
}
