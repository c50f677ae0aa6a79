//! What surrounds the bytes: counters, faults, the power switch, the recording of moments.

use super::cut::{InFlight, Moment};
use super::fault::Armed;
use super::state::State;
use super::{Calls, DiskOptions, Effect, Fault, POWER_IS_OFF};
use unison_base::prng::Prng;
use unison_ports::IoError;

/// What was done to a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Reads of segments and of the tree.
    pub reads: u64,
    /// Writes, and changes of the tree's length.
    pub writes: u64,
    /// Syncs.
    pub syncs: u64,
    /// Operations on directories.
    pub directory: u64,
    /// Bytes that writes of segments handed over.
    pub segment_bytes: u64,
    /// Bytes that writes of the tree handed over.
    pub tree_bytes: u64,
    /// Bytes of the pages that syncs had to write, a page once per sync.
    pub synced_page_bytes: u64,
}

impl Counters {
    /// Calls of all kinds.
    #[must_use]
    pub const fn calls(&self) -> u64 {
        self.reads + self.writes + self.syncs + self.directory
    }
}

/// A switch that cuts the power in the middle of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switch {
    /// At which call of those it looks at, from 1.
    pub nth: u64,
    /// Whether it looks at changes of directories only, or at every call that changes the disk.
    pub directory: bool,
}

impl Switch {
    fn goes_off(&mut self, is_directory: bool) -> bool {
        if self.directory && !is_directory {
            return false;
        }
        self.nth = self.nth.saturating_sub(1);
        self.nth == 0
    }
}

#[derive(Debug)]
pub(crate) struct Control {
    pub(super) options: DiskOptions,
    pub(super) counters: Counters,
    pub(super) off: bool,
    pub(super) unwatched: bool,
    pub(super) moments: Option<Vec<Moment>>,
    pub(super) switch: Option<Switch>,
    /// The disk as it was when the switch went off.
    pub(super) struck: Option<Moment>,
    faults: Vec<Armed>,
    prng: Prng,
}

impl Default for Control {
    fn default() -> Self {
        Self::new(DiskOptions::default())
    }
}

impl Control {
    pub(super) fn new(options: DiskOptions) -> Self {
        Self {
            options,
            counters: Counters::default(),
            off: false,
            unwatched: false,
            moments: None,
            switch: None,
            struck: None,
            faults: Vec::new(),
            prng: Prng::new(options.seed),
        }
    }

    pub(super) fn inject(&mut self, fault: Fault) {
        self.faults.push(Armed::new(fault));
    }

    pub(super) fn heal(&mut self) {
        self.faults.clear();
    }

    /// Counts a call and says how it goes wrong, if it does. The first fault that strikes wins.
    pub(super) fn enter(&mut self, calls: Calls) -> Result<Option<Effect>, IoError> {
        if self.off {
            return Err(IoError::Device(POWER_IS_OFF));
        }
        if self.unwatched {
            return Ok(None);
        }
        match calls {
            Calls::Any => {}
            Calls::Reads => self.counters.reads += 1,
            Calls::Writes => self.counters.writes += 1,
            Calls::Syncs => self.counters.syncs += 1,
            Calls::Directory => self.counters.directory += 1,
        }
        let prng = &mut self.prng;
        let strikes = self.faults.iter_mut().filter_map(|armed| armed.strike(calls, prng));
        Ok(strikes.reduce(|first, _| first))
    }

    pub(super) fn record(&mut self, state: &State, in_flight: Option<InFlight>) {
        if let Some(switch) = &mut self.switch
            && switch.goes_off(in_flight.is_some())
        {
            self.switch = None;
            self.off = true;
            self.struck = Some(Moment::new(state.clone(), in_flight, self.options));
        }
        if let Some(moments) = &mut self.moments {
            moments.push(Moment::new(state.clone(), in_flight, self.options));
        }
    }
}
