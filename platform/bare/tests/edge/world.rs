//! Node, wire, hub and callers, and the time that all of them share.

use crate::hub::{self, Hub};
use crate::peer::{NODE, PEER, Peer};
use crate::reply::Reply;
use crate::wire::{End, Wire};
use smoltcp::iface::SocketHandle;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use unison_bare::board::{Board, HeapFigures, Wake};
use unison_bare::edge::{EdgeConfig, EdgeNode, Event};
use unison_base::prng::Prng;
use unison_sim::blocks::CrashBlocks;
use unison_sim::disk::Cut;

pub(crate) const RESP: u16 = 6379;
pub(crate) const HTTP: u16 = 80;
pub(crate) const DISK_BYTES: u64 = 16 << 20;
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// A poll of the node answers Wake::Now at most this often before time goes on.
const SPINS_MAX: u32 = 10_000;

/// The board: its clock is the simulation's.
#[derive(Clone)]
pub(crate) struct TestBoard {
    now_ms: Rc<Cell<u64>>,
    seed: Rc<RefCell<Prng>>,
    pub(crate) heap: Rc<Cell<HeapFigures>>,
    pub(crate) panics: Rc<Cell<u64>>,
}

impl Board for TestBoard {
    fn monotonic_ms(&self) -> u64 {
        self.now_ms.get()
    }

    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill_with(|| self.seed.borrow_mut().next_u64() as u8);
    }

    fn heap(&self) -> HeapFigures {
        self.heap.get()
    }

    fn panics_in_a_row(&self) -> u64 {
        self.panics.get()
    }
}

pub(crate) type Node = EdgeNode<CrashBlocks, End, TestBoard>;

pub(crate) struct World {
    pub(crate) board: TestBoard,
    pub(crate) wire: Wire,
    pub(crate) peer: Peer,
    pub(crate) hub: Option<Hub>,
    pub(crate) disk: Option<Arc<CrashBlocks>>,
    pub(crate) node: Option<Node>,
    pub(crate) events: Vec<Event>,
    pub(crate) polls: u64,
    /// Most flushes that one poll made, when they are to be counted.
    pub(crate) flushes_of_a_poll: Option<u64>,
    boot_line: String,
}

/// A node with a fixed address.
pub(crate) fn boot_line() -> String {
    format!("hub={PEER}:{} ip={NODE}/24 memtable=64KiB node=gw-7", hub::PORT)
}

impl World {
    /// A node with this disk, and a hub with an empty log.
    pub(crate) fn with_disk(disk: Option<CrashBlocks>, boot_line: &str) -> Self {
        let wire = Wire::new(7);
        let mut peer = Peer::new(&wire, 0);
        let hub = Some(Hub::new(1, &mut peer));
        let heap = HeapFigures { used: 1 << 20, peak: 2 << 20, budget: 64 << 20 };
        let board = TestBoard {
            now_ms: Rc::new(Cell::new(0)),
            seed: Rc::new(RefCell::new(Prng::new(3))),
            heap: Rc::new(Cell::new(heap)),
            panics: Rc::default(),
        };
        let mut world = Self {
            board,
            wire,
            peer,
            hub,
            disk: disk.map(Arc::new),
            node: None,
            events: Vec::new(),
            polls: 0,
            flushes_of_a_poll: None,
            boot_line: boot_line.to_owned(),
        };
        world.boot();
        world
    }

    pub(crate) fn new() -> Self {
        Self::with_disk(Some(CrashBlocks::new(DISK_BYTES)), &boot_line())
    }

    /// With a hub whose segments have room for a value of some megabytes.
    pub(crate) fn with_large_values() -> Self {
        let mut world = Self::new();
        let small = world.hub.take().unwrap();
        small.die(&mut world.peer);
        world.hub = Some(Hub::with_segments(4 << 20, 2, &mut world.peer));
        world
    }

    pub(crate) fn boot(&mut self) {
        let config = EdgeConfig::from_boot_arguments(&self.boot_line).unwrap();
        let end = self.wire.end(0);
        self.node = Some(EdgeNode::new(config, self.disk.clone(), end, MAC, self.board.clone()));
    }

    /// Cuts the power of the node and boots it again.
    pub(crate) fn power_cut(&mut self, cut: Cut, seed: u64) {
        self.node = None;
        let disk = self.disk.take().unwrap().crash(cut, &mut Prng::new(seed));
        self.disk = Some(Arc::new(disk));
        self.boot();
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.board.now_ms.get()
    }

    pub(crate) fn hub(&mut self) -> &mut Hub {
        self.hub.as_mut().unwrap()
    }

    /// Hub and callers do what is due now, and the node does not.
    pub(crate) fn step_without_node(&mut self) {
        let now_ms = self.now_ms();
        if let Some(hub) = &mut self.hub {
            hub.poll(&mut self.peer, now_ms);
        }
        self.peer.poll(now_ms);
    }

    /// Everybody does what is due now. Returns when somebody wants to go on.
    fn step(&mut self) -> u64 {
        let now_ms = self.now_ms();
        let mut next = self.poll_node();
        self.peer.poll(now_ms);
        if let Some(hub) = &mut self.hub {
            hub.poll(&mut self.peer, now_ms);
            next = next.min(hub.next_ms().unwrap_or(u64::MAX));
            self.peer.poll(now_ms);
        }
        next = next.min(self.wire.next_ms().unwrap_or(u64::MAX));
        next.min(self.peer.next_ms(now_ms).unwrap_or(u64::MAX))
    }

    fn poll_node(&mut self) -> u64 {
        let events = &mut self.events;
        let Some(node) = &mut self.node else { return u64::MAX };
        for _ in 0..SPINS_MAX {
            self.polls += 1;
            let before = self.flushes_of_a_poll.map(|_| flushes(node));
            let wake = node.poll(&mut |event| events.push(event));
            if let Some((most, before)) = self.flushes_of_a_poll.as_mut().zip(before) {
                *most = (*most).max(flushes(node).saturating_sub(before));
            }
            match wake {
                Wake::Now => {}
                Wake::At(at_ms) => return at_ms,
            }
        }
        panic!("the node never rests");
    }

    /// Lets time pass until `done`, or for `for_ms`; whether it was done.
    pub(crate) fn until(&mut self, for_ms: u64, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end_ms = self.now_ms() + for_ms;
        loop {
            let next = self.step();
            if done(self) {
                return true;
            }
            let now_ms = self.now_ms();
            if now_ms >= end_ms {
                return false;
            }
            self.board.now_ms.set(next.clamp(now_ms + 1, end_ms));
        }
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        self.until(ms, |_| false);
    }

    pub(crate) fn has_told(&self, wanted: impl Fn(&Event) -> bool) -> bool {
        self.events.iter().any(wanted)
    }

    /// Lets time pass until the node has told of something it had not told of before.
    pub(crate) fn wait_for(&mut self, wanted: impl Fn(&Event) -> bool) {
        self.events.clear();
        let told = self.until(120_000, |world| world.has_told(&wanted));
        assert!(told, "told only: {:#?}", self.events);
    }

    /// Lets time pass until the node has everything that the hub has.
    pub(crate) fn catch_up(&mut self) {
        let durable = self.hub().log.engine.durable().0;
        let done = self.until(120_000, |world| {
            let status = world.status();
            status["namespaces"][0]["durable"].as_u64() == Some(durable)
        });
        assert!(done, "{:#} {:#?}", self.status(), self.events);
    }

    /// The newest record that the node says is on its disk, asked past the wire; `None` while its
    /// namespace is not open.
    pub(crate) fn durable(&mut self) -> Option<u64> {
        let status = self.node.as_ref()?.status();
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        let namespace = &status["namespaces"][0];
        namespace["closed"].is_null().then(|| namespace["durable"].as_u64()).flatten()
    }

    pub(crate) fn call(&mut self, port: u16) -> Caller {
        Caller { socket: self.peer.connect(port), received: Vec::new() }
    }

    /// One request on a connection of its own.
    pub(crate) fn ask(&mut self, request: &str) -> Reply {
        let mut caller = self.call(RESP);
        let reply = caller.ask(self, request);
        caller.leave(self);
        reply
    }

    /// Head and body of the answer to a request.
    pub(crate) fn fetch(&mut self, request: &str) -> (String, Vec<u8>) {
        let mut caller = self.call(HTTP);
        caller.say(self, format!("{request} HTTP/1.1\r\nhost: node\r\n\r\n").as_bytes());
        let mut head = caller.rest(self, 30_000);
        caller.leave(self);
        let end = head.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no head: {:?}", String::from_utf8_lossy(&head)));
        let body = head.split_off(end + 4);
        (String::from_utf8(head).unwrap(), body)
    }

    /// Status line and body of a request.
    pub(crate) fn http(&mut self, request: &str) -> (String, String) {
        let (head, body) = self.fetch(request);
        (head.lines().next().unwrap().to_owned(), String::from_utf8(body).unwrap())
    }

    pub(crate) fn status(&mut self) -> serde_json::Value {
        let (line, body) = self.http("GET /status");
        assert_eq!(line, "HTTP/1.1 200 OK");
        serde_json::from_str(&body).unwrap()
    }
}

/// Flushes of the first namespace since it was opened.
fn flushes(node: &Node) -> u64 {
    let status: serde_json::Value = serde_json::from_str(&node.status()).unwrap();
    status["namespaces"][0]["flushes"].as_u64().unwrap_or(0)
}

/// A caller of the node.
pub(crate) struct Caller {
    pub(crate) socket: SocketHandle,
    received: Vec<u8>,
}

impl Caller {
    pub(crate) fn say(&mut self, world: &mut World, bytes: &[u8]) {
        let (mut unsent, socket) = (bytes.to_vec(), self.socket);
        world.until(30_000, |world| {
            world.peer.send(socket, &mut unsent);
            unsent.is_empty() || world.peer.is_over(socket)
        });
    }

    /// The next reply; `None` when the connection ended or nothing came for a minute.
    pub(crate) fn hear(&mut self, world: &mut World) -> Option<Reply> {
        let socket = self.socket;
        world.until(60_000, |world| {
            self.received.extend(world.peer.receive(socket));
            Reply::parse(&self.received).is_some() || world.peer.is_over(socket)
        });
        let (reply, length) = Reply::parse(&self.received)?;
        self.received.drain(..length);
        Some(reply)
    }

    pub(crate) fn ask(&mut self, world: &mut World, request: &str) -> Reply {
        self.say(world, format!("{request}\r\n").as_bytes());
        self.hear(world).unwrap_or_else(|| panic!("no reply to {request}"))
    }

    /// Everything that comes until the node closes the connection.
    pub(crate) fn rest(&mut self, world: &mut World, for_ms: u64) -> Vec<u8> {
        let socket = self.socket;
        let over = world.until(for_ms, |world| {
            self.received.extend(world.peer.receive(socket));
            world.peer.is_over(socket)
        });
        assert!(over, "the connection stays open: {:?}", String::from_utf8_lossy(&self.received));
        std::mem::take(&mut self.received)
    }

    /// Whether the node has closed the connection.
    pub(crate) fn is_over(&mut self, world: &mut World) -> bool {
        self.received.extend(world.peer.receive(self.socket));
        world.peer.is_over(self.socket)
    }

    pub(crate) fn leave(self, world: &mut World) {
        world.peer.tcp(self.socket).close();
        world.until(1_000, |world| !world.peer.tcp(self.socket).is_active());
        world.peer.forget(self.socket);
    }
}
