//! The medium: the suite that every implementation of the port has to pass, and power cuts at every
//! write.

mod cuts;
mod device;

use device::Memory;
use unison_base::SegmentId;
use unison_conformance::Medium as Suite;
use unison_cortex_m::medium::{Medium, Store};
use unison_ports::SegmentStore;

const SLOTS: usize = 34;
/// The largest segment of the suite.
const SLOT_BYTES: u64 = 16 * ((64 << 10) + 512);

struct Mounted {
    device: Memory,
    medium: &'static Medium<Memory, SLOTS>,
}

impl Mounted {
    fn on(device: Memory, slot_bytes: u64) -> Self {
        let medium = Medium::mount(device.clone(), slot_bytes).expect("a mount");
        Self { device, medium: Box::leak(Box::new(medium)) }
    }
}

impl Suite for Mounted {
    type Store = Store<Memory, SLOTS>;

    fn fresh() -> Self {
        Self::on(Memory::new(SLOT_BYTES * 34 + (64 << 10)), SLOT_BYTES)
    }

    fn store(&self) -> Self::Store {
        self.medium.volume(0).expect("a volume")
    }

    fn after_power_cut(self) -> Option<Self> {
        Some(Self::on(self.device.after_a_cut(&mut || 0), SLOT_BYTES))
    }

    fn with_room(bytes: u64) -> Option<Self> {
        let slot_bytes = (64 << 10) + 512;
        Some(Self::on(Memory::new(37 * 1024 + bytes), slot_bytes))
    }

    fn leave_empty_segment(&self, id: SegmentId) {
        self.store().create(id, 0).expect("an empty segment");
    }
}

unison_conformance::conformance!(Mounted);
