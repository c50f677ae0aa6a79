//! A queue on which one request at a time is put and waited for.

use super::DeviceError;
use super::memory::{self, Identity};
use super::probe::Device;
use crate::firmware::clock;
use crate::firmware::interrupts::{self, Listener};
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::mmio::MmioTransport;
use virtio_drivers::transport::{DeviceStatus, Transport};

/// Parts of a request are few: header, data, status.
const PARTS_MAX: usize = 4;
/// The only queue of such a device.
const QUEUE: u16 = 0;
/// How long a device may take for an answer before it counts as broken.
const ANSWER_MS_MAX: u64 = 30_000;
/// How long it may take for a reset.
const RESET_MS_MAX: u64 = 1_000;

/// A started device and its queue.
pub(super) struct Requests {
    transport: MmioTransport<'static>,
    queue: VirtQueue<Identity, PARTS_MAX>,
    silent: bool,
}

// SAFETY: the pointers in it are to memory of its own, and to registers that only it uses.
unsafe impl Send for Requests {}

impl Requests {
    /// The queue of a device whose features are settled; takes the device into service.
    pub(super) fn start(device: Device) -> Result<Self, DeviceError> {
        let Device { mut transport, interrupt } = device;
        let queue = VirtQueue::new(&mut transport, QUEUE, false, false)?;
        transport.finish_init();
        interrupts::listen(interrupt, Listener::Waiter);
        Ok(Self { transport, queue, silent: false })
    }

    /// Puts a request on the queue and sleeps until it is answered. Returns how many bytes of
    /// `outputs` the device says it wrote; no part may be empty.
    pub(super) fn exchange<'a>(
        &mut self,
        inputs: &'a [&'a [u8]],
        outputs: &'a mut [&'a mut [u8]],
    ) -> Result<usize, DeviceError> {
        if self.silent {
            return Err(DeviceError::Silent);
        }
        // SAFETY: the parts are borrowed for the whole call, which ends when the device has handed
        // them back or was switched off.
        let token = unsafe { self.queue.add(inputs, outputs) }?;
        memory::notify(&self.queue, QUEUE, &mut self.transport);
        self.wait()?;
        // SAFETY: the same parts as above.
        let written = unsafe { self.queue.pop_used(token, inputs, outputs) };
        written.map(|bytes| bytes as usize).map_err(|_| self.switch_off())
    }

    fn wait(&mut self) -> Result<(), DeviceError> {
        let latest_ms = clock::monotonic_ms().saturating_add(ANSWER_MS_MAX);
        loop {
            // First the acknowledgement, then the look: what comes after it interrupts anew.
            self.transport.ack_interrupt();
            if self.queue.can_pop() {
                return Ok(());
            }
            if clock::monotonic_ms() >= latest_ms {
                return Err(self.switch_off());
            }
            interrupts::wait(latest_ms);
        }
    }

    /// Once the device says that it is reset it uses none of our memory any more. It is not tried
    /// again: nothing is known about the requests it had. One that does not even reset may still write
    /// into the buffers of whoever waits: only a restart of the machine ends that.
    fn switch_off(&mut self) -> DeviceError {
        self.silent = true;
        self.transport.set_status(DeviceStatus::empty());
        let latest_ms = clock::monotonic_ms().saturating_add(RESET_MS_MAX);
        while self.transport.get_status() != DeviceStatus::empty() {
            assert!(clock::monotonic_ms() < latest_ms, "a device is silent and does not reset");
        }
        DeviceError::Silent
    }
}
