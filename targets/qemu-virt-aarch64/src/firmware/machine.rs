//! QEMU's `virt` machine: where things are, and what its device tree says about this one.

use dtoolkit::fdt::Fdt;
use dtoolkit::standard::NodeStandard;
use dtoolkit::{Node, Property};
use heapless::{String, Vec};

/// The first PL011, and how it is driven on the line.
pub(crate) const UART_ADDRESS: usize = 0x0900_0000;
pub(crate) const UART_BAUD: u32 = 115_200;
pub(crate) const UART_CLOCK_HZ: u32 = 24_000_000;

/// The interrupt controller, a GICv2 (checked by [`describe`]): distributor and processor interface.
pub(crate) const GIC_DISTRIBUTOR_ADDRESS: usize = 0x0800_0000;
pub(crate) const GIC_PROCESSOR_ADDRESS: usize = 0x0801_0000;

/// Where memory begins, and where QEMU puts the device tree for an ELF image.
pub(crate) const MEMORY_ADDRESS: usize = 0x4000_0000;
/// Most bytes of a device tree: what the memory layout leaves for it.
pub(crate) const TREE_BYTES_MAX: usize = RETAINED_ADDRESS - MEMORY_ADDRESS;
/// A page that no loader writes, see `retained`.
pub(crate) const RETAINED_ADDRESS: usize = 0x401f_f000;

/// Longest boot arguments, bytes.
pub(crate) const ARGUMENTS_MAX: usize = 1_024;
/// Most virtio slots: what the machine has.
pub(crate) const SLOTS_MAX: usize = 32;

/// What the tree calls that controller.
const GIC_NAME: &str = "arm,cortex-a15-gic";
const TREE_MAGIC: u32 = 0xd00d_feed;
/// First word of an `interrupts` property: a shared peripheral interrupt.
const SHARED_INTERRUPT: u32 = 0;

/// What the device tree says.
pub(crate) struct Machine {
    /// First address behind the memory that begins at [`MEMORY_ADDRESS`].
    pub(crate) memory_end: usize,
    pub(crate) arguments: String<ARGUMENTS_MAX>,
    pub(crate) slots: Vec<Slot, SLOTS_MAX>,
}

/// A place where a virtio device may be.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) address: usize,
    pub(crate) bytes: usize,
    /// Number among the shared peripheral interrupts.
    pub(crate) interrupt: u32,
}

/// Why the machine cannot be described.
#[derive(Clone, Copy, Debug, thiserror::Error, defmt::Format)]
pub(crate) enum MachineError {
    #[error("no device tree at the start of memory: was the image linked or loaded elsewhere?")]
    NoTree,
    #[error("the device tree is damaged or larger than its place")]
    DamagedTree,
    #[error("the device tree describes no memory at 0x40000000")]
    NoMemory,
    #[error("the machine has no GICv2 (QEMU: -M virt,gic-version=2)")]
    NoInterruptController,
    #[error("the boot arguments are no text or longer than 1024 bytes")]
    Arguments,
}

/// Reads the tree at the start of memory.
///
/// # Safety
/// [`TREE_BYTES_MAX`] bytes from [`MEMORY_ADDRESS`] on must be mapped memory that nothing writes.
pub(crate) unsafe fn describe() -> Result<Machine, MachineError> {
    let start = MEMORY_ADDRESS as *const u8;
    // SAFETY: the caller promises the bytes; the header is 8 bytes here.
    let header = unsafe { core::slice::from_raw_parts(start, 8) };
    let [magic, bytes] = [0, 4].map(|at| word(header, at).unwrap_or(0));
    if magic != TREE_MAGIC {
        return Err(MachineError::NoTree);
    }
    let bytes = usize::try_from(bytes).ok().filter(|bytes| *bytes <= TREE_BYTES_MAX);
    let bytes = bytes.ok_or(MachineError::DamagedTree)?;
    // SAFETY: inside the range that the caller promises.
    let tree = unsafe { core::slice::from_raw_parts(start, bytes) };
    read(Fdt::new(tree).map_err(|_| MachineError::DamagedTree)?)
}

fn read(tree: Fdt<'_>) -> Result<Machine, MachineError> {
    if !tree.root().children().any(|node| node.is_compatible(GIC_NAME)) {
        return Err(MachineError::NoInterruptController);
    }
    Ok(Machine {
        memory_end: memory_end(tree).ok_or(MachineError::NoMemory)?,
        arguments: arguments(tree)?,
        slots: slots(tree),
    })
}

fn memory_end(tree: Fdt<'_>) -> Option<usize> {
    let memory = tree.memory().ok()?;
    let mut ranges = memory.reg().ok()??;
    ranges.find_map(|range| {
        let begin = usize::try_from(range.address::<u64>().ok()?).ok()?;
        let bytes = usize::try_from(range.size::<u64>().ok()?).ok()?;
        (begin == MEMORY_ADDRESS).then(|| begin.checked_add(bytes))?
    })
}

/// Nothing given is an empty text.
fn arguments(tree: Fdt<'_>) -> Result<String<ARGUMENTS_MAX>, MachineError> {
    let chosen = tree.chosen();
    let given = chosen.as_ref().map(|chosen| chosen.bootargs()).transpose();
    let given = given.map_err(|_| MachineError::Arguments)?.flatten().unwrap_or_default();
    String::try_from(given).map_err(|_| MachineError::Arguments)
}

fn slots(tree: Fdt<'_>) -> Vec<Slot, SLOTS_MAX> {
    let root = tree.root();
    let nodes = root.children().filter(|node| node.is_compatible("virtio,mmio"));
    nodes.filter_map(slot).take(SLOTS_MAX).collect()
}

fn slot(node: dtoolkit::fdt::FdtNode<'_>) -> Option<Slot> {
    let range = node.reg().ok()??.next()?;
    let interrupts = node.property("interrupts")?;
    let (kind, interrupt) = (word(interrupts.value(), 0)?, word(interrupts.value(), 4)?);
    (kind == SHARED_INTERRUPT).then_some(Slot {
        address: usize::try_from(range.address::<u64>().ok()?).ok()?,
        bytes: usize::try_from(range.size::<u64>().ok()?).ok()?,
        interrupt,
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*word))
}
