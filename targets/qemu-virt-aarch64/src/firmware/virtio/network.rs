//! The network device, as smoltcp sees it.

use super::DeviceError;
use super::packets::{FRAME_BYTES_MAX, Received, Sent};
use super::probe::Device;
use crate::firmware::interrupts::{self, Listener};
use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::time::Instant;
use virtio_drivers::transport::Transport;
use virtio_drivers::transport::mmio::MmioTransport;

const RECEIVE_QUEUE: u16 = 0;
const SEND_QUEUE: u16 = 1;
/// Packets that may wait for us: two full TCP windows of 64 KiB, about.
const RECEIVED_MAX: usize = 64;
/// Packets that may wait for the device.
const SENT_MAX: usize = 32;

bitflags::bitflags! {
    /// What the driver asks of the device: an address, and no offloading at all.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Features: u64 {
        const ADDRESS = 1 << 5;
        const VERSION_1 = 1 << 32;
    }
}

/// A started network device.
pub(crate) struct Network {
    transport: MmioTransport<'static>,
    received: Received<RECEIVED_MAX>,
    sent: Sent<SENT_MAX>,
}

impl Network {
    /// Starts the device; its packets wake the main loop. Returns its hardware address too.
    pub(crate) fn start(device: Device) -> Result<(Self, [u8; 6]), DeviceError> {
        let Device { mut transport, interrupt } = device;
        let features = transport.begin_init(Features::all());
        if !features.contains(Features::ADDRESS) {
            return Err(virtio_drivers::Error::Unsupported.into());
        }
        let address = transport.read_consistent(|| transport.read_config_space::<[u8; 6]>(0))?;
        let received = Received::new(RECEIVE_QUEUE, &mut transport)?;
        let sent = Sent::new(SEND_QUEUE, &mut transport)?;
        transport.finish_init();
        interrupts::listen(interrupt, Listener::MainLoop);
        let mut network = Self { transport, received, sent };
        network.received.offer(&mut network.transport);
        Ok((network, address))
    }

    /// Looks for a packet. When there seems to be none, the interrupt is acknowledged before the
    /// last look, so that a packet after that look interrupts anew.
    fn has_packet(&mut self) -> bool {
        if !self.received.has_packet() {
            self.transport.ack_interrupt();
        }
        self.received.has_packet()
    }
}

impl phy::Device for Network {
    type RxToken<'a> = ReceivedPacket<'a>;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(ReceivedPacket<'_>, Room<'_>)> {
        self.received.offer(&mut self.transport);
        if !self.has_packet() {
            return None;
        }
        if !self.sent.has_room() {
            // Nothing tells when there is room, and the packet's interrupt is not acknowledged.
            interrupts::stay_awake();
            return None;
        }
        let packet = self.received.take()?;
        Some((
            ReceivedPacket(packet),
            Room { sent: &mut self.sent, transport: &mut self.transport },
        ))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Room<'_>> {
        let Self { transport, sent, .. } = self;
        sent.has_room().then_some(Room { sent, transport })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME_BYTES_MAX;
        capabilities
    }
}

/// A packet that came in.
pub(crate) struct ReceivedPacket<'a>(&'a [u8]);

impl phy::RxToken for ReceivedPacket<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.0)
    }
}

/// Room for a packet that goes out.
pub(crate) struct Room<'a> {
    sent: &'a mut Sent<SENT_MAX>,
    transport: &'a mut MmioTransport<'static>,
}

impl phy::TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, bytes: usize, write: F) -> R {
        self.sent.send(bytes, self.transport, write)
    }
}
