//! The medium: what it does with a disk, whatever the disk holds and whenever the power goes.

mod bytes;
mod cuts;
mod damage;
mod engine;
mod faults;
mod format;
mod golden;
mod room;
mod support;
