//! The tree suite on a file of this machine and on the disk in memory.

use redb::backends::FileBackend;
use std::fs::OpenOptions;
use tempfile::TempDir;
use unison_base::prng::Prng;
use unison_conformance::tree::TreeMedium;
use unison_sim::disk::{CrashDisk, Cut, SimTreeFile};

/// A file as the Linux store opens it.
struct File(TempDir);

impl TreeMedium for File {
    type Tree = FileBackend;

    fn fresh() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&self) -> FileBackend {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        FileBackend::new(options.open(self.0.path().join("tree.redb")).unwrap()).unwrap()
    }

    fn after_power_cut(self) -> Option<Self> {
        None
    }

    fn with_room(_: u64) -> Option<Self> {
        None
    }
}

/// The tree file of a disk in memory.
struct Memory(CrashDisk);

impl TreeMedium for Memory {
    type Tree = SimTreeFile;

    fn fresh() -> Self {
        Self(CrashDisk::new())
    }

    fn open(&self) -> SimTreeFile {
        self.0.tree("default")
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

mod file {
    unison_conformance::tree_conformance!(super::File);
}

mod memory {
    unison_conformance::tree_conformance!(super::Memory);
}
