//! The generic timer of the processor: a clock that only goes up, and an alarm.

use arm_sysregs::el0::accessors::{
    read_cntfrq_el0, read_cntvct_el0, write_cntv_ctl_el0, write_cntv_cval_el0,
};
use arm_sysregs::el0::registers::{CntvCtlEl0, CntvCvalEl0};

/// Milliseconds since the machine was switched on.
pub(crate) fn monotonic_ms() -> u64 {
    let ticks = u128::from(read_cntvct_el0().bits());
    // u64 holds the milliseconds of half a billion years.
    (ticks * 1_000 / ticks_per_second()) as u64
}

/// Asserts the timer's interrupt from the given moment on. A moment in the past asserts it at once.
pub(crate) fn set_alarm(at_ms: u64) {
    let ticks = (u128::from(at_ms) * ticks_per_second()).div_ceil(1_000);
    let ticks = u64::try_from(ticks).unwrap_or(u64::MAX);
    write_cntv_cval_el0(CntvCvalEl0::from_bits_retain(ticks));
    write_cntv_ctl_el0(CntvCtlEl0::ENABLE);
}

/// Takes the alarm back, and its interrupt with it.
pub(crate) fn clear_alarm() {
    write_cntv_ctl_el0(CntvCtlEl0::empty());
}

fn ticks_per_second() -> u128 {
    // A loader that left the register empty must not make us divide by zero.
    u128::from(read_cntfrq_el0().bits().max(1))
}
