//! The ends that nobody wants: they are reported, and their exit codes differ.

use super::console::{exit, say};
use core::panic::PanicInfo;
use cortex_m_rt::{ExceptionFrame, exception};

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    say!("panic: {info}");
    exit(101)
}

// SAFETY: the handler uses the console only, and does not return.
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    say!("hard fault at {:#010x}", frame.pc());
    exit(102)
}

// SAFETY: as above.
#[exception]
unsafe fn DefaultHandler(number: i16) -> ! {
    say!("interrupt {number}, which nobody asked for");
    exit(103)
}
