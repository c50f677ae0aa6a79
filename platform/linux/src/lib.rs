//! What Linux gives: segment files, the tree file, clock, entropy, group commit.

#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod commit;
pub mod file_store;
pub mod segment;
pub mod store;
pub mod system;

pub use file_store::FileStore;
pub use segment::FileSegment;
pub use system::{DataDirError, DataDirLock, SystemClock, SystemEntropy};
