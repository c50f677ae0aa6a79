//! The suite has to find what it is for: each planted bug breaks at least one check.

mod planted_store;

use planted_store::{Bug, Planted, PlantedStore};
use std::panic::{catch_unwind, set_hook};
use unison_base::SegmentId;
use unison_base::prng::Prng;
use unison_conformance::{Medium, segments};
use unison_ports::{SegmentFile, SegmentKind, SegmentStore};
use unison_sim::disk::{CrashDisk, Cut, DiskOptions};

/// A disk in memory behind a store with bug number `BUG` of [`Bug::ALL`].
struct Memory<const BUG: usize>(CrashDisk);

impl<const BUG: usize> Medium for Memory<BUG> {
    type Store = PlantedStore;

    fn fresh() -> Self {
        let disk = CrashDisk::with(DiskOptions { mapped: true, seed: 0 });
        disk.record_moments();
        Self(disk)
    }

    fn store(&self) -> PlantedStore {
        PlantedStore { inner: self.0.store("default"), bug: Bug::ALL[BUG] }
    }

    fn after_power_cut(self) -> Option<Self> {
        let mut prng = Prng::new(1);
        let undo_last = Bug::ALL[BUG] == Bug::DirectoryIsNotSynced;
        let left = match self.0.take_moments().last() {
            Some(last) if undo_last => last.cut(Cut::LOST, &mut prng),
            _ => self.0.crash(Cut::LOST, &mut prng),
        };
        Some(Self(left))
    }

    fn with_room(bytes: u64) -> Option<Self> {
        let medium = Self::fresh();
        medium.0.set_free_bytes(Some(bytes));
        Some(medium)
    }

    fn leave_empty_segment(&self, id: SegmentId) {
        self.0.store("default").create(id, 0).unwrap();
    }
}

/// Names of the checks that fail.
fn broken<const BUG: usize>() -> Vec<&'static str> {
    let checks = segments::all::<Memory<BUG>>();
    let broken = checks.into_iter().filter(|check| catch_unwind(check.run).is_err());
    broken.map(|check| check.name).collect()
}

macro_rules! each {
    ($($number:literal)+) => {
        [$((Bug::ALL[$number], broken::<$number>())),+]
    };
}

#[test]
fn every_planted_bug_is_found() {
    // What the checks print when they fail is not of interest here.
    set_hook(Box::new(|_| ()));
    let found = each!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26);
    drop(std::panic::take_hook());
    assert_eq!(found.len(), Bug::ALL.len());
    let silent: Vec<_> = segments::all::<Memory<0>>()
        .into_iter()
        .map(|check| check.name)
        .filter(|name| found.iter().all(|(_, checks)| !checks.contains(name)))
        .collect();
    // A check that no bug breaks may be one that cannot fail.
    assert!(silent.is_empty(), "no bug is for {silent:?}");
    for (bug, checks) in found {
        let first = checks.first().copied().unwrap_or("-");
        println!("{:24} found by {:2} checks, first {first}", format!("{bug:?}"), checks.len());
        assert_eq!(checks.is_empty(), bug == Bug::None, "{bug:?}");
    }
}

#[test]
fn a_planted_store_without_a_bug_is_the_store_itself() {
    let medium = Memory::<0>::fresh();
    let file: Planted = medium.store().create(SegmentId(1), 4096).unwrap();
    file.write_at(0, b"x").unwrap();
    assert_eq!(
        medium.store().open(SegmentId(1), SegmentKind::Log).unwrap().view(0, 1),
        Some(&b"x"[..])
    );
}
