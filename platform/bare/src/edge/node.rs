//! The node: its parts, and the order in which a poll drives them.

use super::config::EdgeConfig;
use super::disk::{Disk, Tended};
use super::event::{Event, ServerKind};
use super::follow::{Follow, Start};
use super::http::{self, Downloads, HttpServer};
use super::memory::Heap;
use super::namespaces::Namespaces;
use super::resp::{self, RespServer};
use super::status;
use super::view::{Callers, View};
use crate::block::BlockDevice;
use crate::board::{Board, Wake};
use crate::medium::{BlockStore, Medium};
use crate::net::{Address, AddressChange, Network, Server};
use alloc::rc::Rc;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt::Write as _;
use smoltcp::phy::Device;
use unison_link::NodeId;
use unison_resp::cursors::Cursors;
use unison_resp::refusal::too_many_callers;

/// After so many panics in a row, and again after as many more, trees are doubted: redb panics at some
/// damage, and would at every start. They hold nothing that a whole log does not.
const PANICS_TO_DOUBT: u64 = 3;

/// Leaves of a seed what a time in milliseconds has.
const CURSOR_SEED_SHIFT: u32 = 22;

/// An edge-node. See the [module](super).
///
/// ```
/// use smoltcp::phy::{Loopback, Medium};
/// use std::sync::Arc;
/// use unison_bare::board::{Board, HeapFigures, Wake};
/// use unison_bare::edge::{EdgeConfig, EdgeNode, Event};
/// use unison_sim::blocks::CrashBlocks;
///
/// struct Desk;
///
/// impl Board for Desk {
///     fn monotonic_ms(&self) -> u64 {
///         0
///     }
///     fn fill(&self, buffer: &mut [u8]) {
///         buffer.fill(7);
///     }
///     fn heap(&self) -> HeapFigures {
///         HeapFigures { used: 0, peak: 0, budget: 16 << 20 }
///     }
/// }
///
/// let config = EdgeConfig::from_boot_arguments("hub=10.0.2.2:4003 ip=10.0.2.15/24")?;
/// let disk = Arc::new(CrashBlocks::new(16 << 20));
/// let net = Loopback::new(Medium::Ethernet);
/// let mut node = EdgeNode::new(config, Some(disk), net, [2, 0, 0, 0, 0, 1], Desk);
/// let mut events = Vec::new();
/// while node.poll(&mut |event| events.push(event)) == Wake::Now && events.len() < 3 {}
/// assert!(events.contains(&Event::DiskOpened { formatted: true }));
/// # Ok::<(), unison_bare::edge::BootArgumentError>(())
/// ```
pub struct EdgeNode<D: BlockDevice, N, P> {
    held: Held<D>,
    board: Rc<P>,
    heap: Heap,
    network: Network<N>,
    /// Whether the address was looked at, and told about.
    has_looked: bool,
    resp: Option<RespServer>,
    http: Option<HttpServer>,
    cursors: Cursors,
    downloads: Downloads,
    crowded: Crowded,
    seed: u64,
}

/// What callers ask about.
struct Held<D: BlockDevice> {
    config: EdgeConfig,
    node: NodeId,
    disk: Disk<D>,
    namespaces: Namespaces<BlockStore<D>>,
    follow: Option<Follow<D>>,
    started_ms: u64,
}

/// What a moment is made of beside that.
struct Around {
    address: Option<Address>,
    heap: Heap,
    resp: Callers,
    http: Callers,
    now_ms: u64,
}

impl<D: BlockDevice> Held<D> {
    fn view(&self, around: Around) -> View<'_, D> {
        let Around { address, heap, resp, http, now_ms } = around;
        View {
            config: &self.config,
            node: &self.node,
            disk: self.disk.state(),
            follow: self.follow.as_ref(),
            namespaces: &self.namespaces,
            address,
            heap,
            resp,
            http,
            now_ms,
            started_ms: self.started_ms,
        }
    }
}

/// Whether a server has turned callers away, as last told.
#[derive(Clone, Copy, Debug, Default)]
struct Crowded {
    resp: bool,
    http: bool,
}

impl<D: BlockDevice, N: Device, P: Board + 'static> EdgeNode<D, N, P> {
    /// A node that has done nothing yet: the first polls open the disk. Without a disk, or with one
    /// that it must not touch, it says so in `/status` and follows nobody.
    pub fn new(
        config: EdgeConfig,
        disk: Option<Arc<D>>,
        net: N,
        hardware_address: [u8; 6],
        board: P,
    ) -> Self {
        let (seed, now_ms) = (seed(&board), board.monotonic_ms());
        let board = Rc::new(board);
        let heap = Heap::new(Rc::clone(&board) as Rc<dyn Board>);
        let mut network = Network::new(net, hardware_address, config.addressing, seed, now_ms);
        let resp = config.resp.map(|port| {
            let refusal = too_many_callers(RespServer::CALLERS_MAX);
            Server::new(&mut network, port, resp::BUFFERS, refusal)
        });
        let http = config.http.map(|port| {
            let refusal = http::too_many_callers(HttpServer::CALLERS_MAX);
            Server::new(&mut network, port, http::BUFFERS, refusal)
        });
        let node = config.node.clone().unwrap_or_else(|| name_of(hardware_address));
        let namespaces = Namespaces::new(&config.namespaces);
        Self {
            held: Held {
                config,
                node,
                disk: Disk::new(disk),
                namespaces,
                follow: None,
                started_ms: now_ms,
            },
            board,
            heap,
            network,
            has_looked: false,
            resp,
            http,
            // Another start has another seed, as a board without a clock has no other mark of it.
            cursors: Cursors::new(seed >> CURSOR_SEED_SHIFT, resp::CURSORS_MAX),
            downloads: Downloads::default(),
            crowded: Crowded::default(),
            seed,
        }
    }

    /// What `/status` says now, as JSON.
    pub fn status(&self) -> String {
        let now_ms = self.board.monotonic_ms();
        status::json(&self.held.view(self.around(now_ms)))
    }

    fn around(&self, now_ms: u64) -> Around {
        Around {
            address: self.network.address(),
            heap: self.heap.clone(),
            resp: callers(self.resp.as_ref()),
            http: callers(self.http.as_ref()),
            now_ms,
        }
    }

    /// Does what is due, as far as a bounded amount of work goes, and says when to poll again.
    /// `tell` hears what a person would want in the log.
    pub fn poll(&mut self, tell: &mut dyn FnMut(Event)) -> Wake {
        let now_ms = self.board.monotonic_ms();
        let more = self.network.receive(now_ms);
        self.look_at_the_address(&mut *tell);
        let mut wake = if more { Wake::Now } else { Wake::At(u64::MAX) };
        wake = wake.earlier(self.store_and_follow(now_ms, &mut *tell));
        wake = wake.earlier(self.serve(now_ms, tell));
        self.network.send(now_ms);
        let due = self.network.due_ms(now_ms);
        wake.earlier(due.map_or(Wake::At(u64::MAX), Wake::At)).seen_at(now_ms)
    }

    fn look_at_the_address(&mut self, tell: &mut dyn FnMut(Event)) {
        match self.network.address_change() {
            None if !self.has_looked && self.network.address().is_none() => {
                tell(Event::AddressAwaited);
            }
            None => {}
            Some(AddressChange::Acquired(address)) => tell(Event::AddressAcquired { address }),
            Some(AddressChange::Lost) => tell(Event::AddressLost),
        }
        self.has_looked = true;
    }

    fn store_and_follow(&mut self, now_ms: u64, tell: &mut dyn FnMut(Event)) -> Wake {
        let Held { config, disk, follow, .. } = &mut self.held;
        match disk.tend(config, follow.as_mut(), now_ms, &mut *tell) {
            Tended::Unusable(wake) => return wake,
            Tended::Opened(medium) => self.use_disk(&medium, now_ms),
            Tended::Ready => {}
        }
        let Some(follow) = &mut self.held.follow else { return Wake::At(u64::MAX) };
        let opened = follow.open_one(now_ms, &mut *tell);
        let followed = follow.poll(&mut self.network, now_ms, &mut *tell);
        follow.flush(now_ms, tell);
        opened.earlier(followed)
    }

    fn use_disk(&mut self, medium: &Medium<D>, now_ms: u64) {
        let heap = self.heap.clone();
        let doubts_trees = doubts_trees(self.board.panics_in_a_row());
        let Held { config, node, namespaces, follow, .. } = &mut self.held;
        if let Some(follow) = follow {
            return follow.take_volumes(medium);
        }
        let start = Start { node: node.clone(), seed: self.seed, now_ms, heap, doubts_trees };
        *follow = Follow::new(config, medium, namespaces, &mut self.network, start);
    }

    fn serve(&mut self, now_ms: u64, tell: &mut dyn FnMut(Event)) -> Wake {
        let view = self.held.view(self.around(now_ms));
        let mut wake = Wake::At(u64::MAX);
        if let Some(server) = &mut self.resp {
            let mut service = resp::Service { view: &view, cursors: &mut self.cursors };
            wake = server.drive(&mut self.network, now_ms, &mut service);
            let crowd = (view.resp, server.counters().refused);
            note_crowd(&mut self.crowded.resp, ServerKind::Resp, crowd, &mut *tell);
        }
        if let Some(server) = &mut self.http {
            let mut service = http::Service { view: &view, downloads: &self.downloads };
            wake = wake.earlier(server.drive(&mut self.network, now_ms, &mut service));
            let crowd = (view.http, server.counters().refused);
            note_crowd(&mut self.crowded.http, ServerKind::Http, crowd, tell);
        }
        wake
    }
}

const fn doubts_trees(panics: u64) -> bool {
    panics > 0 && panics.is_multiple_of(PANICS_TO_DOUBT)
}

fn callers<C, const PLACES: usize>(server: Option<&Server<C, PLACES>>) -> Callers {
    let Some(server) = server else { return Callers::default() };
    let counters = server.counters();
    Callers {
        present: server.callers(),
        limit: Server::<C, PLACES>::CALLERS_MAX,
        accepted: counters.accepted,
        refused: counters.refused,
    }
}

/// Tells once that callers are turned away, and again after there was a place in between.
fn note_crowd(
    crowded: &mut bool,
    server: ServerKind,
    (before, refused): (Callers, u64),
    tell: &mut dyn FnMut(Event),
) {
    if refused > before.refused && !*crowded {
        *crowded = true;
        tell(Event::CallersRefused { server, limit: before.limit });
    } else if before.present < before.limit {
        *crowded = false;
    }
}

fn seed(board: &impl Board) -> u64 {
    let mut bytes = [0; 8];
    board.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// A name that is another one on every board.
fn name_of([.., a, b, c, d]: [u8; 6]) -> NodeId {
    let mut name = NodeId::new();
    // It is shorter than a node's name may be.
    let _ = write!(name, "edge-{a:02x}{b:02x}{c:02x}{d:02x}");
    name
}

impl<D: BlockDevice, N, P> core::fmt::Debug for EdgeNode<D, N, P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("EdgeNode").field("node", &self.held.node).finish_non_exhaustive()
    }
}
