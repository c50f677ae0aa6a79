//! Fakes of the ports: a disk in memory that loses power, fills up, fails and rots; a clock that is
//! set by hand; entropy from a seed.
//!
//! Everything is a function of its seeds and of the calls made, so a failing run can be repeated.
//! Nothing here knows the log or the engine: what is found out with these fakes is found out
//! through the ports.
//!
//! ```
//! use unison_base::SegmentId;
//! use unison_base::prng::Prng;
//! use unison_ports::{SegmentFile, SegmentKind, SegmentStore};
//! use unison_sim::disk::{CrashDisk, Cut};
//!
//! let disk = CrashDisk::new();
//! let file = disk.store("default").create(SegmentId::FIRST, 65_536).unwrap();
//! file.write_at(0, b"synced").unwrap();
//! file.sync().unwrap();
//! file.write_at(6, b" lost").unwrap();
//!
//! let disk = disk.crash(Cut::LOST, &mut Prng::new(1));
//! let file = disk.store("default").open(SegmentId::FIRST, SegmentKind::Log).unwrap();
//! let mut buffer = [9; 11];
//! file.read_at(0, &mut buffer).unwrap();
//! assert_eq!(&buffer, b"synced\0\0\0\0\0");
//! ```

#![forbid(unsafe_code)]

pub mod blocks;
pub mod clock;
pub mod disk;
pub mod entropy;
#[cfg(feature = "fleet")]
pub mod fleet;
pub mod planted;

pub use clock::SimClock;
pub use entropy::SimEntropy;
