//! Following a hub: one thread that connects, applies and never gives up.
//!
//! A thread and not a task, because applying means writing to a disk and waiting for it.

use super::Epoch;
use super::ending::Ending;
use super::replica::NamespaceReplica;
use crate::config::Address;
use crate::health::{FollowState, Followed, LinkHealth};
use crate::shutdown::Shutdown;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use unison_base::{Lsn, NamespaceName};
use unison_link::{ByeReason, FollowerConfig, Lag, NodeId, Role, Standing, Timing, Token};
use unison_linux::SystemClock;
use unison_linux::store::{Store, StoreError};
use unison_node::{FollowerSession, ReplicaError, Stepped};
use unison_ports::Clock;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait at a socket or between two attempts, so that the end is noticed.
const LOOK_UP: Duration = Duration::from_millis(200);
/// A write that takes longer than this means a dead peer: acks are a few bytes.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
const WINDOW_BYTES: u32 = 4 << 20;
const RUN_BYTES_MAX: u32 = 32 << 20;
const OUT_BYTES: usize = 16 << 10;

/// What following needs.
#[derive(Clone, Debug)]
pub struct FollowOptions {
    /// This node's name.
    pub node: NodeId,
    /// Where the hub's link listens.
    pub hub: Address,
    /// What to follow.
    pub namespaces: Vec<NamespaceName>,
    /// Seed of the pauses between attempts; another one on every node.
    pub seed: u64,
}

/// Why following cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// A namespace cannot be made.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A namespace's log cannot be read.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    /// The link does not take a namespace.
    #[error(transparent)]
    Namespace(#[from] unison_link::NamespaceError),
    /// The link's sizes contradict each other.
    #[error("the link's sizes contradict each other")]
    Sizes,
    /// The operating system gives no thread.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

/// Starts to follow. The thread ends when the end has begun, or when a replica can no longer be
/// trusted; it then begins the end itself.
///
/// # Errors
/// Nothing was started.
pub fn follow(
    store: &Arc<Store>,
    health: Arc<LinkHealth>,
    shutdown: Shutdown,
    options: FollowOptions,
) -> Result<JoinHandle<Result<(), ReplicaError>>, FollowError> {
    let epoch = Epoch::now();
    let config = FollowerConfig {
        node: options.node.clone(),
        token: Token::default(),
        role: Role::Replica,
        window_bytes: WINDOW_BYTES,
        run_bytes_max: RUN_BYTES_MAX,
        timing: Timing::default(),
    };
    let session = FollowerSession::new(config, options.seed, epoch.now_ms());
    let mut session = session.ok_or(FollowError::Sizes)?;
    for name in &options.namespaces {
        store.create(name)?;
        let replica = NamespaceReplica::new(Arc::clone(store), name.clone(), shutdown.clone());
        session.follow(name.clone(), replica)??;
    }
    let ending = Ending {
        health: Arc::clone(&health),
        shutdown: shutdown.clone(),
        hub: options.hub.to_string(),
    };
    let mut driver = Driver::new(session, health, shutdown, options, epoch);
    driver.report(None);
    let run = move || {
        let _ending = ending;
        driver.run()
    };
    let thread = std::thread::Builder::new().name("follower".to_owned());
    thread.spawn(run).map_err(FollowError::Thread)
}

struct Driver {
    session: FollowerSession<NamespaceReplica>,
    health: Arc<LinkHealth>,
    shutdown: Shutdown,
    options: FollowOptions,
    epoch: Epoch,
    /// Why the newest step ended the connection, or is about to.
    ended_by: Option<String>,
    /// Namespaces that could not take records, and what readers saw of them then. They follow again
    /// when they have taken some, not as soon as the hub serves them.
    in_trouble: BTreeMap<u32, Lsn>,
    /// A sync failed: the replica's file is not trusted again by this process.
    fatal: Option<ReplicaError>,
}

impl Driver {
    fn new(
        session: FollowerSession<NamespaceReplica>,
        health: Arc<LinkHealth>,
        shutdown: Shutdown,
        options: FollowOptions,
        epoch: Epoch,
    ) -> Self {
        let (ended_by, in_trouble, fatal) = (None, BTreeMap::new(), None);
        Self { session, health, shutdown, options, epoch, ended_by, in_trouble, fatal }
    }

    fn run(&mut self) -> Result<(), ReplicaError> {
        while !self.shutdown.has_begun() {
            let now_ms = self.epoch.now_ms();
            match self.session.link().reconnect_at() {
                Some(at) if at > now_ms => {
                    std::thread::sleep(LOOK_UP.min(Duration::from_millis(at - now_ms)));
                }
                _ => self.attempt(),
            }
            if let Some(error) = self.fatal {
                tracing::error!(%error, "this node cannot go on; start it again");
                return Err(error);
            }
        }
        Ok(())
    }

    fn attempt(&mut self) {
        self.ended_by = None;
        let ended = connect(&self.options.hub).and_then(|stream| {
            self.session.link().connected(self.epoch.now_ms());
            self.health.update_upstream(&self.options.hub.to_string(), |upstream| {
                upstream.connected = true;
                upstream.connections += 1;
            });
            self.converse(stream)
        });
        let reason = self.ended_by.take();
        self.session.link().disconnected(self.epoch.now_ms());
        // What had arrived whole of a run that was cut off is taken too.
        self.step();
        let error = match (reason, ended) {
            (Some(reason), _) => reason,
            (None, Ok(())) => "the connection was closed".to_owned(),
            (None, Err(error)) => error.to_string(),
        };
        tracing::warn!(hub = %self.options.hub, error, "not connected");
        self.report(Some(error));
    }

    fn converse(&mut self, mut stream: TcpStream) -> io::Result<()> {
        let mut out = vec![0; OUT_BYTES];
        loop {
            let open = self.step();
            self.transmit(&mut stream, &mut out)?;
            self.report_progress();
            if !open {
                return Ok(());
            }
            let now_ms = self.epoch.now_ms();
            let wait =
                Duration::from_millis(self.session.link().poll_timeout().saturating_sub(now_ms));
            stream.set_read_timeout(Some(wait.clamp(Duration::from_millis(1), LOOK_UP)))?;
            match stream.read(self.session.link().space()) {
                Ok(0) => return Ok(()),
                Ok(bytes) => self.session.link().received(bytes, self.epoch.now_ms()),
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(error),
            }
            self.look_at_the_time();
        }
    }

    fn look_at_the_time(&mut self) {
        let now_ms = self.epoch.now_ms();
        if self.session.link().poll_timeout() <= now_ms {
            self.session.link().handle_timeout(now_ms);
        }
        if self.shutdown.has_begun() {
            self.session.link().leave(ByeReason::Shutdown);
        }
    }

    fn step(&mut self) -> bool {
        let (now_ms, wall_ms) = (self.epoch.now_ms(), SystemClock::default().wall_ms());
        self.ended_by = None;
        let mut told = Vec::new();
        let open = self.session.step(now_ms, wall_ms, &mut |stepped| told.push(stepped));
        for stepped in told {
            self.tell(stepped);
        }
        open
    }

    fn transmit(&mut self, stream: &mut TcpStream, out: &mut [u8]) -> io::Result<()> {
        loop {
            let bytes = self.session.link().poll_transmit(self.epoch.now_ms(), out);
            if bytes == 0 {
                return Ok(());
            }
            stream.write_all(out.get(..bytes).unwrap_or_default())?;
        }
    }

    fn name(&mut self, number: u32) -> String {
        self.session.link().name(number).map(ToString::to_string).unwrap_or_default()
    }

    fn tell(&mut self, stepped: Stepped) {
        match stepped {
            Stepped::Serving { namespace } => {
                tracing::info!(namespace = self.name(namespace), hub = %self.options.hub, "following");
                if !self.in_trouble.contains_key(&namespace) {
                    self.set_state(namespace, FollowState::Following);
                }
            }
            Stepped::Waiting { namespace, reason } => {
                tracing::warn!(namespace = self.name(namespace), %reason, "waiting for the hub");
                self.set_state(namespace, FollowState::Waiting { reason: reason.to_string() });
            }
            Stepped::BadRun { namespace, fault } => {
                tracing::warn!(namespace = self.name(namespace), %fault, "run refused, asked again");
            }
            Stepped::SetAside { namespace, why } => {
                tracing::error!(namespace = self.name(namespace), %why, "diverged suffix set aside");
                self.in_trouble.remove(&namespace);
            }
            Stepped::Replica { namespace, error } => {
                tracing::error!(namespace = self.name(namespace), %error, "cannot take records");
                self.set_state(namespace, FollowState::Waiting { reason: error.to_string() });
                let lag = self.session.lag(namespace, self.epoch.now_ms());
                self.in_trouble.insert(namespace, lag.map(|lag| lag.applied).unwrap_or_default());
                self.ended_by.get_or_insert_with(|| error.to_string());
                if error.is_fatal() {
                    self.fatal = Some(error);
                }
            }
            Stepped::Close { reason } => {
                tracing::info!(%reason, "the link closes");
                self.ended_by.get_or_insert_with(|| reason.to_string());
            }
        }
    }

    fn set_state(&mut self, number: u32, state: FollowState) {
        let name = self.name(number);
        self.health.update_upstream(&self.options.hub.to_string(), |upstream| {
            upstream.namespaces.entry(name).or_default().state = state;
        });
    }

    /// Says that there is no connection, and why.
    fn report(&mut self, error: Option<String>) {
        let namespaces = &self.options.namespaces;
        self.health.update_upstream(&self.options.hub.to_string(), |upstream| {
            upstream.connected = false;
            upstream.last_error = error.or(upstream.last_error.take());
            for name in namespaces {
                let followed = upstream.namespaces.entry(name.to_string()).or_default();
                if followed.state == FollowState::Following {
                    followed.state = FollowState::Connecting;
                }
            }
        });
        self.report_progress();
    }

    fn look_for_recovery(&mut self, now_ms: u64) {
        for (namespace, seen) in self.in_trouble.clone() {
            if self.session.lag(namespace, now_ms).is_some_and(|lag| has_recovered(&lag, seen)) {
                self.in_trouble.remove(&namespace);
                self.set_state(namespace, FollowState::Following);
            }
        }
    }

    fn report_progress(&mut self) {
        let now_ms = self.epoch.now_ms();
        self.look_for_recovery(now_ms);
        let lags: Vec<_> = (0..)
            .zip(&self.options.namespaces)
            .filter_map(|(number, name)| Some((name, self.session.lag(number, now_ms)?)))
            .collect();
        self.health.update_upstream(&self.options.hub.to_string(), |upstream| {
            for (name, lag) in lags {
                let followed: &mut Followed =
                    upstream.namespaces.entry(name.to_string()).or_default();
                followed.upstream_durable = lag.leader_durable.0;
                followed.lag_records = lag.records_behind;
                followed.lag_ms = lag.since_in_sync_ms.unwrap_or(now_ms);
            }
        });
    }
}

/// Whether a namespace of which readers saw `seen` when it could take no records takes them again.
fn has_recovered(lag: &Lag, seen: Lsn) -> bool {
    lag.standing == Standing::Following && (lag.applied > seen || lag.records_behind == 0)
}

/// Connects to whichever of the host's addresses answers first, in their order.
fn connect(hub: &Address) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (hub.host.as_str(), hub.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn is_timeout(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}

#[cfg(test)]
mod tests;
