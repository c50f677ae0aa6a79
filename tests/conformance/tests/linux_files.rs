//! The suite on files of this machine.

use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;
use unison_base::SegmentId;
use unison_conformance::Medium;
use unison_linux::FileStore;

struct Files {
    /// Unmounted before the directory under it is removed.
    mounted: Option<Mounted>,
    directory: TempDir,
}

/// A small file system of its own.
struct Mounted(PathBuf);

impl Mounted {
    /// `None` where this user may not mount.
    fn tmpfs(at: PathBuf, bytes: u64) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"]).arg(&at);
        let done = mount.output().ok()?.status.success();
        done.then_some(Self(at))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(unmounted.unwrap().success(), "{} stays mounted", self.0.display());
    }
}

impl Medium for Files {
    type Store = FileStore;

    fn fresh() -> Self {
        Self { mounted: None, directory: tempfile::tempdir().unwrap() }
    }

    fn store(&self) -> FileStore {
        FileStore::open(self.directory.path().join("default/wal"), true).unwrap()
    }

    fn after_power_cut(self) -> Option<Self> {
        None
    }

    fn with_room(bytes: u64) -> Option<Self> {
        let mut medium = Self::fresh();
        medium.mounted = Mounted::tmpfs(medium.directory.path().to_path_buf(), bytes);
        if medium.mounted.is_none() {
            println!("not checked: a full file system, because this user may not mount one");
        }
        medium.mounted.is_some().then_some(medium)
    }

    fn leave_empty_segment(&self, id: SegmentId) {
        std::fs::write(self.store().path().join(format!("{id}.seg")), b"").unwrap();
    }
}

unison_conformance::conformance!(Files);
