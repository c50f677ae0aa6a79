//! WALFS: the log of one namespace on a medium.
//!
//! A log is a row of numbered segments, a segment a [header](layout) and frames, a frame one record
//! with the next dense LSN. Only frames are the truth; headers are hints, and evidence of a sync.
//!
//! ```text
//! segment 1                       segment 2                      segment 3 (active)
//! |header|frame|frame|...|zeros|  |header|frame|...|zeros|       |header|frame|frame|0000...
//!         LSN 1  2                        LSN 90                                    ^ tail
//! ```
//!
//! - `Log`: the one writer. Stages records, appends a group with one write that ends in 16 zero
//!   bytes, syncs by tickets that any thread may run, rotates into a segment that was made ahead.
//! - `LogReader`, `LogCursor`: any number of readers, which share a table of segments and three
//!   watermarks with the writer, and block nobody.
//! - `recovery`: what opening does with what it finds, row by row.
//!
//! - [`SmallLog`]: the same log on a fixed number of segments in the caller's buffers. It is what there
//!   is without the `alloc` feature, beside [`layout`], [`scan`] and [`survey`].

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod error;
mod group;
pub mod layout;
mod options;
pub mod recovery;
mod run;
pub mod scan;
mod small;
pub mod survey;
mod tail;
mod window;

#[cfg(feature = "alloc")]
mod cursor;
#[cfg(feature = "alloc")]
mod follow;
#[cfg(feature = "alloc")]
mod index;
#[cfg(feature = "alloc")]
mod log;
#[cfg(feature = "alloc")]
mod reader;
#[cfg(feature = "alloc")]
mod retention;
#[cfg(feature = "alloc")]
mod rotation;
#[cfg(feature = "alloc")]
mod slice;
#[cfg(feature = "alloc")]
mod sync;
#[cfg(feature = "alloc")]
mod table;

pub use self::{
    error::{AppendError, CutError, OpenError, ReadError, RunError, StageError, SyncError},
    options::{LogOptions, LogRole},
    recovery::{RecoveryEvent, Rung, RungCounts},
    run::{Located, RunHeader},
    small::{SmallLog, SmallOpenError, SmallReadError, SmallRecord, SmallReport},
};

#[cfg(feature = "alloc")]
pub use self::{
    cursor::{Bound, LogCursor, Record, Step},
    log::Log,
    reader::{LogReader, SealedSegment, SegmentInfo},
    recovery::RecoveryReport,
    retention::{Covered, RetentionPolicy, Retired},
    rotation::{Preparation, Prepared},
    slice::Slice,
    sync::{SyncOutcome, SyncTicket},
};
