//! The suite on files of this machine.

use tempfile::TempDir;
use unison_base::SegmentId;
use unison_conformance::Medium;
use unison_linux::FileStore;

struct Files(TempDir);

impl Medium for Files {
    type Store = FileStore;

    fn fresh() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn store(&self) -> FileStore {
        FileStore::open(self.0.path().join("default/wal"), true).unwrap()
    }

    fn after_power_cut(self) -> Option<Self> {
        None
    }

    fn with_room(_bytes: u64) -> Option<Self> {
        None
    }

    fn leave_empty_segment(&self, id: SegmentId) {
        std::fs::write(self.store().path().join(format!("{id}.seg")), b"").unwrap();
    }
}

unison_conformance::conformance!(Files);
