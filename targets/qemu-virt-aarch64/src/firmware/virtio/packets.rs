//! Queues that own their packet buffers: what a device may still read or write is out of everyone
//! else's reach, and no packet allocates.

use super::DeviceError;
use super::memory::{self, Identity};
use alloc::boxed::Box;
use alloc::vec;
use heapless::Vec;
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::mmio::MmioTransport;

/// In front of every packet, in both directions; all zeros when nothing is offloaded.
pub(super) const HEADER_BYTES: usize = 12;
/// Bytes of an Ethernet frame without its checksum.
pub(super) const FRAME_BYTES_MAX: usize = 1_514;

const BUFFER_BYTES: usize = 1_536;
const _: () = assert!(HEADER_BYTES + FRAME_BYTES_MAX <= BUFFER_BYTES);

/// Packets that come in.
pub(super) struct Received<const SIZE: usize>(Buffers<SIZE>);

/// Packets that go out.
pub(super) struct Sent<const SIZE: usize>(Buffers<SIZE>);

/// `SIZE` buffers and as many descriptors, one for each.
struct Buffers<const SIZE: usize> {
    queue: VirtQueue<Identity, SIZE>,
    number: u16,
    memory: Box<[[u8; BUFFER_BYTES]]>,
    /// By descriptor: which buffer the device holds, and how much of it.
    held: [Option<Held>; SIZE],
    free: Vec<usize, SIZE>,
}

#[derive(Clone, Copy)]
struct Held {
    index: usize,
    bytes: usize,
}

/// A free buffer, and the queue it may be put on.
struct Picked<'a, const SIZE: usize> {
    index: usize,
    buffer: &'a mut [u8],
    queue: &'a mut VirtQueue<Identity, SIZE>,
}

// SAFETY: the pointers in it are to memory of its own.
unsafe impl<const SIZE: usize> Send for Buffers<SIZE> {}

impl<const SIZE: usize> Received<SIZE> {
    pub(super) fn new(
        number: u16,
        transport: &mut MmioTransport<'static>,
    ) -> Result<Self, DeviceError> {
        Buffers::new(number, transport).map(Self)
    }

    /// Gives the device every free buffer to write a packet into.
    pub(super) fn offer(&mut self, transport: &mut MmioTransport<'static>) {
        let mut offered = false;
        while let Some(Picked { index, buffer, queue }) = self.0.pick() {
            // SAFETY: the buffer lives as long as the queue, and as it is held from now on, nobody
            // touches it until `take` has got its descriptor back.
            let Ok(token) = (unsafe { queue.add(&[], &mut [buffer]) }) else { break };
            self.0.hold(token, Held { index, bytes: BUFFER_BYTES });
            offered = true;
        }
        self.0.notify(offered, transport);
    }

    /// The next packet, without its header. Its buffer is free again, and not offered before the
    /// packet is let go.
    pub(super) fn take(&mut self) -> Option<&[u8]> {
        let (token, held) = self.0.handed_back()?;
        let buffer = self.0.memory.get_mut(held.index)?;
        // SAFETY: the buffer that `offer` put under this descriptor.
        let written = unsafe { self.0.queue.pop_used(token, &[], &mut [buffer]) }.ok()?;
        self.0.release(token, held.index);
        let written = usize::try_from(written).ok()?.min(BUFFER_BYTES);
        // Shorter than its header is a packet of nothing; those behind it come next.
        Some(self.0.memory.get(held.index)?.get(HEADER_BYTES..written).unwrap_or_default())
    }

    /// Whether a packet is there.
    pub(super) fn has_packet(&self) -> bool {
        self.0.queue.can_pop()
    }
}

impl<const SIZE: usize> Sent<SIZE> {
    /// The device does not tell when it is done: it is looked up when room is needed.
    pub(super) fn new(
        number: u16,
        transport: &mut MmioTransport<'static>,
    ) -> Result<Self, DeviceError> {
        let mut buffers = Buffers::new(number, transport)?;
        buffers.queue.set_dev_notify(false);
        Ok(Self(buffers))
    }

    /// Whether there is a buffer for one more packet.
    pub(super) fn has_room(&mut self) -> bool {
        while let Some((token, held)) = self.0.handed_back() {
            let Some(packet) = self.0.memory.get(held.index).and_then(|all| all.get(..held.bytes))
            else {
                break;
            };
            // SAFETY: the packet that `send` put under this descriptor.
            if unsafe { self.0.queue.pop_used(token, &[packet], &mut []) }.is_err() {
                break;
            }
            self.0.release(token, held.index);
        }
        !self.0.free.is_empty()
    }

    /// Lets a frame of `bytes` be written, and gives it to the device. Where there is no room, or
    /// the frame is longer than one may be, it goes nowhere, as on any network.
    pub(super) fn send<R>(
        &mut self,
        bytes: usize,
        transport: &mut MmioTransport<'static>,
        write: impl FnOnce(&mut [u8]) -> R,
    ) -> R {
        let held_bytes = HEADER_BYTES + bytes;
        let picked = if bytes <= FRAME_BYTES_MAX { self.0.pick() } else { None };
        let Some(Picked { index, buffer, queue }) = picked else {
            return write(&mut vec![0; bytes]);
        };
        let packet = &mut buffer[..held_bytes];
        packet[..HEADER_BYTES].fill(0);
        let result = write(&mut packet[HEADER_BYTES..]);
        // SAFETY: the buffer lives as long as the queue, and as it is held from now on, nobody
        // touches it until `has_room` has got its descriptor back.
        if let Ok(token) = unsafe { queue.add(&[packet], &mut []) } {
            self.0.hold(token, Held { index, bytes: held_bytes });
            self.0.notify(true, transport);
        }
        result
    }
}

impl<const SIZE: usize> Buffers<SIZE> {
    fn new(number: u16, transport: &mut MmioTransport<'static>) -> Result<Self, DeviceError> {
        let queue = VirtQueue::new(transport, number, false, false)?;
        let memory = vec![[0; BUFFER_BYTES]; SIZE].into_boxed_slice();
        Ok(Self { queue, number, memory, held: [None; SIZE], free: (0..SIZE).collect() })
    }

    /// A free buffer. It stays free until it is held.
    fn pick(&mut self) -> Option<Picked<'_, SIZE>> {
        let index = *self.free.last()?;
        let buffer = self.memory.get_mut(index)?;
        Some(Picked { index, buffer, queue: &mut self.queue })
    }

    /// The device holds what was picked last.
    fn hold(&mut self, token: u16, held: Held) {
        self.free.pop();
        if let Some(place) = self.held.get_mut(usize::from(token)) {
            *place = Some(held);
        }
    }

    /// The next descriptor that the device is done with. A descriptor that it never had is none.
    fn handed_back(&self) -> Option<(u16, Held)> {
        let token = self.queue.peek_used()?;
        let held = self.held.get(usize::from(token)).copied().flatten()?;
        Some((token, held))
    }

    fn release(&mut self, token: u16, index: usize) {
        if let Some(place) = self.held.get_mut(usize::from(token)) {
            *place = None;
        }
        // There are as many places as buffers.
        let _ = self.free.push(index);
    }

    fn notify(&self, anything: bool, transport: &mut MmioTransport<'static>) {
        if anything {
            memory::notify(&self.queue, self.number, transport);
        }
    }
}
