//! The other end of the wire: a network stack for the hub and for callers.

use crate::wire::{End, Wire};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::socket::udp;
use smoltcp::time::Instant;
use smoltcp::wire::{
    DHCP_CLIENT_PORT, DHCP_SERVER_PORT, DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress,
    HardwareAddress, IpCidr, IpEndpoint, Ipv4Address,
};

pub(crate) const PEER: Ipv4Address = Ipv4Address::new(10, 0, 0, 1);
pub(crate) const NODE: Ipv4Address = Ipv4Address::new(10, 0, 0, 2);
const LEASE_SECONDS: u32 = 120;
const BUFFER_BYTES: usize = 256 << 10;

pub(crate) struct Peer {
    device: End,
    interface: Interface,
    sockets: SocketSet<'static>,
    port: u16,
    dhcp: Option<SocketHandle>,
    /// What new sockets can receive before it is read.
    pub(crate) receive_bytes: usize,
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
        let sockets = SocketSet::new(Vec::new());
        Self { device, interface, sockets, port: 50_000, dhcp: None, receive_bytes: BUFFER_BYTES }
    }

    pub(crate) fn poll(&mut self, now_ms: u64) {
        self.interface.poll(instant(now_ms), &mut self.device, &mut self.sockets);
        if let Some(socket) = self.dhcp {
            lease(self.sockets.get_mut(socket));
            self.interface.poll(instant(now_ms), &mut self.device, &mut self.sockets);
        }
    }

    /// Leases the node's address to whoever asks, or no longer.
    pub(crate) fn set_dhcp(&mut self, serves: bool) {
        if let Some(socket) = self.dhcp.take() {
            self.sockets.remove(socket);
        }
        if serves {
            let buffer =
                || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 8], vec![0; 8_192]);
            let mut socket = udp::Socket::new(buffer(), buffer());
            socket.bind(DHCP_SERVER_PORT).unwrap();
            self.dhcp = Some(self.sockets.add(socket));
        }
    }

    pub(crate) fn next_ms(&mut self, now_ms: u64) -> Option<u64> {
        let at = self.interface.poll_at(instant(now_ms), &self.sockets)?;
        Some(at.total_millis() as u64)
    }

    pub(crate) fn socket(&mut self) -> SocketHandle {
        let buffer = |bytes| SocketBuffer::new(vec![0; bytes]);
        let mut socket = Socket::new(buffer(self.receive_bytes), buffer(BUFFER_BYTES));
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

/// Answers what DHCP clients have asked.
fn lease(socket: &mut udp::Socket<'static>) {
    while let Ok((bytes, _)) = socket.recv() {
        let asked = bytes.to_vec();
        let packet = DhcpPacket::new_checked(&asked[..]).unwrap();
        let asked = DhcpRepr::parse(&packet).unwrap();
        let message_type = match asked.message_type {
            DhcpMessageType::Discover => DhcpMessageType::Offer,
            DhcpMessageType::Request => DhcpMessageType::Ack,
            _ => continue,
        };
        let answer = DhcpRepr {
            message_type,
            your_ip: NODE,
            server_ip: PEER,
            server_identifier: Some(PEER),
            router: Some(PEER),
            subnet_mask: Some(Ipv4Address::new(255, 255, 255, 0)),
            lease_duration: Some(LEASE_SECONDS),
            requested_ip: None,
            client_identifier: None,
            parameter_request_list: None,
            max_size: None,
            broadcast: true,
            ..asked
        };
        let mut bytes = vec![0; answer.buffer_len()];
        answer.emit(&mut DhcpPacket::new_unchecked(&mut bytes[..])).unwrap();
        let everybody = IpEndpoint::new(Ipv4Address::BROADCAST.into(), DHCP_CLIENT_PORT);
        socket.send_slice(&bytes, everybody).unwrap();
    }
}
