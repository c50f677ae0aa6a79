//! Following the hub: namespaces are opened, records are taken, and it never gives up.

use super::config::EdgeConfig;
use super::event::{AwayReason, Event, OpenFailure};
use super::line::{Attempt, Line, Phase};
use super::namespaces::Namespaces;
use super::replica::VolumeReplica;
use super::tenant::Tenant;
use super::wall::WallClock;
use crate::block::BlockDevice;
use crate::board::Wake;
use crate::medium::{BlockStore, Medium};
use crate::net::{Network, Stream, StreamError};
use alloc::vec::Vec;
use smoltcp::phy::Device;
use unison_base::limits::{
    BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, ENTRY_OVERHEAD_MAX, RECORD_OVERHEAD_MAX,
};
use unison_engine::EngineOptions;
use unison_link::{FollowerConfig, Lag, LinkState, NodeId, Role, Timing, Token};
use unison_node::{FollowerSession, Replica, Stepped};
use unison_ports::IoError;
use unison_walfs::LogRole;

/// Bytes of frames per namespace that may be on their way.
const WINDOW_BYTES: u32 = 1 << 20;
/// Most bytes of frames in one run: the largest record there can be.
const RUN_BYTES_MAX: u32 = 6 << 20;
/// A node is replayed from its checkpoint within a blink, on a slow card too.
const CHECKPOINT_LOG_BYTES: u64 = 32 << 20;
/// Memtables that may wait for a flush: flushes run between records.
const MEMTABLES_MAX: usize = 1;
/// Reads from the connection at a time.
const ROUNDS_MAX: usize = 8;

const _: () = assert!(
    RUN_BYTES_MAX as usize
        >= BATCH_BYTES_MAX + BATCH_OPERATIONS_MAX * ENTRY_OVERHEAD_MAX + RECORD_OVERHEAD_MAX
);

type Session<D> = FollowerSession<VolumeReplica<D>>;

/// What happened while a step ran, for whoever tells.
type Tell<'t> = &'t mut dyn FnMut(Event);

/// The hub and the namespaces that are followed.
pub(crate) struct Follow<D: BlockDevice> {
    session: Session<D>,
    tenants: Vec<Tenant<D>>,
    line: Line,
    wall: WallClock,
    /// Why there is no connection, as last told.
    away: Option<AwayReason>,
    /// Since when there is none.
    away_since_ms: Option<u64>,
    next_attempt_ms: Option<u64>,
    connections: u64,
}

impl<D: BlockDevice> Follow<D> {
    /// Nothing is open yet and nobody connected.
    pub(crate) fn new<N: Device>(
        config: &EdgeConfig,
        node: NodeId,
        medium: &Medium<D>,
        namespaces: &Namespaces<BlockStore<D>>,
        network: &mut Network<N>,
        (seed, now_ms): (u64, u64),
    ) -> Option<Self> {
        let link = FollowerConfig {
            node,
            token: Token::default(),
            role: Role::Replica,
            window_bytes: WINDOW_BYTES,
            run_bytes_max: RUN_BYTES_MAX,
            timing: Timing::default(),
        };
        let tenant = |name| {
            let (namespace, volume) = (namespaces.get(name)?, medium.volume(name)?);
            let replica = VolumeReplica::new(namespace, volume, engine_options(config));
            Some(Tenant::new(name.clone(), replica))
        };
        Some(Self {
            session: FollowerSession::new(link, seed, now_ms)?,
            tenants: config.namespaces.iter().filter_map(tenant).collect(),
            line: Line::new(network, config.hub, seed),
            wall: WallClock::default(),
            away: None,
            away_since_ms: Some(now_ms),
            next_attempt_ms: Some(now_ms),
            connections: 0,
        })
    }

    pub(crate) fn tenants(&self) -> &[Tenant<D>] {
        &self.tenants
    }

    /// The replica of a tenant, wherever it is.
    pub(crate) fn replica<'a>(&'a self, tenant: &'a Tenant<D>) -> Option<&'a VolumeReplica<D>> {
        let followed = tenant.number.and_then(|number| usize::try_from(number).ok());
        followed.map_or(tenant.replica.as_ref(), |index| self.session.replicas().get(index))
    }

    pub(crate) fn lag(&self, tenant: &Tenant<D>, now_ms: u64) -> Option<Lag> {
        self.session.lag(tenant.number?, now_ms)
    }

    pub(crate) const fn wall(&self) -> &WallClock {
        &self.wall
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.line.phase() == Phase::Up
    }

    pub(crate) const fn connections(&self) -> u64 {
        self.connections
    }

    pub(crate) const fn away(&self) -> Option<AwayReason> {
        self.away
    }

    pub(crate) const fn away_since_ms(&self) -> Option<u64> {
        self.away_since_ms
    }

    /// When the next attempt is due; `None` while one is under way or there is a connection.
    pub(crate) const fn next_attempt_ms(&self) -> Option<u64> {
        self.next_attempt_ms
    }

    /// Why nothing that is written to the disk can be trusted, until it is opened again.
    pub(crate) fn disk_failure(&self) -> Option<IoError> {
        let waiting = self.tenants.iter().filter_map(|tenant| tenant.replica.as_ref());
        let mut replicas = self.session.replicas().iter().chain(waiting);
        replicas.find_map(|replica| replica.volume().failure())
    }

    /// Lets go of every engine, so that nothing of the disk is in use.
    pub(crate) fn close_all(&mut self) {
        let waiting = self.tenants.iter_mut().filter_map(|tenant| tenant.replica.as_mut());
        let replicas = self.session.replicas_mut().iter_mut().chain(waiting);
        replicas.for_each(VolumeReplica::close);
    }

    /// Takes the volumes of the disk that was opened again.
    pub(crate) fn take_volumes(&mut self, medium: &Medium<D>) {
        for tenant in &mut self.tenants {
            let index = tenant.number.and_then(|number| usize::try_from(number).ok());
            let followed = index.and_then(|index| self.session.replicas_mut().get_mut(index));
            let replica = followed.or(tenant.replica.as_mut());
            if let Some((replica, volume)) = replica.zip(medium.volume(&tenant.name)) {
                replica.set_volume(volume);
                tenant.open_now();
            }
        }
    }

    /// Opens one namespace that is due.
    pub(crate) fn open_one(&mut self, now_ms: u64, tell: Tell<'_>) -> Wake {
        let mut wake = Wake::At(u64::MAX);
        let wall_ms = self.wall.wall_ms(now_ms);
        let mut opened = false;
        for tenant in &mut self.tenants {
            if is_open(tenant, &self.session) {
                continue;
            }
            if opened || tenant.open_at_ms() > now_ms {
                wake = wake.earlier(if opened { Wake::Now } else { Wake::At(tenant.open_at_ms()) });
                continue;
            }
            opened = true;
            open(tenant, &mut self.session, (wall_ms, now_ms), &mut *tell);
            wake = Wake::Now;
        }
        wake
    }

    /// Flushes what is due.
    pub(crate) fn flush(&mut self, tell: Tell<'_>) {
        for replica in self.session.replicas_mut() {
            replica.flush_if_due();
            replica.news().into_iter().for_each(&mut *tell);
        }
    }

    /// Connects, moves bytes, applies what came; a bounded amount of each.
    pub(crate) fn poll<N: Device>(
        &mut self,
        network: &mut Network<N>,
        now_ms: u64,
        tell: Tell<'_>,
    ) -> Wake {
        match self.line.phase() {
            Phase::Down => self.connect_if_due(network, now_ms, tell),
            Phase::Connecting { since_ms } => {
                match self.line.attempt(network, since_ms, now_ms) {
                    Attempt::Pending(wake) => return wake,
                    Attempt::Failed(reason) => self.ended(network, reason, now_ms, tell),
                    Attempt::Connected => {
                        self.connections = self.connections.saturating_add(1);
                        self.session.link().connected(now_ms);
                    }
                }
                Wake::Now
            }
            Phase::Up if network.address().is_none() => {
                self.ended(network, AwayReason::NoAddress, now_ms, tell);
                Wake::Now
            }
            Phase::Up => self.converse(network, now_ms, tell),
        }
    }

    fn connect_if_due<N: Device>(
        &mut self,
        network: &mut Network<N>,
        now_ms: u64,
        tell: Tell<'_>,
    ) -> Wake {
        if network.address().is_none() {
            return Wake::At(u64::MAX);
        }
        match self.session.link().reconnect_at() {
            Some(at_ms) if at_ms > now_ms => Wake::At(at_ms),
            _ if self.line.connect(network, now_ms) => {
                self.next_attempt_ms = None;
                Wake::Now
            }
            _ => {
                self.ended(network, AwayReason::Unreachable, now_ms, tell);
                Wake::Now
            }
        }
    }

    fn converse<N: Device>(
        &mut self,
        network: &mut Network<N>,
        now_ms: u64,
        tell: Tell<'_>,
    ) -> Wake {
        let mut stream = network.stream(self.line.socket());
        let mut ended = None;
        let mut more = true;
        for _ in 0..ROUNDS_MAX {
            more = match self.round(&mut stream, now_ms, &mut *tell) {
                Ok(more) => more,
                Err(reason) => {
                    ended = Some(reason);
                    break;
                }
            };
            if !more {
                break;
            }
        }
        self.look(now_ms, &mut *tell);
        if let Some(reason) = ended {
            self.ended(network, reason, now_ms, tell);
            return Wake::Now;
        }
        if more { Wake::Now } else { Wake::At(self.session.link().poll_timeout()) }
    }

    /// Takes what came, says what is to be said, reads once; true when there may be more to read.
    fn round<S: Stream<Error = StreamError>>(
        &mut self,
        stream: &mut S,
        now_ms: u64,
        tell: Tell<'_>,
    ) -> Result<bool, AwayReason> {
        let closing = self.step(now_ms, tell);
        let link = self.session.link();
        let sent = self.line.send(stream, |out| link.poll_transmit(now_ms, out));
        sent.map_err(|_| AwayReason::Closed)?;
        closing.map_or(Ok(()), Err)?;
        let mut more = false;
        if stream.read_ready().map_err(|_| AwayReason::Closed)? {
            let link = self.session.link();
            match stream.read(link.space()) {
                Ok(0) | Err(StreamError::Reset) => return Err(AwayReason::Closed),
                Ok(bytes) => {
                    link.received(bytes, now_ms);
                    more = true;
                }
                Err(StreamError::NotReady) => {}
            }
        }
        let link = self.session.link();
        if link.poll_timeout() <= now_ms {
            link.handle_timeout(now_ms);
            more = true;
        }
        Ok(more)
    }

    /// Applies everything that has come. `Some` when the connection is to be closed, and why.
    fn step(&mut self, now_ms: u64, tell: Tell<'_>) -> Option<AwayReason> {
        let mut told = Vec::new();
        let wall_ms = self.wall.wall_ms(now_ms);
        let open = self.session.step(now_ms, wall_ms, &mut |stepped| told.push(stepped));
        let mut reason = None;
        for stepped in told {
            let why = self.note(stepped, now_ms, &mut *tell);
            reason = reason.or(why);
        }
        for replica in self.session.replicas_mut() {
            replica.news().into_iter().for_each(&mut *tell);
        }
        if let Some(hlc) = self.session.leader_clock()
            && self.wall.heard(hlc, now_ms)
        {
            tell(Event::ClockSet { wall_ms: self.wall.wall_ms(now_ms) });
        }
        (!open).then(|| reason.unwrap_or(AwayReason::Closed))
    }

    /// Takes note of what a step found; why the connection ends, when it does.
    fn note(&mut self, stepped: Stepped, now_ms: u64, tell: Tell<'_>) -> Option<AwayReason> {
        let (number, reason) = match stepped {
            Stepped::Serving { namespace } => (namespace, None),
            Stepped::Waiting { namespace, .. } => (namespace, None),
            Stepped::BadRun { namespace, .. } => (namespace, None),
            Stepped::SetAside { namespace, .. } => (namespace, None),
            Stepped::Replica { namespace, error } => (namespace, Some(AwayReason::Replica(error))),
            Stepped::Close { reason } => return Some(AwayReason::Link(reason)),
        };
        let applied = self.session.lag(number, now_ms).map(|lag| lag.applied);
        let index = usize::try_from(number).ok()?;
        let tenant = self.tenants.iter_mut().find(|tenant| tenant.number == Some(number))?;
        let name = tenant.name.clone();
        let event = match stepped {
            Stepped::Serving { .. } => {
                tenant.serving();
                None
            }
            Stepped::Waiting { reason, .. } => tenant.waits(reason),
            Stepped::BadRun { fault, .. } => Some(Event::RunRefused { name, fault }),
            Stepped::SetAside { why, .. } => {
                tenant.trouble = None;
                Some(Event::SetAside { name, why })
            }
            Stepped::Replica { error, .. } => {
                let replica = self.session.replicas_mut().get_mut(index)?;
                let usage = replica.volume().usage();
                if error.is_fatal() {
                    replica.close();
                }
                let room = (usage.segment_used_bytes, usage.segment_bytes);
                let event = tenant.troubled(error, applied.unwrap_or_default(), room);
                event.filter(|_| !replica.is_tree_full())
            }
            Stepped::Close { .. } => None,
        };
        event.into_iter().for_each(tell);
        reason
    }

    /// Tells how far the namespaces are.
    fn look(&mut self, now_ms: u64, tell: Tell<'_>) {
        for tenant in &mut self.tenants {
            let lag = tenant.number.and_then(|number| self.session.lag(number, now_ms));
            lag.and_then(|lag| tenant.look(&lag)).into_iter().for_each(&mut *tell);
        }
        let troubled = self.tenants.iter().any(|tenant| tenant.trouble.is_some());
        let greeted = self.session.link().state() == LinkState::Live;
        if greeted && self.away_since_ms.take().is_some() && !troubled {
            self.away = None;
            tell(Event::HubReached { hub: self.line.hub() });
        }
    }

    /// The connection is gone, or none could be made.
    fn ended<N: Device>(
        &mut self,
        network: &mut Network<N>,
        reason: AwayReason,
        now_ms: u64,
        tell: Tell<'_>,
    ) {
        self.line.close(network);
        self.session.link().disconnected(now_ms);
        // What had arrived whole of a run that was cut off is taken too.
        self.step(now_ms, &mut *tell);
        self.away_since_ms = self.away_since_ms.or(Some(now_ms));
        let at_ms = self.session.link().reconnect_at().unwrap_or(now_ms);
        self.next_attempt_ms = Some(at_ms);
        if self.away != Some(reason) {
            self.away = Some(reason);
            let (hub, next_in_ms) = (self.line.hub(), at_ms.saturating_sub(now_ms));
            tell(Event::HubAway { hub, reason, next_in_ms });
        }
    }
}

fn is_open<D: BlockDevice>(tenant: &Tenant<D>, session: &Session<D>) -> bool {
    let index = tenant.number.and_then(|number| usize::try_from(number).ok());
    let replica = index.and_then(|index| session.replicas().get(index));
    replica.is_some_and(|replica| replica.engine().is_some())
}

/// Opens a namespace; the first time it joins the link, later the link goes on behind it.
fn open<D: BlockDevice>(
    tenant: &mut Tenant<D>,
    session: &mut Session<D>,
    (wall_ms, now_ms): (u64, u64),
    tell: Tell<'_>,
) {
    let followed = tenant.number.zip(tenant.number.and_then(|number| usize::try_from(number).ok()));
    let opened = match followed {
        None => join(tenant, session, wall_ms, tell),
        Some((number, index)) => reopen(session, (number, index), (wall_ms, now_ms), tell),
    };
    match opened {
        Ok(()) => tenant.opened(),
        Err(failure) => tenant.failed(failure, now_ms).into_iter().for_each(tell),
    }
}

fn join<D: BlockDevice>(
    tenant: &mut Tenant<D>,
    session: &mut Session<D>,
    wall_ms: u64,
    tell: Tell<'_>,
) -> Result<(), OpenFailure> {
    let Some(replica) = &mut tenant.replica else { return Ok(()) };
    let opened = replica.open(wall_ms);
    replica.news().into_iter().for_each(tell);
    opened?;
    replica.end().map_err(OpenFailure::Replica)?;
    let Some(replica) = tenant.replica.take() else { return Ok(()) };
    let joined = session.follow(tenant.name.clone(), replica).map_err(OpenFailure::Replica)?;
    tenant.number = Some(joined.map_err(|_| OpenFailure::Link)?);
    Ok(())
}

fn reopen<D: BlockDevice>(
    session: &mut Session<D>,
    (number, index): (u32, usize),
    (wall_ms, now_ms): (u64, u64),
    tell: Tell<'_>,
) -> Result<(), OpenFailure> {
    let Some(replica) = session.replicas_mut().get_mut(index) else { return Ok(()) };
    let opened = replica.open(wall_ms);
    replica.news().into_iter().for_each(tell);
    opened?;
    let end = replica.end().map_err(OpenFailure::Replica)?;
    session.link().restart(number, end, now_ms);
    Ok(())
}

fn engine_options(config: &EdgeConfig) -> EngineOptions {
    EngineOptions {
        memtable_bytes: config.memtable_bytes,
        memtables_max: MEMTABLES_MAX,
        checkpoint_log_bytes: CHECKPOINT_LOG_BYTES,
        // A disk that is not mapped is read for each value that a flush copies, all over the log.
        inline_value_bytes: 0,
        role: LogRole::Follower,
        ..EngineOptions::default()
    }
}

impl<D: BlockDevice> core::fmt::Debug for Follow<D> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Follow").field("tenants", &self.tenants).finish_non_exhaustive()
    }
}
