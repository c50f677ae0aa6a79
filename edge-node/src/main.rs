//! The edge: follows a hub and answers locally.

fn main() {}
