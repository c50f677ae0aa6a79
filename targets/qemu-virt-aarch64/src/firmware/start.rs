//! From the first instruction to the loop.

use crate::firmware::machine::{self, Machine};
use crate::firmware::{console, fault, heap, interrupts, node, paging, power, retained};
use aarch64_rt::{InitialPagetable, entry, initial_pagetable};
use core::fmt::Display;
use core::ptr::NonNull;

/// Pages of the stack, the lowest of which `paging` takes away, to see when the stack is full.
const STACK_PAGES: usize = 1 + 64;

/// A block of 1 GiB: valid, accessed, for this address space only, nothing for a lower level to run.
const BLOCK: usize = 1 << 0 | 1 << 10 | 1 << 11 | 1 << 54;
/// Of devices: nothing for us to run either.
const DEVICES: usize = BLOCK | 1 << 53;
/// Of memory: cached, inner shareable.
const MEMORY: usize = BLOCK | 1 << 2 | 3 << 8;

// For the start, before any Rust code runs: devices in the first GiB, memory in the second.
initial_pagetable!({
    let mut blocks = [0; 512];
    blocks[0] = DEVICES;
    blocks[1] = MEMORY | machine::MEMORY_ADDRESS;
    InitialPagetable(blocks)
});

unsafe extern "C" {
    /// Where the image ends, see `memory.ld`.
    static image_end: u8;
}

entry!(main, STACK_PAGES);
fn main(_: u64, _: u64, _: u64, _: u64) -> ! {
    // SAFETY: first and only call; nothing else uses the UART.
    unsafe { console::open() };
    fault::open();
    defmt::info!("edge-node {=str} on qemu-virt-aarch64", env!("CARGO_PKG_VERSION"));
    // SAFETY: memory is mapped from its start on, and below the image only `retained` writes, above
    // the tree.
    let machine = unsafe { machine::describe() }.unwrap_or_else(|error| refuse(&error));
    open_heap(&machine);
    // SAFETY: first and only call; nothing else uses the interrupt controller.
    unsafe { interrupts::open() };
    report_panics();
    node::run(&machine)
}

fn open_heap(machine: &Machine) {
    let begin = NonNull::new((&raw const image_end).cast_mut());
    let begin = begin.unwrap_or_else(|| refuse(&"the image has no end"));
    let end = begin.addr().get() + heap::HEAP_BYTES;
    if end > machine.memory_end {
        refuse(&format_args!(
            "memory ends at {:#x}, before the heap at {end:#x}",
            machine.memory_end
        ));
    }
    // SAFETY: inside the memory of the machine, behind the image, given away once.
    unsafe { heap::open(begin) };
    // SAFETY: first and only call; memory is used up to the end of the heap.
    unsafe { paging::open(machine) };
}

/// Says why the run before this one ended, when it was by a panic.
fn report_panics() {
    if let Some(account) = retained::read() {
        let report = account.report.as_str();
        defmt::error!("started again after panic {=u64} in a row: {=str}", account.panics, report);
    }
}

/// Says why the node cannot run and switches the machine off: only a person can change the reason.
pub(crate) fn refuse(reason: &dyn Display) -> ! {
    defmt::error!("not started: {}", defmt::Display2Format(&reason));
    defmt::flush();
    power::off()
}
