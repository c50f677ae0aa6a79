//! The smallest node: a store with its servers, until SIGINT or SIGTERM.
//!
//! ```text
//! cargo run --release -p unison-serve --example servers -- DIR always|interval|never RESP_ADDR
//! ```

use std::sync::Arc;
use std::time::Duration;

use unison_base::NamespaceName;
use unison_engine::EngineOptions;
use unison_linux::store::{Durability, Store, StoreOptions};
use unison_serve::DEFAULT_NAMESPACE;
use unison_serve::config::{Listen, LogFormat, LogLevel, start_logging};
use unison_serve::health::LinkHealth;
use unison_serve::node::{Node, NodeOptions, Role};
use unison_serve::serve::{Listeners, stop};
use unison_serve::shutdown::{Shutdown, stop_signal};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    start_logging(LogFormat::Text, LogLevel::Info);
    let mut arguments = std::env::args().skip(1);
    let data_dir = arguments.next().unwrap_or_else(|| "unison-data".to_owned());
    let durability = match arguments.next().as_deref() {
        Some("interval") => Durability::Interval { every: Duration::from_secs(1) },
        Some("never") => Durability::Never,
        _ => Durability::Always,
    };
    let resp: Listen = arguments.next().as_deref().unwrap_or("127.0.0.1:4002").parse()?;
    let store = Store::open(StoreOptions {
        data_dir: data_dir.into(),
        durability,
        engine: EngineOptions::default(),
        tree_cache_bytes: 16 << 20,
    })?;
    store.create(&NamespaceName::new(DEFAULT_NAMESPACE)?)?;
    let options = NodeOptions { role: Role::Hub, backup_dir: None, connections_max: 1_000 };
    let health = Arc::new(LinkHealth::default());
    let node = Node::new(Arc::clone(&store), health, Shutdown::default(), options);
    tokio::runtime::Runtime::new()?.block_on(async {
        let listeners = Listeners::open(&"127.0.0.1:0".parse()?, &resp).await?;
        tracing::info!(ports = ?listeners.ports(), "serving");
        listeners.serve(&node);
        tracing::info!(signal = stop_signal().await?, "stopping");
        stop(&node).await;
        Ok::<_, Box<dyn std::error::Error>>(())
    })?;
    Ok(store.close()?)
}
