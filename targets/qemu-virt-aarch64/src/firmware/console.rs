//! The UART, and the log on it: defmt frames, rzCOBS on the line.

use crate::firmware::machine::{UART_ADDRESS, UART_BAUD, UART_CLOCK_HZ};
use arm_pl011_uart::{DataBits, LineConfig, PL011Registers, Parity, StopBits, Uart};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};
use embedded_io::Write;
use safe_mmio::UniqueMmioPointer;
use spin::Mutex;

const LINE: LineConfig =
    LineConfig { data_bits: DataBits::Bits8, parity: Parity::None, stop_bits: StopBits::One };

static CONSOLE: Mutex<Console> = Mutex::new(Console { uart: None, encoder: defmt::Encoder::new() });

/// A frame is being written. Set again while it is set only by a panic inside a log call.
static IN_FRAME: AtomicBool = AtomicBool::new(false);

struct Console {
    uart: Option<Uart<'static>>,
    encoder: defmt::Encoder,
}

/// Opens the UART. What was logged before is lost.
///
/// # Safety
/// Only once, and nothing else may use the UART's registers.
pub(crate) unsafe fn open() {
    let Some(registers) = NonNull::new(UART_ADDRESS as *mut PL011Registers) else { return };
    // SAFETY: the page table maps the registers as device memory; the caller promises the rest.
    let mut uart = Uart::new(unsafe { UniqueMmioPointer::new(registers) });
    // A refused speed leaves the line as the loader set it, which is the best that can be had.
    let _ = uart.enable(LINE, UART_BAUD, UART_CLOCK_HZ);
    CONSOLE.lock().uart = Some(uart);
}

/// Takes the console from whoever was writing: a fault may have come in the middle of it.
///
/// # Safety
/// Only when the run ends: who held the console must not go on.
pub(crate) unsafe fn take_over() {
    // SAFETY: one core, and the caller promises that the holder, if there is one, is gone.
    unsafe { CONSOLE.force_unlock() };
}

impl Console {
    fn encode(&mut self, step: impl FnOnce(&mut defmt::Encoder, &mut dyn FnMut(&[u8]))) {
        let Self { uart, encoder } = self;
        step(encoder, &mut |bytes| {
            if let Some(uart) = uart {
                // The UART takes every byte, sooner or later.
                let _ = uart.write_all(bytes);
            }
        });
    }
}

#[defmt::global_logger]
struct Logger;

// SAFETY: one core, and interrupts are masked: no other context can log between `acquire` and
// `release`. A panic in between ends the torn frame and begins its own.
unsafe impl defmt::Logger for Logger {
    fn acquire() {
        if IN_FRAME.swap(true, Ordering::Relaxed) {
            CONSOLE.lock().encode(|encoder, write| encoder.end_frame(write));
        }
        CONSOLE.lock().encode(|encoder, write| encoder.start_frame(write));
    }

    unsafe fn flush() {
        if let Some(uart) = &mut CONSOLE.lock().uart {
            let _ = uart.flush();
        }
    }

    unsafe fn release() {
        CONSOLE.lock().encode(|encoder, write| encoder.end_frame(write));
        IN_FRAME.store(false, Ordering::Relaxed);
    }

    unsafe fn write(bytes: &[u8]) {
        CONSOLE.lock().encode(|encoder, write| encoder.write(bytes, write));
    }
}

defmt::timestamp!("{=u64:ms}", crate::firmware::clock::monotonic_ms());
