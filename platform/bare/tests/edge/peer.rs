//! The other end of the wire: a network stack for the hub and for callers.

use crate::wire::{End, Wire};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr, IpEndpoint, Ipv4Address};

pub(crate) const PEER: Ipv4Address = Ipv4Address::new(10, 0, 0, 1);
pub(crate) const NODE: Ipv4Address = Ipv4Address::new(10, 0, 0, 2);
const BUFFER_BYTES: usize = 256 << 10;

pub(crate) struct Peer {
    device: End,
    interface: Interface,
    sockets: SocketSet<'static>,
    port: u16,
}

fn instant(ms: u64) -> Instant {
    Instant::from_millis(ms as i64)
}

impl Peer {
    pub(crate) fn new(wire: &Wire, now_ms: u64) -> Self {
        let mut device = wire.end(1);
        let address = HardwareAddress::Ethernet(EthernetAddress([2, 0, 0, 0, 0, 1]));
        let mut interface = Interface::new(Config::new(address), &mut device, instant(now_ms));
        interface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(PEER.into(), 24)).unwrap();
        });
        Self { device, interface, sockets: SocketSet::new(Vec::new()), port: 50_000 }
    }

    pub(crate) fn poll(&mut self, now_ms: u64) {
        self.interface.poll(instant(now_ms), &mut self.device, &mut self.sockets);
    }

    pub(crate) fn next_ms(&mut self, now_ms: u64) -> Option<u64> {
        let at = self.interface.poll_at(instant(now_ms), &self.sockets)?;
        Some(at.total_millis() as u64)
    }

    pub(crate) fn socket(&mut self) -> SocketHandle {
        let buffer = || SocketBuffer::new(vec![0; BUFFER_BYTES]);
        let mut socket = Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        self.sockets.add(socket)
    }

    pub(crate) fn tcp(&mut self, socket: SocketHandle) -> &mut Socket<'static> {
        self.sockets.get_mut(socket)
    }

    /// Connects a new socket to a port of the node.
    pub(crate) fn connect(&mut self, port: u16) -> SocketHandle {
        let handle = self.socket();
        self.port += 1;
        let socket = self.sockets.get_mut::<Socket<'_>>(handle);
        let node = IpEndpoint::new(NODE.into(), port);
        socket.connect(self.interface.context(), node, self.port).unwrap();
        handle
    }

    pub(crate) fn forget(&mut self, socket: SocketHandle) {
        self.sockets.remove(socket);
    }

    /// Whatever can be sent of `bytes` now; the rest stays in it.
    pub(crate) fn send(&mut self, socket: SocketHandle, bytes: &mut Vec<u8>) {
        let socket = self.tcp(socket);
        if socket.can_send() {
            let sent = socket.send_slice(bytes).unwrap();
            bytes.drain(..sent);
        }
    }

    /// Whatever has come.
    pub(crate) fn receive(&mut self, socket: SocketHandle) -> Vec<u8> {
        let socket = self.tcp(socket);
        let mut received = vec![0; socket.recv_queue()];
        let bytes = socket.recv_slice(&mut received).unwrap_or(0);
        received.truncate(bytes);
        received
    }

    /// Whether nothing more will come.
    pub(crate) fn is_over(&mut self, socket: SocketHandle) -> bool {
        let socket = self.tcp(socket);
        let waits = matches!(socket.state(), State::SynSent | State::SynReceived | State::Listen);
        !waits && !socket.may_recv()
    }
}
