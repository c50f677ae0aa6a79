//! What can go wrong with a store.

use std::path::PathBuf;
use unison_base::NamespaceName;
use unison_engine::{EngineOpenError, TreeError};
use unison_ports::IoError;

/// Why a store or a namespace cannot be opened, made, dropped or closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The directory is in use, of another version, or not to be had.
    #[error("{}: {source}", path.display())]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        source: crate::DataDirError,
    },
    /// A path of the data directory failed.
    #[error("{path}: {source}")]
    Path {
        /// The path.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The segments of a namespace cannot be used.
    #[error("namespace {name}: {source}")]
    Medium {
        /// The namespace.
        name: NamespaceName,
        /// What the medium said.
        source: IoError,
    },
    /// The tree file cannot be opened.
    #[error("namespace {name}: tree.redb: {source}")]
    Tree {
        /// The namespace.
        name: NamespaceName,
        /// What the tree said.
        source: redb::DatabaseError,
    },
    /// Log and tree do not give a state that can be served.
    #[error("namespace {name}: {source}")]
    Engine {
        /// The namespace.
        name: NamespaceName,
        /// What the engine said.
        source: EngineOpenError,
    },
    /// The tree cannot be trusted, and the log alone does not hold everything any more.
    #[error(
        "namespace {name}: its tree could not be trusted and is kept as {}, and {missing} records of its \
         log are gone: restore the namespace from a copy; or rename that file to tree.redb to serve what \
         it holds; or remove it to serve what the log holds", kept.display()
    )]
    TreeLost {
        /// The namespace.
        name: NamespaceName,
        /// The tree.
        kept: PathBuf,
        /// Records of the log that cannot be read.
        missing: u64,
    },
    /// The last sync of a namespace failed.
    #[error("namespace {name}: {source}")]
    Close {
        /// The namespace.
        name: NamespaceName,
        /// What the engine said.
        source: unison_walfs::SyncError,
    },
    /// There is no such namespace.
    #[error("no namespace {name}")]
    NoSuchNamespace {
        /// The name asked for.
        name: NamespaceName,
    },
    /// A file of the data directory has that name.
    #[error("a namespace cannot be called {name}: the data directory has a file of that name")]
    ReservedName {
        /// The name asked for.
        name: NamespaceName,
    },
    /// The limit of namespaces on one node is reached.
    #[error("this node holds at most {} namespaces", unison_base::limits::NAMESPACES_MAX)]
    TooManyNamespaces,
    /// The operating system gives no thread.
    #[error("cannot start a thread: {0}")]
    Threads(std::io::Error),
}

impl StoreError {
    /// Whether the tree does not hold what it should.
    pub(super) fn is_tree_damage(&self) -> bool {
        match self {
            Self::Tree { source, .. } => super::tree_file::is_damage(source),
            Self::Engine { source, .. } => matches!(
                source,
                EngineOpenError::Tree(TreeError::Corrupt { .. } | TreeError::Foreign)
                    | EngineOpenError::TreeOfAnotherLog { .. }
            ),
            _ => false,
        }
    }
}
