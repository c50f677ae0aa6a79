//! A disk in memory.
//!
//! # What a power cut does
//! Each file has its durable bytes and a list of writes since its last sync. A [`Cut`] says what
//! becomes of them: all kept, all lost, a prefix of them with the last one torn, or any subset of
//! their sectors or pages. Directory operations are durable when they return; one that the cut
//! interrupts has happened, has not, or has left a file of some length that is all zeros (A5).
//! After a failed sync nothing is known about what it covered (A3): those writes stay at the mercy
//! of every later cut, whatever is synced after them.
//!
//! # Every moment of a run
//! [`CrashDisk::record_moments`] keeps a copy-on-write picture of the disk at each call that
//! changes it; [`Moment::cut`] makes the disk that a power cut at that moment leaves, as often as
//! wanted and without running the workload again.
//!
//! # Views
//! [`DiskOptions::mapped`] makes [`view`](unison_ports::SegmentFile::view) return bytes. Without
//! `unsafe` they cannot be the disk's own, so a view is a copy that lives as long as its handle: it
//! shows what was there when it was taken, which is all the port promises, and costs memory.
//! Views into a real map are the business of the Linux files.

mod control;
mod cut;
mod damage;
mod fault;
mod inode;
mod pages;
mod state;
mod store;
mod tree_file;
mod views;

pub use control::{Counters, Switch};
pub use cut::{Cut, Fate, Moment};
pub use damage::{Damage, File};
pub use fault::{Calls, Effect, Fault, When};
pub use store::{SimSegment, SimStore};
pub use tree_file::SimTreeFile;

use control::Control;
use state::State;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use unison_base::prng::Prng;

/// Bytes that a device writes as a whole.
pub const SECTOR_BYTES: u64 = 512;
/// Bytes that a page cache writes as a whole.
pub const PAGE_BYTES: u64 = 4096;

/// Error number of every call after the power is off.
pub const POWER_IS_OFF: i32 = -1;

/// How a disk behaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskOptions {
    /// Whether segments can be viewed.
    pub mapped: bool,
    /// Seed of faults that come by chance.
    pub seed: u64,
}

/// Handle of one disk; clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct CrashDisk(Arc<Mutex<Disk>>);

#[derive(Debug, Default)]
pub(crate) struct Disk {
    pub(crate) state: State,
    pub(crate) control: Control,
}

impl CrashDisk {
    /// An empty disk without limits and without views.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty disk.
    #[must_use]
    pub fn with(options: DiskOptions) -> Self {
        Self::from_state(State::default(), options)
    }

    fn from_state(state: State, options: DiskOptions) -> Self {
        Self(Arc::new(Mutex::new(Disk { state, control: Control::new(options) })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The segments of one directory; as many directories as wanted share the disk.
    #[must_use]
    pub fn store(&self, directory: &str) -> SimStore {
        let directory = self.lock().state.directory(directory);
        SimStore::new(self.clone(), directory)
    }

    /// The tree file of one directory, empty when it is new.
    #[must_use]
    pub fn tree(&self, directory: &str) -> SimTreeFile {
        let mut disk = self.lock();
        let directory = disk.state.directory(directory);
        let inode = disk.state.tree(directory);
        SimTreeFile::new(self.clone(), inode)
    }

    /// Adds a fault; it counts calls from now on.
    pub fn inject(&self, fault: Fault) {
        self.lock().control.inject(fault);
    }

    /// Takes all faults away.
    pub fn heal(&self) {
        self.lock().control.heal();
    }

    /// Sets how many bytes new segments and a growing tree may still take; `None` is no limit.
    pub fn set_free_bytes(&self, free_bytes: Option<u64>) {
        self.lock().state.free_bytes = free_bytes;
    }

    /// How many bytes new segments and a growing tree may still take.
    #[must_use]
    pub fn free_bytes(&self) -> Option<u64> {
        self.lock().state.free_bytes
    }

    /// Forgets a directory and everything in it.
    pub fn remove_directory(&self, directory: &str) {
        self.lock().state.remove_directory(directory);
    }

    /// What was done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.lock().control.counters
    }

    /// Starts keeping a [`Moment`] at every call that changes the disk.
    pub fn record_moments(&self) {
        self.lock().control.moments = Some(Vec::new());
    }

    /// The moments since [`record_moments`](Self::record_moments); recording goes on from here.
    #[must_use]
    pub fn take_moments(&self) -> Vec<Moment> {
        self.lock().control.moments.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// How many moments are kept so far: where in the run the caller is.
    #[must_use]
    pub fn moments(&self) -> usize {
        self.lock().control.moments.as_ref().map_or(0, Vec::len)
    }

    /// The disk as it is between two calls.
    #[must_use]
    pub fn moment(&self) -> Moment {
        let disk = self.lock();
        Moment::new(disk.state.clone(), None, disk.control.options)
    }

    /// Cuts the power: every handle of this disk fails from now on. Returns what is left; when a
    /// switch went off before, then what it left.
    #[must_use]
    pub fn crash(&self, cut: Cut, prng: &mut Prng) -> Self {
        let struck = self.lock().control.struck.take();
        let moment = struck.unwrap_or_else(|| self.moment());
        self.power_off();
        moment.cut(cut, prng)
    }

    /// Puts a switch in, which cuts the power in the middle of a call. That call and every later one
    /// may say what it likes: nobody lives to hear it.
    pub fn set_switch(&self, switch: Switch) {
        self.lock().control.switch = Some(switch);
    }

    /// Runs `look` while no call is counted and none goes wrong: for checkers, which must not change
    /// what they look at.
    pub fn unwatched<T>(&self, look: impl FnOnce() -> T) -> T {
        self.lock().control.unwatched = true;
        let seen = look();
        self.lock().control.unwatched = false;
        seen
    }

    /// Whether the power is off.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.lock().control.off
    }

    /// Every call fails from now on.
    pub fn power_off(&self) {
        self.lock().control.off = true;
    }

    /// Another disk with the same bytes, durable ones and unsynced ones.
    #[must_use]
    pub fn copy(&self) -> Self {
        let disk = self.lock();
        Self::from_state(disk.state.clone(), disk.control.options)
    }
}

#[cfg(test)]
mod tests;
