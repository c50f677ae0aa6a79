//! The hub: takes writes and feeds edges.

fn main() {}
