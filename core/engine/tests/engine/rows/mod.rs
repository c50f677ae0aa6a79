//! Rows of columns: against a map of maps, at the limits, under damage, and after an upgrade.

mod index_bytes;
mod mixed;
pub(crate) mod model;
mod scans;
mod single;
mod upgrade;
