//! One segment in the caller's buffers, cut and damaged in every way. Needs no allocation in the
//! crate under test: `cargo test --no-default-features` runs it too.

mod damage;
mod file;
mod scan;
