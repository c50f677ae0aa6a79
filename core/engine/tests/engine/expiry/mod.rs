//! Keys and rows that expire.

mod cases;
mod changes;
mod failures;
mod model;
mod single;
