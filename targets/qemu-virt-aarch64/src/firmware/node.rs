//! The node on this machine's devices, and the loop that drives it.

use crate::firmware::arguments::{self, Arguments};
use crate::firmware::board::QemuVirt;
use crate::firmware::machine::Machine;
use crate::firmware::panic::STEADY_MS;
use crate::firmware::start::refuse;
use crate::firmware::virtio::{self, Device, DeviceError, Devices, Disk, Entropy, Network};
use crate::firmware::{clock, heap, interrupts, log, retained};
use alloc::sync::Arc;
use unison_bare::block::{BlockDevice, SECTOR_BYTES};
use unison_bare::board::Wake;
use unison_bare::edge::{EdgeConfig, EdgeNode};
use unison_bare::read_ahead::ReadAhead;

type Node = EdgeNode<ReadAhead<Disk>, Network, QemuVirt>;

/// Runs the node for as long as the machine does.
pub(crate) fn run(machine: &Machine) -> ! {
    let arguments = arguments::parse(&machine.arguments).unwrap_or_else(|error| refuse(&error));
    let config =
        EdgeConfig::from_boot_arguments(&arguments.node).unwrap_or_else(|error| refuse(&error));
    // SAFETY: first and only call; the page table maps all slots as device memory.
    let Devices { disk, network, entropy } = unsafe { virtio::probe(machine) };
    let board = start(entropy, "randomness (QEMU: -device virtio-rng-device)", |device| {
        QemuVirt::new(&mut Entropy::start(device)?)
    });
    let (network, address) =
        start(network, "network (QEMU: -device virtio-net-device)", Network::start);
    let node = Node::new(config, start_disk(disk), network, address, board);
    let heap = heap::figures();
    defmt::info!("heap: {=usize} of {=usize} bytes used", heap.used, heap.budget);
    drive(node, &arguments)
}

/// A device that the node cannot be without.
fn start<T>(
    device: Option<Device>,
    name: &str,
    start: impl FnOnce(Device) -> Result<T, DeviceError>,
) -> T {
    let device = device.unwrap_or_else(|| refuse(&format_args!("the machine has no {name}")));
    start(device).unwrap_or_else(|error| refuse(&format_args!("{name}: {error}")))
}

/// Without a disk the node runs and says so: a person can still ask it for its status.
fn start_disk(device: Option<Device>) -> Option<Arc<ReadAhead<Disk>>> {
    match Disk::start(device?) {
        Ok(disk) => {
            let bytes = disk.sectors().saturating_mul(SECTOR_BYTES as u64);
            defmt::info!("disk: {=u64} bytes, cached: {=bool}", bytes, disk.is_cached());
            Some(Arc::new(ReadAhead::new(disk)))
        }
        Err(error) => {
            defmt::error!("disk: {}", defmt::Display2Format(&error));
            None
        }
    }
}

fn drive(mut node: Node, arguments: &Arguments) -> ! {
    let started_ms = clock::monotonic_ms();
    let steady_ms = started_ms.saturating_add(STEADY_MS);
    let mut is_steady = false;
    loop {
        let provoked_ms = provoke(arguments, started_ms);
        if let Wake::At(at_ms) = node.poll(&mut |event| log::tell(&event)) {
            interrupts::sleep(at_ms.min(provoked_ms));
        }
        if !is_steady && clock::monotonic_ms() >= steady_ms {
            is_steady = true;
            retained::clear();
        }
    }
}

/// Panics when a test has asked for it and its moment is there; else tells the moment.
#[cfg(feature = "provoke-panic")]
fn provoke(arguments: &Arguments, started_ms: u64) -> u64 {
    let at_ms = arguments.panic_after_ms.map(|after_ms| started_ms.saturating_add(after_ms));
    if at_ms.is_some_and(|at_ms| clock::monotonic_ms() >= at_ms) {
        panic!("asked for by board.panic-after");
    }
    at_ms.unwrap_or(u64::MAX)
}

#[cfg(not(feature = "provoke-panic"))]
const fn provoke(_arguments: &Arguments, _started_ms: u64) -> u64 {
    u64::MAX
}
