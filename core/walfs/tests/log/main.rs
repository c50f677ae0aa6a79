//! The log as its callers see it, on a disk in memory.

mod crash;
mod damage;
mod faults;
mod follower;
mod lookup;
mod planted;
mod recovery;
mod retention;
mod support;
mod threads;
mod unclean;
mod writer;
