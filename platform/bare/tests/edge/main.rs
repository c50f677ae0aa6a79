//! The node of a board on a computer: its own network stack joined by a wire in memory with another
//! one that plays the hub and the callers, its disk in memory, its time set by hand.

mod address;
mod away;
mod callers;
mod disk;
mod following;
mod hub;
mod memory;
mod models;
mod peer;
mod reply;
mod storms;
mod wire;
mod world;
