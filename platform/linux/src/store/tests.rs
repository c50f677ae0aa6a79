//! Opening a store over what cuts and damage leave.

use super::{Durability, Namespace, Store, StoreError, StoreOptions};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use unison_base::NamespaceName;
use unison_engine::{EngineOptions, Write};
use unison_walfs::LogRole;

const KEYS: u32 = 300;

fn open(data_dir: &Path) -> Arc<Store> {
    try_open(data_dir).unwrap()
}

fn try_open(data_dir: &Path) -> Result<Arc<Store>, StoreError> {
    open_as(LogRole::Leader, data_dir)
}

fn open_as(role: LogRole, data_dir: &Path) -> Result<Arc<Store>, StoreError> {
    let engine = EngineOptions { memtable_bytes: 8 << 10, role, ..EngineOptions::default() };
    let data_dir = data_dir.to_owned();
    let options = StoreOptions {
        data_dir,
        durability: Durability::Always,
        engine,
        tree_cache_bytes: 1 << 20,
        doubt_trees: false,
    };
    Store::open(options)
}

fn name() -> NamespaceName {
    NamespaceName::new("default").unwrap()
}

fn fill(data_dir: &Path) {
    let store = open(data_dir);
    let namespace = store.create(&name()).unwrap();
    for number in 0..KEYS {
        let key = number.to_be_bytes();
        namespace.write(&Write::put(&key, &vec![7; 400])).unwrap();
    }
    store.close().unwrap();
}

fn assert_filled(data_dir: &Path) {
    let store = open(data_dir);
    let namespace = store.namespace("default").unwrap();
    for number in 0..KEYS {
        let value = namespace.reader().get(&number.to_be_bytes()).unwrap();
        assert_eq!(value.unwrap().bytes().unwrap()[..], vec![7; 400][..], "key {number}");
    }
    assert_eq!(namespace.reader().count().unwrap(), u64::from(KEYS));
}

#[test]
fn a_damaged_tree_is_made_anew_from_the_log() {
    for damage in ["gone", "empty", "garbage", "flipped"] {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path());
        let tree = dir.path().join("default/tree.redb");
        let bytes = fs::read(&tree).unwrap();
        match damage {
            "gone" => fs::remove_file(&tree).unwrap(),
            "empty" => fs::write(&tree, b"").unwrap(),
            "garbage" => fs::write(&tree, vec![0xA5; bytes.len()]).unwrap(),
            _ => {
                fs::write(&tree, bytes.iter().map(|byte| byte ^ 0x10).collect::<Vec<_>>()).unwrap()
            }
        }
        assert_filled(dir.path());
        assert_filled(dir.path());
        let kept = dir.path().join("default/tree.redb.damaged").exists();
        assert_eq!(kept, damage == "garbage" || damage == "flipped", "{damage}");
    }
}

/// A directory whose tree is doubted, as a failed sync leaves it.
fn doubted() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let kept = dir.path().join("default/tree.redb.doubted");
    fs::rename(dir.path().join("default/tree.redb"), &kept).unwrap();
    (dir, kept)
}

#[test]
fn a_doubted_tree_is_replaced_once_the_log_is_known_to_hold_everything() {
    let (dir, kept) = doubted();
    // Left by a start that was cut off while it made the new one.
    fs::write(dir.path().join("default/tree.redb"), vec![0; 4096]).unwrap();
    assert_filled(dir.path());
    assert!(!kept.exists());
    assert!(dir.path().join("default/tree.redb.damaged").exists());
    assert_filled(dir.path());
}

#[test]
fn a_doubted_tree_is_not_replaced_by_one_that_lacks_something() {
    let (dir, kept) = doubted();
    let segment = dir.path().join("default/wal/000000001.seg");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[50_000] ^= 1;
    fs::write(&segment, bytes).unwrap();
    for _ in 0..2 {
        let StoreError::TreeLost { missing, .. } = try_open(dir.path()).unwrap_err() else {
            panic!("opened without a part of its records");
        };
        assert_eq!(missing, 1);
        assert!(kept.exists());
    }
    fs::remove_file(&kept).unwrap();
    let store = open(dir.path());
    assert_eq!(store.namespace("default").unwrap().open_report().missing, 1);
}

/// A hub whose log is gone must not begin a new history; an edge fetches everything.
#[test]
fn a_damaged_tree_over_an_empty_log_stops_a_hub_and_no_edge() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("default/wal")).unwrap();
    fs::write(dir.path().join("default/tree.redb"), vec![0xA5; 64 << 10]).unwrap();
    assert!(matches!(try_open(dir.path()), Err(StoreError::Tree { .. })));
    assert!(open_as(LogRole::Follower, dir.path()).is_ok());
    assert!(dir.path().join("default/tree.redb.damaged").exists());
}

#[test]
fn a_tree_whose_making_was_cut_off_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("default/wal")).unwrap();
    fs::write(dir.path().join("default/tree.redb.new"), vec![0; 4096]).unwrap();
    let store = open(dir.path());
    assert!(store.namespace("default").is_some());
    assert!(!dir.path().join("default/tree.redb.new").exists());
}

#[test]
fn a_dropped_namespace_is_gone_and_can_be_made_anew_with_another_log() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let store = open(dir.path());
    let before = store.namespace("default").unwrap().log_id();
    store.drop_namespace(&name()).unwrap();
    assert!(store.namespace("default").is_none());
    assert!(!dir.path().join("default").exists());
    let again = store.create(&name()).unwrap();
    assert_ne!(again.log_id(), before);
    assert_eq!(again.reader().count().unwrap(), 0);
}

/// Keeps writing to one namespace through callbacks, as a server does, until told to stop.
fn write_without_end(namespace: Arc<Namespace>, stop: Arc<AtomicBool>) {
    if stop.load(Ordering::Acquire) {
        return;
    }
    let (again, until) = (Arc::clone(&namespace), Arc::clone(&stop));
    let done = Box::new(move |_| write_without_end(again, until));
    namespace.submit(&[Write::put(b"busy", b"value")], done);
}

#[test]
fn busy_namespaces_do_not_keep_others_from_being_synced() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let stop = Arc::new(AtomicBool::new(false));
    for number in 0..8 {
        let name = NamespaceName::new(&format!("busy-{number}")).unwrap();
        write_without_end(store.create(&name).unwrap(), Arc::clone(&stop));
    }
    let quiet = store.create(&name()).unwrap();
    let (told, heard) = std::sync::mpsc::channel();
    for _ in 0..20 {
        let told = told.clone();
        let done = Box::new(move |result| told.send(result).unwrap());
        quiet.submit(&[Write::put(b"quiet", b"value")], done);
        heard.recv_timeout(Duration::from_secs(10)).expect("an answer").unwrap();
    }
    stop.store(true, Ordering::Release);
    store.close().unwrap();
}
