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
//! Without the `alloc` feature there are [`layout`], [`scan`] and [`survey`]: enough to read and
//! judge a segment in the caller's buffers.

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

pub mod layout;
pub mod scan;
pub mod survey;
mod window;

#[cfg(feature = "alloc")]
mod cursor;
#[cfg(feature = "alloc")]
mod error;
#[cfg(feature = "alloc")]
mod follow;
#[cfg(feature = "alloc")]
mod group;
#[cfg(feature = "alloc")]
mod index;
#[cfg(feature = "alloc")]
mod log;
#[cfg(feature = "alloc")]
mod reader;
#[cfg(feature = "alloc")]
pub mod recovery;
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

#[cfg(feature = "alloc")]
pub use self::{
    cursor::{Bound, LogCursor, Record, Step},
    error::{AppendError, CutError, OpenError, ReadError, RunError, StageError, SyncError},
    follow::RunHeader,
    log::{Log, LogOptions, LogRole},
    reader::{Located, LogReader, SealedSegment, SegmentInfo},
    recovery::{RecoveryEvent, RecoveryReport, Rung, RungCounts},
    retention::{Covered, RetentionPolicy, Retired},
    rotation::{Preparation, Prepared},
    slice::Slice,
    sync::{SyncOutcome, SyncTicket},
};
