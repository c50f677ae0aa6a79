//! Ends of a run, asked of the machine's firmware (PSCI, by a hypervisor call).

use smccc::{Hvc, psci};

/// Starts the machine again.
pub(crate) fn reset() -> ! {
    let _ = psci::system_reset::<Hvc>();
    stop()
}

/// Switches the machine off.
pub(crate) fn off() -> ! {
    let _ = psci::system_off::<Hvc>();
    stop()
}

/// Where the machine does neither, a person has to.
fn stop() -> ! {
    loop {
        arm_gic::wfi();
    }
}
