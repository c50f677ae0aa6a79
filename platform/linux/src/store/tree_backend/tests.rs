//! A device whose syncs fail.

use super::TreeBackend;
use redb::backends::FileBackend;
use redb::{Builder, Database, StorageBackend, TableDefinition};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const TABLE: TableDefinition<'static, u32, u32> = TableDefinition::new("data");

#[derive(Debug)]
struct Failing {
    inner: FileBackend,
    fails: Arc<AtomicBool>,
}

impl StorageBackend for Failing {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.inner.write(offset, data)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(io::Error::from_raw_os_error(5));
        }
        self.inner.sync_data()
    }
}

fn open(dir: &Path, fails: &Arc<AtomicBool>) -> Database {
    let mut options = File::options();
    let file = options.read(true).write(true).create(true).truncate(false);
    let inner = FileBackend::new(file.open(dir.join("tree.redb")).unwrap()).unwrap();
    let backend = TreeBackend::new(Failing { inner, fails: Arc::clone(fails) }, dir.to_owned());
    Builder::new().create_with_backend(backend).unwrap()
}

fn insert(tree: &Database) -> bool {
    let transaction = tree.begin_write().unwrap();
    transaction.open_table(TABLE).unwrap().insert(1, 1).unwrap();
    transaction.commit().is_ok()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_tree_whose_sync_fails_loses_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let fails = Arc::new(AtomicBool::new(false));
    let tree = open(dir.path(), &fails);
    assert!(insert(&tree));
    assert_eq!(names(dir.path()), ["tree.redb"]);
    fails.store(true, Ordering::Relaxed);
    assert!(!insert(&tree));
    assert_eq!(names(dir.path()), ["tree.redb.doubted"]);
    drop(tree);
    assert_eq!(names(dir.path()), ["tree.redb.doubted"]);
}

/// The sync at the end of a tree has nobody to tell.
#[test]
fn a_tree_whose_last_sync_fails_loses_its_name_too() {
    let dir = tempfile::tempdir().unwrap();
    let fails = Arc::new(AtomicBool::new(false));
    let tree = open(dir.path(), &fails);
    assert!(insert(&tree));
    fails.store(true, Ordering::Relaxed);
    drop(tree);
    assert_eq!(names(dir.path()), ["tree.redb.doubted"]);
}
