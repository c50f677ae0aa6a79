//! The page table the firmware runs with: code can be executed and not written, nothing else can be
//! executed, and the page below the stack is not there.

use crate::firmware::machine::{MEMORY_ADDRESS, Machine};
use aarch64_paging::descriptor::El1Attributes;
use aarch64_paging::idmap::IdMap;
use aarch64_paging::paging::{El1And0, MemoryRegion, PAGE_SIZE};
use core::mem::ManuallyDrop;

/// Apart from the table that the start uses, whose entries may still be cached.
const ADDRESS_SPACE: usize = 1;
const ROOT_LEVEL: usize = 1;

/// Attribute 0 is device memory and 1 is cached memory, as `aarch64_rt` sets them up.
const PRESENT: El1Attributes =
    El1Attributes::VALID.union(El1Attributes::ACCESSED).union(El1Attributes::NON_GLOBAL);
const DEVICE: El1Attributes = PRESENT.union(El1Attributes::ATTRIBUTE_INDEX_0).union(NOT_EXECUTABLE);
const CODE: El1Attributes = PRESENT
    .union(El1Attributes::ATTRIBUTE_INDEX_1)
    .union(El1Attributes::INNER_SHAREABLE)
    .union(El1Attributes::READ_ONLY);
const CONSTANTS: El1Attributes = CODE.union(NOT_EXECUTABLE);
const DATA: El1Attributes = CONSTANTS.difference(El1Attributes::READ_ONLY);
const NOT_EXECUTABLE: El1Attributes = El1Attributes::PXN.union(El1Attributes::UXN);

/// Where the parts of the image begin and end, see `image.ld` of `aarch64_rt`.
mod symbols {
    unsafe extern "C" {
        pub(super) static text_begin: u8;
        pub(super) static text_end: u8;
        pub(super) static rodata_begin: u8;
        pub(super) static rodata_end: u8;
        pub(super) static data_begin: u8;
        pub(super) static boot_stack_begin: u8;
    }
}

/// Switches to the final table. Needs the heap.
///
/// # Safety
/// Only once, before anything uses memory behind `machine.memory_end` or an address of its own
/// making.
pub(crate) unsafe fn open(machine: &Machine) {
    // Never given back: it is in use until the machine stops.
    let mut table = ManuallyDrop::new(IdMap::with_asid(ADDRESS_SPACE, ROOT_LEVEL, El1And0));
    for (begin, end, attributes) in parts(machine.memory_end) {
        let region = MemoryRegion::new(begin, end.next_multiple_of(PAGE_SIZE));
        if let Err(error) = table.map_range(&region, attributes) {
            panic!("the page table has no place for {region}: {error}");
        }
    }
    // SAFETY: the table maps the image, the heap and the devices where they are now.
    unsafe { table.activate() };
}

fn parts(memory_end: usize) -> [(usize, usize, El1Attributes); 6] {
    let (text, text_end) =
        (address(&raw const symbols::text_begin), address(&raw const symbols::text_end));
    let rodata = address(&raw const symbols::rodata_begin);
    let rodata_end = address(&raw const symbols::rodata_end);
    let data = address(&raw const symbols::data_begin);
    let stack = address(&raw const symbols::boot_stack_begin);
    [
        (0, MEMORY_ADDRESS, DEVICE),
        (MEMORY_ADDRESS, text, DATA),
        (text, text_end, CODE),
        (rodata, rodata_end, CONSTANTS),
        (data, stack, DATA),
        (stack + PAGE_SIZE, memory_end, DATA),
    ]
}

fn address(symbol: *const u8) -> usize {
    symbol.addr()
}
