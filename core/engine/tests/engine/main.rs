//! The engine from outside, over a disk in memory.

mod came;
mod changes;
mod conditions;
mod crash;
mod cuts;
mod damage;
mod expiry;
mod faults;
mod fixture;
mod follow;
mod jobs;
mod limits;
mod model;
mod rollback;
mod rows;
mod scans;
mod snapshots;
mod topics;
mod transactions;
