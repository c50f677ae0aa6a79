//! Lines for a person and for the script, and the end of the program.

use core::fmt::{self, Write};
use cortex_m_semihosting::{nr, syscall, syscall1};
use heapless::String;

/// Longest line; what is more is cut off.
const LINE_BYTES: usize = 200;
const APPLICATION_EXIT: usize = 0x20026;

/// Writes one line.
macro_rules! say {
    ($($argument:tt)*) => {
        $crate::firmware::console::line(format_args!($($argument)*))
    };
}
pub(crate) use say;

/// Writes one line with one call, so that a cut leaves whole lines.
pub(crate) fn line(arguments: fmt::Arguments<'_>) {
    let mut line: String<LINE_BYTES> = String::new();
    // Too long a line is cut off.
    let _ = line.write_fmt(arguments);
    if line.len() > LINE_BYTES - 2 {
        line.truncate(LINE_BYTES - 2);
    }
    let _ = line.push_str("\n\0");
    // SAFETY: the argument of SYS_WRITE0 is the address of bytes that end with a zero; they live until
    // the call returns and are not changed.
    unsafe { syscall1(nr::WRITE0, line.as_ptr() as usize) };
}

/// Ends the program, and QEMU with this code.
pub(crate) fn exit(code: usize) -> ! {
    let arguments = [APPLICATION_EXIT, code];
    // SAFETY: SYS_EXIT_EXTENDED reads two words at the address it is given.
    unsafe { syscall(0x20, &arguments) };
    loop {
        core::hint::spin_loop();
    }
}

/// Milliseconds since the program started, by the host's clock.
pub(crate) fn uptime_ms() -> u64 {
    // SAFETY: SYS_CLOCK takes no argument.
    let centiseconds = unsafe { syscall1(nr::CLOCK, 0) };
    centiseconds as u64 * 10
}

/// Milliseconds since 1970, by the host's clock.
pub(crate) fn wall_ms() -> u64 {
    // SAFETY: SYS_TIME takes no argument.
    let seconds = unsafe { syscall1(nr::TIME, 0) };
    seconds as u64 * 1000
}
