//! A node as a process: what both binaries do between their configuration and their exit code.

use std::future::Future;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use unison_base::NamespaceName;
use unison_engine::EngineOptions;
use unison_link::NodeId;
use unison_linux::SystemEntropy;
use unison_linux::store::{Durability, Failure, Namespace, Store, StoreError, StoreOptions};
use unison_ports::Entropy as _;

use crate::config::{ConfigError, PortsFileError, load_keys};
use crate::link::FollowError;
use crate::listen::ListenError;
use crate::node::Node;
use crate::panics::Panics;
use crate::serve::stop;
use crate::shutdown::{Shutdown, StopSignals};

/// File in the data directory that holds the node's name.
const NODE_NAME_FILE: &str = "node";
/// File in the data directory that says whose it is.
const ROLE_FILE: &str = "role";

/// Up to this many cores a machine is small.
const SMALL_MACHINE_CORES: usize = 2;

/// Why a process ends before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The ports file cannot be written.
    #[error(transparent)]
    PortsFile(#[from] PortsFileError),
    /// The data cannot be served.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Following cannot begin.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// Following ended.
    #[error("following ended: {0}")]
    Replica(#[from] unison_node::ReplicaError),
    /// A namespace can no longer be trusted by this process.
    #[error("{0}; start again: what was acknowledged is in the log")]
    Failed(Failure),
    /// The data directory belongs to a node of the other kind.
    #[error(
        "{}: the data of a node that is {found}, and this one is {wanted}: choose another --data-dir, \
         or remove the file `role` in it to hand the data over for good", path.display()
    )]
    Role {
        /// The data directory.
        path: PathBuf,
        /// What wrote it.
        found: String,
        /// What wants it.
        wanted: &'static str,
    },
    /// A part of this program panicked; the log says where.
    #[error("a part of this program panicked")]
    Panicked,
    /// The operating system refuses something small: threads, signals, a file of the data directory.
    #[error("{what}: {source}")]
    System {
        /// What was asked of it.
        what: &'static str,
        /// Its answer.
        source: std::io::Error,
    },
}

impl ProcessError {
    /// 1 failed while running, 2 usage or configuration, 3 the data cannot be served.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Listen(_) | Self::PortsFile(_) => 2,
            Self::Store(StoreError::Close { .. } | StoreError::Threads(_)) => 1,
            Self::Store(_) | Self::Role { .. } => 3,
            Self::Follow(FollowError::Store(_) | FollowError::Replica(_)) => 3,
            _ => 1,
        }
    }

    fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}

/// Runs `work` on the runtime that all servers of a process share.
///
/// # Errors
/// The runtime cannot be made, or what `work` says.
pub fn run<F>(work: F) -> Result<(), ProcessError>
where
    F: Future<Output = Result<(), ProcessError>>,
{
    let runtime = runtime_builder().enable_all().build();
    runtime.map_err(ProcessError::system("starting threads"))?.block_on(work)
}

/// One thread serves all connections of a small machine: a second one would compete with syncs,
/// flushes and the clients for the same cores, and handing tasks between the two costs more than
/// it gains (measured with two cores: 1.2 to 1.5 times the requests a second with one thread).
fn runtime_builder() -> tokio::runtime::Builder {
    match std::thread::available_parallelism() {
        Ok(cores) if cores.get() > SMALL_MACHINE_CORES => {
            tokio::runtime::Builder::new_multi_thread()
        }
        _ => tokio::runtime::Builder::new_current_thread(),
    }
}

/// Opens the data directory of a node that is `hub` or `edge`, with the master keys of a file or of the
/// environment, and sees to it that namespace `default` exists.
/// Belongs into the runtime of [`run`].
///
/// # Errors
/// The data cannot be served.
pub fn open_store(
    role: &'static str,
    data_dir: PathBuf,
    durability: Durability,
    engine: EngineOptions,
    tree_cache_bytes: usize,
    keys_file: Option<&Path>,
) -> Result<Arc<Store>, ProcessError> {
    check_role(&data_dir, role)?;
    let keys = load_keys(keys_file).map_err(ConfigError::from)?;
    let role_file = data_dir.join(ROLE_FILE);
    let panics = Panics::watch(&data_dir);
    let doubt_trees = panics.doubt_trees();
    let options = StoreOptions { data_dir, durability, engine, tree_cache_bytes, doubt_trees };
    let store = Store::open_with_keys(options, keys)?;
    tokio::spawn(panics.forget_later());
    std::fs::write(role_file, role).map_err(ProcessError::system("keeping the node's role"))?;
    store.list().iter().for_each(|namespace| tell_opened(namespace));
    if let Ok(default) = NamespaceName::new(crate::DEFAULT_NAMESPACE) {
        store.create(&default)?;
    }
    Ok(store)
}

/// What recovery found, with its places; what is lost is an error.
fn tell_opened(namespace: &Namespace) {
    let (name, report) = (namespace.name(), namespace.open_report());
    for event in &report.recovery.events {
        let (segment, offset) = (event.at.segment.0, event.at.offset);
        tracing::warn!(namespace = %name, segment, offset, finding = ?event.rung, "recovery");
    }
    if report.missing > 0 || report.invalid > 0 {
        let (missing, invalid) = (report.missing, report.invalid);
        tracing::error!(namespace = %name, missing, invalid,
            "records of the log cannot be read; what they held is not served");
    }
    let (checkpoint, replayed) = (report.checkpoint.0, report.replayed);
    tracing::info!(namespace = %name, checkpoint, replayed, "opened");
}

/// A hub's data is not opened by an edge, nor an edge's by a hub: the one would set it aside, the
/// other would write a second history under the same identity.
fn check_role(data_dir: &Path, role: &'static str) -> Result<(), ProcessError> {
    match std::fs::read_to_string(data_dir.join(ROLE_FILE)) {
        Ok(found) if found.trim() != role => {
            let (path, found) = (data_dir.to_owned(), found.trim().to_owned());
            Err(ProcessError::Role { path, found, wanted: role })
        }
        Ok(_) => Ok(()),
        // Nobody's yet, or a directory only in name: opening it says what is wrong with it.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(())
        }
        Err(source) => Err(ProcessError::System { what: "reading the node's role", source }),
    }
}

/// The node's name, `<kind>-<8 hex digits>`: drawn once, then kept in the data directory.
///
/// # Errors
/// The file cannot be read or written.
pub fn node_name(data_dir: &Path, kind: &str) -> Result<NodeId, ProcessError> {
    let file = data_dir.join(NODE_NAME_FILE);
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    if let Ok(name) = NodeId::try_from(kept.trim())
        && !name.is_empty()
    {
        return Ok(name);
    }
    let name = format!("{kind}-{:08x}", seed() & 0xFFFF_FFFF);
    std::fs::write(&file, &name).map_err(ProcessError::system("keeping the node's name"))?;
    Ok(NodeId::try_from(name.as_str()).unwrap_or_default())
}

/// A number that differs between nodes and starts.
#[must_use]
pub fn seed() -> u64 {
    let mut bytes = [0; 8];
    SystemEntropy.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// Takes the signals that ask a process to stop. Comes before anybody is told that the process is
/// up, for from then on somebody may send one.
///
/// # Errors
/// The signals cannot be listened for.
pub fn stop_signals() -> Result<StopSignals, ProcessError> {
    StopSignals::listen().map_err(ProcessError::system("listening for signals"))
}

/// Serves until a signal comes or a part of the process begins the end; then ends all connections,
/// has `finish` end what else writes, and closes the store.
///
/// # Errors
/// The first reason of these: a namespace that can no longer be trusted, what `finish` says, a
/// store that cannot be closed.
pub async fn serve_until_stopped(
    node: &Node,
    store: &Store,
    shutdown: &Shutdown,
    signals: StopSignals,
    finish: impl FnOnce() -> Result<(), ProcessError>,
) -> Result<(), ProcessError> {
    let failure = end_on_failure(store, shutdown);
    until_stopped(node, shutdown, signals).await;
    let finished = finish();
    let closed = store.close();
    // Why it ended comes first: closing a log that cannot be trusted fails too.
    failure.get().map_or(Ok(()), |failure| Err(ProcessError::Failed(*failure)))?;
    finished?;
    Ok(closed?)
}

/// Ends the process when a namespace of the store can no longer be trusted: its next start recovers.
/// Returns where the reason will be.
fn end_on_failure(store: &Store, shutdown: &Shutdown) -> Arc<OnceLock<Failure>> {
    let reason = Arc::new(OnceLock::new());
    let (set, shutdown) = (Arc::clone(&reason), shutdown.clone());
    store.on_failure(move |failure| {
        tracing::error!(%failure, "stopping");
        let _ = set.set(failure);
        shutdown.begin();
    });
    reason
}

/// Prints a line for a person. Whoever reads it may have gone already, which is no failure of the
/// work that the line reports.
pub fn print_line(line: impl std::fmt::Display) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Waits for a signal, or for a part of the process that begins the end; then ends all connections.
async fn until_stopped(node: &Node, shutdown: &Shutdown, mut signals: StopSignals) {
    tokio::select! {
        signal = signals.next() => tracing::info!(signal, "stopping"),
        () = shutdown.begun() => {}
    }
    let left = stop(node).await;
    if left > 0 {
        tracing::warn!(left, "connections were cut off");
    }
}
