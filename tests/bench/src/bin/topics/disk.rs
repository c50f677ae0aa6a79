//! A store in a directory, and what it takes there.

use anyhow::Context as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use unison_base::NamespaceName;
use unison_engine::{EngineOptions, NewMessage, Operation, Write};
use unison_linux::store::{Durability, Namespace, Store, StoreOptions};

const TREE_CACHE_BYTES: usize = 256 << 20;
const NAMESPACE: &str = "bench";

/// A store with one namespace.
pub(crate) struct Bench {
    pub(crate) store: Arc<Store>,
    pub(crate) namespace: Arc<Namespace>,
    dir: PathBuf,
}

/// What files take, bytes.
#[derive(Clone, Copy, Default)]
pub(crate) struct Taken {
    /// Their lengths.
    pub(crate) length: u64,
    /// The blocks that the file system has given them.
    pub(crate) blocks: u64,
}

impl Bench {
    pub(crate) fn open(
        root: &Path,
        durability: Durability,
        engine: EngineOptions,
    ) -> anyhow::Result<Self> {
        let store = Store::open(StoreOptions {
            data_dir: root.join("data"),
            durability,
            engine,
            tree_cache_bytes: TREE_CACHE_BYTES,
            doubt_trees: false,
        })?;
        let namespace = store.create(&NamespaceName::new(NAMESPACE)?)?;
        Ok(Self { store, namespace, dir: root.join("data").join(NAMESPACE) })
    }

    /// Publishes one message to each of these topics, all at once.
    pub(crate) fn publish(
        &self,
        topics: &[String],
        payload: &[u8],
        ttl_ms: Option<u64>,
    ) -> anyhow::Result<()> {
        let message = |topic| NewMessage { topic, payload, ttl_ms, ..NewMessage::default() };
        let messages: Vec<_> = topics.iter().map(|topic| message(topic.as_str())).collect();
        self.namespace.write(&Write::new(Operation::Publish(&messages)))?;
        Ok(())
    }

    /// Flushes everything, and lets the log go as far as it may.
    pub(crate) fn flush(&self) -> anyhow::Result<()> {
        while let Some(job) = self.namespace.with_engine(|engine| engine.flush_now())? {
            let result = job.run();
            drop(self.namespace.with_engine(|engine| engine.flushed(result))??);
        }
        Ok(())
    }

    /// What the tree's file takes, or the log's.
    pub(crate) fn taken(&self, tree: bool) -> anyhow::Result<Taken> {
        let mut taken = Taken::default();
        let mut dirs = vec![self.dir.clone()];
        while let Some(dir) = dirs.pop() {
            for file in std::fs::read_dir(&dir).context("the namespace's directory")? {
                let file = file?;
                let about = file.metadata()?;
                if about.is_dir() {
                    dirs.push(file.path());
                } else if file.file_name().to_string_lossy().contains("tree.redb") == tree {
                    taken.length += about.len();
                    taken.blocks += about.blocks() * 512;
                }
            }
        }
        Ok(taken)
    }
}
