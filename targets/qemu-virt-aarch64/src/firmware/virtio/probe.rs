//! Which devices the machine has.

use crate::firmware::machine::{Machine, Slot};
use core::ptr::NonNull;
use virtio_drivers::transport::mmio::{MmioTransport, MmioVersion, VirtIOHeader};
use virtio_drivers::transport::{DeviceType, Transport};

/// A device that was found, not started yet.
pub(crate) struct Device {
    pub(super) transport: MmioTransport<'static>,
    /// Number among the shared interrupts.
    pub(super) interrupt: u32,
}

/// The first device of each kind.
#[derive(Default)]
pub(crate) struct Devices {
    pub(crate) disk: Option<Device>,
    pub(crate) network: Option<Device>,
    pub(crate) entropy: Option<Device>,
}

/// Looks into every slot.
///
/// # Safety
/// Only once for a machine; the slots must be mapped as device memory that nothing else uses.
pub(crate) unsafe fn probe(machine: &Machine) -> Devices {
    let mut devices = Devices::default();
    for slot in &machine.slots {
        // SAFETY: the caller promises it for every slot, and each is looked at once.
        if let Some(device) = unsafe { open(*slot) } {
            devices.keep(device);
        }
    }
    devices
}

/// # Safety
/// As for [`probe`], of one slot.
unsafe fn open(slot: Slot) -> Option<Device> {
    let registers = NonNull::new(slot.address as *mut VirtIOHeader)?;
    // SAFETY: the caller promises the registers. An error means an empty slot.
    let transport = unsafe { MmioTransport::new(registers, slot.bytes) }.ok()?;
    if transport.version() == MmioVersion::Legacy {
        defmt::warn!(
            "a virtio device at {=usize:#x} has the interface before version 1.0 and is left out \
             (QEMU: -global virtio-mmio.force-legacy=false)",
            slot.address
        );
        return None;
    }
    Some(Device { transport, interrupt: slot.interrupt })
}

impl Devices {
    fn keep(&mut self, device: Device) {
        let place = match device.transport.device_type() {
            DeviceType::Block => &mut self.disk,
            DeviceType::Network => &mut self.network,
            DeviceType::EntropySource => &mut self.entropy,
            _ => return,
        };
        place.get_or_insert(device);
    }
}
