//! The log under power cuts: what was acknowledged is recovered, what is recovered is a prefix of
//! what was appended, the next opening gives the same, and the log goes on.
//!
//! A workload runs once on a disk in memory that keeps every moment. Each moment is cut in several
//! ways, and each disk that is left is recovered and checked. The checks are checked themselves: with
//! each bug of a list planted below or beside the log, they have to fail.

mod amplification;
mod failed_calls;
mod pairs;
mod record;
mod states;
mod verify;
mod workload;

/// Where the log lies on the disk.
const DIRECTORY: &str = "default";
