//! Power cuts.

use super::inode::{Change, Inode, Pending, Standing};
use super::pages::Pages;
use super::state::{Name, State};
use super::{CrashDisk, DiskOptions, PAGE_BYTES, SECTOR_BYTES};
use std::sync::Arc;
use unison_base::LogId;
use unison_base::prng::Prng;

/// What becomes of changes that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// All are there.
    Kept,
    /// None is.
    Lost,
    /// In the order of the calls, over all files: everything up to one of them is there, of that
    /// one the units before some point, and nothing after it.
    Torn,
    /// Any subset of the units of any change is there, each file with a chance of its own.
    Reordered,
}

/// A power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cut {
    /// What becomes of unsynced changes.
    pub fate: Fate,
    /// What the device writes as a whole: 512 for a sector, 4096 for a page, 1 for a device that
    /// promises nothing. Units begin at multiples of this within the file.
    pub unit_bytes: u64,
}

impl Cut {
    /// Everything unsynced is there.
    pub const KEPT: Self = Self { fate: Fate::Kept, unit_bytes: SECTOR_BYTES };
    /// Nothing unsynced is there.
    pub const LOST: Self = Self { fate: Fate::Lost, unit_bytes: SECTOR_BYTES };
    /// A prefix, torn at a sector.
    pub const TORN_SECTOR: Self = Self { fate: Fate::Torn, unit_bytes: SECTOR_BYTES };
    /// A prefix, torn at a page.
    pub const TORN_PAGE: Self = Self { fate: Fate::Torn, unit_bytes: PAGE_BYTES };
    /// A prefix, torn at any byte.
    pub const TORN_BYTE: Self = Self { fate: Fate::Torn, unit_bytes: 1 };
    /// Any subset of sectors.
    pub const REORDERED_SECTORS: Self = Self { fate: Fate::Reordered, unit_bytes: SECTOR_BYTES };
    /// Any subset of pages.
    pub const REORDERED_PAGES: Self = Self { fate: Fate::Reordered, unit_bytes: PAGE_BYTES };

    /// One of each.
    pub const ALL: [Self; 7] = [
        Self::KEPT,
        Self::LOST,
        Self::TORN_SECTOR,
        Self::TORN_PAGE,
        Self::TORN_BYTE,
        Self::REORDERED_SECTORS,
        Self::REORDERED_PAGES,
    ];
}

/// A directory operation that has begun.
#[derive(Clone, Copy, Debug)]
pub(super) enum InFlight {
    Create(Name, u64),
    Remove(Name),
    Rename(Name, Name),
    Identity(usize, LogId),
}

/// A disk at one point of a run.
#[derive(Clone, Debug)]
pub struct Moment {
    state: State,
    in_flight: Option<InFlight>,
    options: DiskOptions,
}

impl Moment {
    pub(super) const fn new(
        state: State,
        in_flight: Option<InFlight>,
        options: DiskOptions,
    ) -> Self {
        Self { state, in_flight, options }
    }

    /// The disk after a power cut at this moment. Without a free-space limit and without faults.
    #[must_use]
    pub fn cut(&self, cut: Cut, prng: &mut Prng) -> CrashDisk {
        let mut state = self.state.clone();
        state.free_bytes = None;
        if let Some(in_flight) = self.in_flight {
            interrupt(&mut state, in_flight, cut.fate, prng);
        }
        state.forget_unnamed();
        settle(&mut state, cut, prng);
        CrashDisk::from_state(state, self.options)
    }

    /// Whether every cut at this moment leaves the same.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.in_flight.is_none() && self.unsynced_changes() == 0
    }

    /// Changes that a cut at this moment may lose.
    #[must_use]
    pub fn unsynced_changes(&self) -> usize {
        unsettled(&self.state).count()
    }

    pub(super) const fn state(&self) -> &State {
        &self.state
    }
}

/// Leaves a directory operation before, after, or as a file of zeros (A5).
fn interrupt(state: &mut State, in_flight: InFlight, fate: Fate, prng: &mut Prng) {
    let done = match fate {
        Fate::Kept => true,
        Fate::Lost => false,
        Fate::Torn | Fate::Reordered => prng.chance(50),
    };
    match in_flight {
        InFlight::Create(name, size) => {
            let partly = matches!(fate, Fate::Torn | Fate::Reordered) && prng.chance(70);
            if partly || done {
                let partial = if prng.chance(30) { 0 } else { prng.below(size) };
                state.add(name, if partly { partial } else { size });
            }
        }
        // A name that is missing makes the operation fail before it begins, so it is there.
        InFlight::Remove(name) if done => drop(state.remove(name)),
        InFlight::Rename(from, to) if done => drop(state.rename(from, to)),
        InFlight::Identity(directory, id) if done => drop(state.identities.insert(directory, id)),
        _ => {}
    }
}

fn unsettled(state: &State) -> impl Iterator<Item = &Pending> {
    let pending = state.inodes.values().flat_map(|inode| &inode.pending);
    pending.filter(|pending| pending.standing != Standing::Certain)
}

/// Decides each change's fate and makes the result the durable bytes.
fn settle(state: &mut State, cut: Cut, prng: &mut Prng) {
    let sequences: Vec<_> = match cut.fate {
        Fate::Torn => unsettled(state).map(|pending| pending.sequence).collect(),
        _ => Vec::new(),
    };
    let at = usize::try_from(prng.below(sequences.len() as u64)).unwrap_or(0);
    let torn = sequences.get(at).copied().unwrap_or(0);
    for inode in state.inodes.values_mut() {
        if inode.pending.is_empty() {
            continue;
        }
        let chance = [0, 10, 50, 90, 100][usize::try_from(prng.below(5)).unwrap_or(0)];
        let decide = Decide { cut, torn, chance };
        *inode = Arc::new(Inode::settled(decide.image(inode, prng)));
    }
}

struct Decide {
    cut: Cut,
    /// Sequence of the change that is torn.
    torn: u64,
    /// Percent of units that survive a reordering.
    chance: u64,
}

impl Decide {
    fn image(&self, inode: &Inode, prng: &mut Prng) -> Pages {
        let mut pages = inode.durable.clone();
        for pending in &inode.pending {
            let whole = pending.standing == Standing::Certain
                || match self.cut.fate {
                    Fate::Kept => true,
                    Fate::Lost => false,
                    Fate::Torn => pending.sequence < self.torn,
                    Fate::Reordered => self.chance == 100,
                };
            let partly = match self.cut.fate {
                Fate::Torn => pending.sequence == self.torn,
                Fate::Reordered => self.chance > 0,
                _ => false,
            };
            if whole {
                pending.change.apply(&mut pages);
            } else if partly {
                self.apply_in_part(&pending.change, &mut pages, prng);
            }
        }
        pages
    }

    fn apply_in_part(&self, change: &Change, pages: &mut Pages, prng: &mut Prng) {
        match change {
            Change::Length(length) if prng.chance(50) => pages.set_len(*length),
            Change::Length(_) => {}
            Change::Write { offset, bytes } => self.write_in_part(*offset, bytes, pages, prng),
        }
    }

    fn write_in_part(&self, offset: u64, bytes: &[u8], pages: &mut Pages, prng: &mut Prng) {
        let units: Vec<_> = units(offset, bytes.len(), self.cut.unit_bytes).collect();
        let prefix = usize::try_from(prng.below(units.len() as u64 + 1)).unwrap_or(0);
        for (index, unit) in units.into_iter().enumerate() {
            let survives = match self.cut.fate {
                Fate::Torn => index < prefix,
                _ => prng.chance(self.chance),
            };
            if survives {
                pages.write_clipped(offset + unit.start as u64, &bytes[unit]);
            }
        }
    }
}

/// Splits a write at multiples of the unit within the file; ranges of its bytes.
fn units(offset: u64, length: usize, unit: u64) -> impl Iterator<Item = std::ops::Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let to_boundary = unit - (offset + start as u64) % unit;
        let end = length.min(start + usize::try_from(to_boundary).unwrap_or(usize::MAX));
        let range = start..end;
        start = end;
        (!range.is_empty()).then_some(range)
    })
}
