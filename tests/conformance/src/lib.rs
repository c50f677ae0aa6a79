//! One suite per port, run against every implementation alike.
//!
//! An implementation says how to get a fresh medium ([`Medium`]) and gets one test per check:
//!
//! ```text
//! unison_conformance::conformance!(MyMedium);
//! unison_conformance::tree_conformance!(MyTreeMedium);
//! ```
//!
//! Each check names the assumption of `unison_ports` (A1 to A6) that it tests. Checks panic when
//! the implementation breaks its contract.

#![forbid(unsafe_code)]

pub mod segments;
pub mod tree;

use unison_base::SegmentId;
use unison_ports::SegmentStore;

/// A medium under test.
pub trait Medium: Sized {
    /// What it implements.
    type Store: SegmentStore;

    /// An empty medium with room for at least 16 MiB.
    fn fresh() -> Self;

    /// The store as a process that starts now opens it.
    fn store(&self) -> Self::Store;

    /// The medium after a power cut that lost whatever was not synced; `None` where a test cannot
    /// cut the power.
    fn after_power_cut(self) -> Option<Self>;

    /// An empty medium with room for `bytes` of segments; `None` where a test cannot limit it.
    fn with_room(bytes: u64) -> Option<Self>;

    /// Leaves a log segment of zero length, as a creation that was cut off does.
    fn leave_empty_segment(&self, id: SegmentId);
}
