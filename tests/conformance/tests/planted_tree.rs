//! The tree suite has to find what it is for: each planted bug breaks at least one check.

use redb::StorageBackend;
use std::io::Result;
use std::panic::{catch_unwind, set_hook};
use std::sync::Mutex;
use unison_base::prng::Prng;
use unison_conformance::tree::{self, TreeMedium};
use unison_sim::disk::{CrashDisk, Cut, SimTreeFile};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    None,
    /// A new file has a byte.
    NewIsNotEmpty,
    /// What was cut off is there again when the file grows.
    GrowthIsNotZero,
    /// The last byte is not written.
    WriteIsShort,
    /// The byte behind the range is zeroed.
    WriteTouchesNeighbour,
    /// What is past the end reads as zeros.
    ReadPastEnd,
    SyncDoesNothing,
    /// A file never gets shorter.
    NeverShorter,
    /// A length that does not fit is cut down to what fits.
    GrowthClips,
    /// A refused growth leaves the file longer.
    RefusalGrows,
}

const BUGS: [Bug; 10] = [
    Bug::None,
    Bug::NewIsNotEmpty,
    Bug::GrowthIsNotZero,
    Bug::WriteIsShort,
    Bug::WriteTouchesNeighbour,
    Bug::ReadPastEnd,
    Bug::SyncDoesNothing,
    Bug::NeverShorter,
    Bug::GrowthClips,
    Bug::RefusalGrows,
];

#[derive(Debug)]
struct Planted {
    inner: SimTreeFile,
    bug: Bug,
    /// What was cut off, and where it began.
    cut_off: Mutex<(u64, Vec<u8>)>,
}

struct Memory<const BUG: usize>(CrashDisk);

impl<const BUG: usize> TreeMedium for Memory<BUG> {
    type Tree = Planted;

    fn fresh() -> Self {
        Self(CrashDisk::new())
    }

    fn open(&self) -> Planted {
        let (inner, bug) = (self.0.tree("default"), BUGS[BUG]);
        if bug == Bug::NewIsNotEmpty && inner.len().unwrap() == 0 {
            inner.set_len(1).unwrap();
        }
        Planted { inner, bug, cut_off: Mutex::default() }
    }

    fn after_power_cut(self) -> Option<Self> {
        Some(Self(self.0.crash(Cut::LOST, &mut Prng::new(1))))
    }

    fn with_room(bytes: u64) -> Option<Self> {
        let disk = CrashDisk::new();
        disk.set_free_bytes(Some(bytes));
        Some(Self(disk))
    }
}

impl Planted {
    fn grow_dirty(&self, length: u64) -> Result<()> {
        let old = self.inner.len()?;
        let mut cut_off = self.cut_off.lock().unwrap();
        if length < old {
            let mut bytes = vec![0; (old - length) as usize];
            self.inner.read(length, &mut bytes)?;
            *cut_off = (length, bytes);
            return self.inner.set_len(length);
        }
        self.inner.set_len(length)?;
        let fits = cut_off.1.len().min(length.saturating_sub(cut_off.0) as usize);
        self.inner.write(cut_off.0, &cut_off.1[..fits])
    }
}

impl StorageBackend for Planted {
    fn len(&self) -> Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        match self.inner.read(offset, out) {
            Err(_) if self.bug == Bug::ReadPastEnd => {
                out.fill(0);
                Ok(())
            }
            result => result,
        }
    }

    fn set_len(&self, length: u64) -> Result<()> {
        match self.bug {
            Bug::GrowthIsNotZero => self.grow_dirty(length),
            Bug::NeverShorter if length < self.inner.len()? => Ok(()),
            Bug::GrowthClips if self.inner.set_len(length).is_err() => Ok(()),
            Bug::RefusalGrows => self.inner.set_len(length).inspect_err(|_| {
                let grown = self.inner.len().map_or(0, |old| old + 1);
                self.inner.set_len(grown).unwrap();
            }),
            _ => self.inner.set_len(length),
        }
    }

    fn sync_data(&self) -> Result<()> {
        if self.bug == Bug::SyncDoesNothing { Ok(()) } else { self.inner.sync_data() }
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        let end = offset + data.len() as u64;
        match self.bug {
            Bug::WriteIsShort => self.inner.write(offset, &data[..data.len().saturating_sub(1)]),
            Bug::WriteTouchesNeighbour if end < self.inner.len()? => {
                self.inner.write(offset, &[data, &[0]].concat())
            }
            _ => self.inner.write(offset, data),
        }
    }
}

/// Names of the checks that fail.
fn broken<const BUG: usize>() -> Vec<&'static str> {
    let checks = tree::all::<Memory<BUG>>();
    let broken = checks.into_iter().filter(|check| catch_unwind(check.run).is_err());
    broken.map(|check| check.name).collect()
}

macro_rules! each {
    ($($number:literal)+) => {
        [$((BUGS[$number], broken::<$number>())),+]
    };
}

#[test]
fn every_planted_bug_is_found() {
    // What the checks print when they fail is not of interest here.
    set_hook(Box::new(|_| ()));
    let found = each!(0 1 2 3 4 5 6 7 8 9);
    drop(std::panic::take_hook());
    assert_eq!(found.len(), BUGS.len());
    let silent: Vec<_> = tree::all::<Memory<0>>()
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
