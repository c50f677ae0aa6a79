//! The suite on the disk in memory, with views and without.

use unison_base::SegmentId;
use unison_base::prng::Prng;
use unison_conformance::Medium;
use unison_ports::SegmentStore;
use unison_sim::disk::{CrashDisk, Cut, DiskOptions, SimStore};

struct Memory<const MAPPED: bool>(CrashDisk);

impl<const MAPPED: bool> Medium for Memory<MAPPED> {
    type Store = SimStore;

    fn fresh() -> Self {
        Self(CrashDisk::with(DiskOptions { mapped: MAPPED, seed: 0 }))
    }

    fn store(&self) -> SimStore {
        self.0.store("default")
    }

    fn after_power_cut(self) -> Option<Self> {
        Some(Self(self.0.crash(Cut::LOST, &mut Prng::new(1))))
    }

    fn with_room(bytes: u64) -> Option<Self> {
        let medium = Self::fresh();
        medium.0.set_free_bytes(Some(bytes));
        Some(medium)
    }

    fn leave_empty_segment(&self, id: SegmentId) {
        self.store().create(id, 0).unwrap();
    }
}

mod mapped {
    unison_conformance::conformance!(super::Memory<true>);
}

mod unmapped {
    unison_conformance::conformance!(super::Memory<false>);
}
