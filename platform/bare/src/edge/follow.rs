//! Following the hub: namespaces are opened, records are taken, and it never gives up.
//!
//! | module | what |
//! |---|---|
//! | `volumes` | namespaces are opened, flushed, and let go when their disk failed |
//! | `connection` | one connection after the other, and the bytes on it |
//! | `steps` | what received bytes make of the namespaces |

mod connection;
mod steps;
mod volumes;

use super::config::EdgeConfig;
use super::event::{AwayReason, Event};
use super::line::{Line, Phase};
use super::memory::Heap;
use super::namespaces::Namespaces;
use super::replica::VolumeReplica;
use super::tenant::Tenant;
use super::wall::WallClock;
use crate::block::BlockDevice;
use crate::medium::{BlockStore, Medium};
use crate::net::Network;
use alloc::vec::Vec;
use smoltcp::phy::Device;
use unison_base::limits::{
    BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, ENTRY_OVERHEAD_MAX, RECORD_OVERHEAD_MAX,
};
use unison_link::{FollowerConfig, Lag, NodeId, Role, Timing, Token};
use unison_node::FollowerSession;

/// Bytes of frames per namespace that may be on their way.
const WINDOW_BYTES: u32 = 1 << 20;
/// Most bytes of frames in one run: the largest record there can be.
const RUN_BYTES_MAX: u32 = 6 << 20;
/// The same where memory is scarce: at most this part of it, and at least so many. A record that is
/// larger is waited for, and its size told.
const RUN_HEAP_PART: usize = 8;
const RUN_BYTES_MIN: u32 = 256 << 10;

const _: () = assert!(
    RUN_BYTES_MAX as usize
        >= BATCH_BYTES_MAX + BATCH_OPERATIONS_MAX * ENTRY_OVERHEAD_MAX + RECORD_OVERHEAD_MAX
);

type Session<D> = FollowerSession<VolumeReplica<D>>;

/// What happened while a step ran, for whoever tells.
type Tell<'t> = &'t mut dyn FnMut(Event);

/// What following begins with.
pub(crate) struct Start {
    pub(crate) node: NodeId,
    pub(crate) seed: u64,
    pub(crate) now_ms: u64,
    pub(crate) heap: Heap,
    /// Whether trees may be what made the runs before this one end.
    pub(crate) doubts_trees: bool,
}

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
        medium: &Medium<D>,
        namespaces: &Namespaces<BlockStore<D>>,
        network: &mut Network<N>,
        start: Start,
    ) -> Option<Self> {
        let Start { node, seed, now_ms, heap, doubts_trees } = start;
        let run_bytes_max = run_bytes_max(heap.figures().budget);
        let link = FollowerConfig {
            node,
            token: Token::default(),
            role: Role::Replica,
            window_bytes: WINDOW_BYTES.min(run_bytes_max),
            run_bytes_max,
            timing: Timing::default(),
        };
        let tenant = |name| {
            let (namespace, volume) = (namespaces.get(name)?, medium.volume(name)?);
            let options = volumes::engine_options(config, &heap);
            let replica = VolumeReplica::new(namespace, volume, options, doubts_trees, &heap);
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
}

fn run_bytes_max(heap_bytes: usize) -> u32 {
    let part = u32::try_from(heap_bytes / RUN_HEAP_PART).unwrap_or(u32::MAX);
    part.clamp(RUN_BYTES_MIN, RUN_BYTES_MAX)
}

impl<D: BlockDevice> core::fmt::Debug for Follow<D> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Follow").field("tenants", &self.tenants).finish_non_exhaustive()
    }
}
