//! Interrupts as the end of a wait. They stay masked in the processor: a pending one ends `wfi`,
//! and is taken from the controller then, in the one line of execution there is. No handler runs,
//! so nothing can be lost between a look at a queue and the sleep: what comes in between is pending.

use crate::firmware::clock;
use crate::firmware::machine::{GIC_DISTRIBUTOR_ADDRESS, GIC_PROCESSOR_ADDRESS};
use arm_gic::gicv2::GicV2;
use arm_gic::{IntId, InterruptGroup, Trigger};
use spin::Mutex;

/// The virtual timer's private interrupt, the same on every ARM server and virtual machine.
const TIMER: IntId = IntId::ppi(11);

static CONTROLLER: Mutex<Option<Controller>> = Mutex::new(None);

struct Controller {
    gic: GicV2<'static>,
    /// Which interrupts are for the main loop, by their number among the shared ones.
    wakes: heapless::Vec<IntId, 4>,
    woken: bool,
}

/// Whom an interrupt is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listener {
    /// It ends the main loop's sleep.
    MainLoop,
    /// It only ends the wait that is under way.
    Waiter,
}

/// Sets the controller up with the timer as its only source.
///
/// # Safety
/// Only once, and nothing else may use the controller's registers.
pub(crate) unsafe fn open() {
    let distributor = GIC_DISTRIBUTOR_ADDRESS as *mut _;
    let processor = GIC_PROCESSOR_ADDRESS as *mut _;
    // SAFETY: both are mapped as device memory; the caller promises that nobody else uses them.
    let mut gic = unsafe { GicV2::new(distributor, processor) };
    gic.setup();
    enable(&mut gic, TIMER, Trigger::Level);
    *CONTROLLER.lock() = Some(Controller { gic, wakes: heapless::Vec::new(), woken: false });
}

/// Lets a device interrupt. Devices of this machine signal edges.
pub(crate) fn listen(shared: u32, listener: Listener) {
    let interrupt = IntId::spi(shared);
    if let Some(controller) = &mut *CONTROLLER.lock() {
        enable(&mut controller.gic, interrupt, Trigger::Edge);
        if listener == Listener::MainLoop {
            // Full only if the machine had more devices that wake than this firmware drives.
            let _ = controller.wakes.push(interrupt);
        }
    }
}

fn enable(gic: &mut GicV2<'static>, interrupt: IntId, trigger: Trigger) {
    gic.set_trigger(interrupt, trigger);
    if gic.enable_interrupt(interrupt, true).is_err() {
        defmt::error!("interrupt {=u32} cannot be enabled", interrupt.raw_value());
    }
}

/// Sleeps until an interrupt comes or the moment is there. Returns at once if one is pending.
pub(crate) fn wait(until_ms: u64) {
    clock::set_alarm(until_ms);
    arm_gic::wfi();
    clock::clear_alarm();
    // Locked already only when a panic came in the middle of it; then nothing else matters.
    if let Some(mut controller) = CONTROLLER.try_lock()
        && let Some(controller) = &mut *controller
    {
        controller.drain();
    }
}

/// Sleeps until the moment, or until a device of the main loop has something.
pub(crate) fn sleep(until_ms: u64) {
    while !take_woken() && clock::monotonic_ms() < until_ms {
        wait(until_ms);
    }
}

/// Sleeps until the moment, whatever the devices say.
pub(crate) fn pause(until_ms: u64) {
    while clock::monotonic_ms() < until_ms {
        wait(until_ms);
    }
}

/// Lets the main loop's next sleep end at once.
pub(crate) fn stay_awake() {
    if let Some(controller) = &mut *CONTROLLER.lock() {
        controller.woken = true;
    }
}

fn take_woken() -> bool {
    let mut controller = CONTROLLER.lock();
    controller.as_mut().is_some_and(|controller| core::mem::take(&mut controller.woken))
}

impl Controller {
    /// Takes everything that is pending. An edge is gone with that; a device says itself, in its
    /// queue, what it had.
    fn drain(&mut self) {
        let group = InterruptGroup::Group0;
        while let Some(interrupt) = self.gic.get_and_acknowledge_interrupt(group) {
            self.woken |= self.wakes.contains(&interrupt);
            self.gic.end_interrupt(interrupt, group);
        }
    }
}
