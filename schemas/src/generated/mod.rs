//! Code that flatc 25.12.19 wrote from `schemas/log_record.fbs`; never edited by hand.
//!
//! To write it again, from the folder `schemas`, with the flatc of exactly that version (the
//! crate `flatc-fork` 0.6.0+25.12.19 builds it):
//!
//! ```text
//! flatc --rust -o src/generated log_record.fbs
//! ```

#![allow(
    missing_docs,
    unsafe_code,
    unused_imports,
    dead_code,
    deprecated,
    mismatched_lifetime_syntaxes,
    unsafe_op_in_unsafe_fn,
    unreachable_pub,
    clippy::all,
    clippy::undocumented_unsafe_blocks
)]

#[rustfmt::skip]
mod log_record_generated;

pub use log_record_generated::unison::*;
