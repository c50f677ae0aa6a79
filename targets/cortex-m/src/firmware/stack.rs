//! How deep the stack ever was. The start-up code has painted it.

/// What the start-up code of cortex-m-rt fills the stack with.
const PAINT: u32 = 0xCCCC_CCCC;

unsafe extern "C" {
    /// Highest address, and lowest, that the stack may have; set by the linker.
    static _stack_start: u32;
    static _stack_end: u32;
}

fn ends() -> (usize, usize) {
    (&raw const _stack_end as usize, &raw const _stack_start as usize)
}

/// Bytes that the stack may take.
pub(crate) fn bytes() -> usize {
    let (lowest, highest) = ends();
    highest - lowest
}

/// Bytes that it has taken at most.
pub(crate) fn used_bytes() -> usize {
    let (mut at, highest) = ends();
    // SAFETY: between the two ends lies memory of this program, in whole words; it is only read, and
    // volatile since the stack in use is part of it.
    while at < highest && unsafe { (at as *const u32).read_volatile() } == PAINT {
        at += size_of::<u32>();
    }
    highest - at
}
