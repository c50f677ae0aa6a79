//! The network of a node: one Ethernet interface, one IPv4 address, a fixed number of TCP sockets.
//!
//! ```text
//! device <-- frames --> smoltcp interface <-- sockets --> TcpStream (embedded-io) <--> drivers
//! ```
//!
//! Drivers are written against [`Stream`], so that they know neither smoltcp nor a board.

mod address;
mod server;
mod stream;

pub use address::{Address, AddressChange, Addressing};
pub(crate) use server::{Buffers, Conversation, Outcome, Server};
pub use stream::{Stream, StreamError, TcpStream};

use address::Lease;
use alloc::vec;
use alloc::vec::Vec;
use smoltcp::iface::{
    Config, Interface, PollIngressSingleResult, PollResult, SocketHandle, SocketSet,
};
use smoltcp::phy::Device;
use smoltcp::socket::tcp;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpEndpoint, Ipv4Address};

/// Most frames taken from the device at a time, and most that each socket hands to it.
const FRAMES_MAX: usize = 64;
/// A peer that acknowledges nothing for this long is gone.
const PEER_PATIENCE: Duration = Duration::from_secs(30);
/// A quiet peer is asked this often whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The network of one node.
pub struct Network<N> {
    device: N,
    interface: Interface,
    sockets: SocketSet<'static>,
    lease: Lease,
}

impl<N: Device> Network<N> {
    /// A network on `device`; `seed` decides ports and sequence numbers.
    pub fn new(
        mut device: N,
        hardware_address: [u8; 6],
        addressing: Addressing,
        seed: u64,
        now_ms: u64,
    ) -> Self {
        let mut config = Config::new(HardwareAddress::Ethernet(unicast(hardware_address)));
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut device, instant(now_ms));
        let mut sockets = SocketSet::new(Vec::new());
        let lease = Lease::begin(addressing, &mut interface, &mut sockets);
        Self { device, interface, sockets, lease }
    }

    /// A socket with buffers of these sizes.
    pub(crate) fn socket(&mut self, receive_bytes: usize, send_bytes: usize) -> SocketHandle {
        let buffer = |bytes| tcp::SocketBuffer::new(vec![0; bytes]);
        let mut socket = tcp::Socket::new(buffer(receive_bytes), buffer(send_bytes));
        socket.set_timeout(Some(PEER_PATIENCE));
        socket.set_keep_alive(Some(KEEP_ALIVE));
        socket.set_nagle_enabled(false);
        self.sockets.add(socket)
    }

    /// Takes frames from the device; true when there may be more.
    pub(crate) fn receive(&mut self, now_ms: u64) -> bool {
        let Self { device, interface, sockets, .. } = self;
        interface.poll_maintenance(instant(now_ms));
        (0..FRAMES_MAX).all(|_| {
            let result = interface.poll_ingress_single(instant(now_ms), device, sockets);
            result != PollIngressSingleResult::None
        })
    }

    /// Hands the device what the sockets have to say: a frame of each socket in turn.
    pub(crate) fn send(&mut self, now_ms: u64) {
        let Self { device, interface, sockets, .. } = self;
        for _ in 0..FRAMES_MAX {
            if interface.poll_egress(instant(now_ms), device, sockets) == PollResult::None {
                return;
            }
        }
    }

    /// When [`receive`](Self::receive) and [`send`](Self::send) are due without news from the
    /// device.
    pub(crate) fn due_ms(&mut self, now_ms: u64) -> Option<u64> {
        let due = self.interface.poll_at(instant(now_ms), &self.sockets)?;
        Some(u64::try_from(due.total_millis()).unwrap_or(0))
    }

    /// This node's address.
    #[must_use]
    pub fn address(&self) -> Option<Address> {
        self.lease.address()
    }

    /// What became of the address since this was last asked.
    pub(crate) fn address_change(&mut self) -> Option<AddressChange> {
        self.lease.look(&mut self.interface, &mut self.sockets)
    }

    pub(crate) fn tcp(&mut self, socket: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut::<tcp::Socket<'_>>(socket)
    }

    /// The connection of a socket as bytes.
    pub(crate) fn stream(&mut self, socket: SocketHandle) -> TcpStream<'_> {
        TcpStream::new(self.tcp(socket))
    }

    /// Begins to connect; false when that cannot be done now.
    pub(crate) fn connect(
        &mut self,
        socket: SocketHandle,
        (address, port): (Ipv4Address, u16),
        local_port: u16,
    ) -> bool {
        let Self { interface, sockets, .. } = self;
        let socket = sockets.get_mut::<tcp::Socket<'_>>(socket);
        socket.abort();
        let peer = IpEndpoint::new(address.into(), port);
        socket.connect(interface.context(), peer, local_port).is_ok()
    }
}

/// smoltcp does not take a group's address for a device's.
fn unicast(mut address: [u8; 6]) -> EthernetAddress {
    if !EthernetAddress(address).is_unicast() {
        let [first, ..] = &mut address;
        *first = (*first & !1) | 2;
    }
    EthernetAddress(address)
}

pub(crate) fn instant(ms: u64) -> Instant {
    Instant::from_millis(i64::try_from(ms).unwrap_or(i64::MAX))
}

impl<N> core::fmt::Debug for Network<N> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Network").field("address", &self.lease.address()).finish_non_exhaustive()
    }
}
