//! Processor exceptions. All of them are the end of the run: interrupts are masked, and nothing
//! here faults on purpose. The report runs on a stack of its own, because a full stack is the
//! likeliest fault.

use core::arch::{asm, global_asm};

const STACK_BYTES: usize = 16 << 10;

#[repr(C, align(16))]
struct Stack([u8; STACK_BYTES]);

static mut FAULT_STACK: Stack = Stack([0; STACK_BYTES]);

// Sixteen entries of 0x80 bytes. Registers are lost: nothing returns.
global_asm!(
    ".section .text.fault_vectors, \"ax\"",
    ".balign 0x800",
    "fault_vectors:",
    ".set entry, 0",
    ".rept 16",
    ".balign 0x80",
    "mov x0, #entry",
    "mov x1, sp",
    "b fault_entry",
    ".set entry, entry + 1",
    ".endr",
    "fault_entry:",
    "adrp x5, {stack}",
    "add x5, x5, :lo12:{stack}",
    "mov x6, #{stack_bytes}",
    "add sp, x5, x6",
    "mrs x2, esr_el1",
    "mrs x3, elr_el1",
    "mrs x4, far_el1",
    "b {report}",
    stack = sym FAULT_STACK,
    stack_bytes = const STACK_BYTES,
    report = sym report,
);

/// From now on exceptions are reported.
pub(crate) fn open() {
    // SAFETY: the table is complete, aligned, and never goes away.
    unsafe {
        asm!(
            "adrp {table}, fault_vectors",
            "add {table}, {table}, :lo12:fault_vectors",
            "msr vbar_el1, {table}",
            "isb",
            table = out(reg) _,
            options(nostack),
        );
    }
}

/// Entries 0 to 3 are without a stack of its own, 4 to 7 are ours, the rest come from below.
extern "C" fn report(entry: u64, stack: u64, syndrome: u64, at: u64, address: u64) -> ! {
    let kind = match entry % 4 {
        0 => "fault",
        1 => "interrupt that should be masked",
        2 => "fast interrupt that should be masked",
        _ => "error of the memory system",
    };
    panic!(
        "{kind} at {at:#x}: syndrome {syndrome:#x}, address {address:#x}, stack {stack:#x}, entry {entry}"
    );
}
