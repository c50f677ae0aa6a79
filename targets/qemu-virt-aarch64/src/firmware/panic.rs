//! The end of a run that went wrong: a report, a pause that grows with every panic in a row, and a
//! restart. What was acknowledged is in the log on the disk.

use crate::firmware::{clock, console, interrupts, power, retained};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

/// Pause after the first panic, doubled by each further one in a row.
const PAUSE_MS: u64 = 1_000;
/// Longest pause.
const PAUSE_MS_MAX: u64 = 60_000;
/// A run this long forgets the panics before it.
pub(crate) const STEADY_MS: u64 = 300_000;

static PANICKED: AtomicBool = AtomicBool::new(false);

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    if PANICKED.swap(true, Ordering::Relaxed) {
        // The report itself went wrong.
        power::reset();
    }
    // Counted before anything can go wrong with the report.
    let panics = retained::add_panic(info);
    // SAFETY: the run ends here, and with it whatever the console's owner was about to do.
    unsafe { console::take_over() };
    defmt::error!("{}", defmt::Display2Format(info));
    let pause_ms = pause_ms(panics);
    defmt::error!("panic {=u64} in a row: restart in {=u64} ms", panics, pause_ms);
    interrupts::pause(clock::monotonic_ms().saturating_add(pause_ms));
    power::reset()
}

fn pause_ms(panics: u64) -> u64 {
    let doublings = u32::try_from(panics.saturating_sub(1)).unwrap_or(u32::MAX);
    PAUSE_MS.checked_shl(doublings.min(16)).unwrap_or(PAUSE_MS_MAX).min(PAUSE_MS_MAX)
}
