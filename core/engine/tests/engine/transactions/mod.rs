//! Transactions over keys, rows and large objects: against a model, at their limits, and cut off
//! anywhere.

mod ends;
mod expiry;
mod hostile;
mod mixed;
pub(crate) mod model;
mod objects;
mod rolled_back;
mod topics;
mod within;
