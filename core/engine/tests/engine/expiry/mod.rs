//! Keys and rows that expire.

mod cases;
mod changes;
mod model;
mod single;
