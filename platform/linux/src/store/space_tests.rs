//! Quotas, copies of the tree, and segments that leave the log.

use super::{Durability, Namespace, Store, StoreOptions, TreeCopied};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use unison_base::{Lsn, NamespaceName};
use unison_engine::{EngineOptions, Write, WriteError};

const SEGMENT_BYTES: u64 = 64 << 10;
const VALUE: [u8; 1_000] = [7; 1_000];

fn open(data_dir: &Path, engine: EngineOptions) -> Arc<Store> {
    let options = StoreOptions {
        data_dir: data_dir.to_owned(),
        durability: Durability::Never,
        engine: EngineOptions {
            memtable_bytes: 8 << 10,
            segment_bytes: SEGMENT_BYTES,
            transaction_idle_ms: 1_000,
            ..engine
        },
        tree_cache_bytes: 1 << 20,
        doubt_trees: false,
    };
    Store::open(options).unwrap()
}

fn namespace(store: &Store) -> Arc<Namespace> {
    store.create(&NamespaceName::new("default").unwrap()).unwrap()
}

/// Closes it, and waits until no thread of it holds the directory.
fn close(store: Arc<Store>) {
    store.close().unwrap();
    let gone = Arc::downgrade(&store);
    drop(store);
    while gone.strong_count() > 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn put(namespace: &Namespace, number: u32) -> Result<Lsn, WriteError> {
    namespace.write(&Write::put(&number.to_be_bytes(), &VALUE)).map(|written| written.lsn)
}

/// Writes until it is refused; the number of writes.
fn fill(namespace: &Namespace, limit: u64) -> u32 {
    for number in 0..10_000 {
        match put(namespace, number) {
            Ok(_) => {}
            Err(WriteError::Quota { limit: told }) => {
                assert_eq!(told, limit);
                return number;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the quota did not hold");
}

/// What a quota bounds at all times. The tree of a flush that is under way may come on top.
fn log_bytes(namespace: &Namespace) -> u64 {
    namespace.log().segments().iter().map(|segment| segment.size).sum()
}

#[test]
fn a_quota_stops_the_log_names_itself_survives_and_ends() {
    let directory = tempfile::tempdir().unwrap();
    let limit = 40 * SEGMENT_BYTES;
    let store = open(directory.path(), EngineOptions::default());
    let limited = namespace(&store);
    limited.set_quota(Some(limit)).unwrap();
    let written = fill(&limited, limit);
    assert!(written > 200 && log_bytes(&limited) <= limit, "{written}");
    assert_eq!(limited.reader().get(&0_u32.to_be_bytes()).unwrap().unwrap().len(), VALUE.len());
    drop(limited);
    close(store);

    let store = open(directory.path(), EngineOptions::default());
    let limited = namespace(&store);
    assert_eq!(limited.quota_bytes(), Some(limit));
    fill(&limited, limit);
    assert!(log_bytes(&limited) <= limit, "{}", log_bytes(&limited));
    limited.set_quota(None).unwrap();
    put(&limited, 0).unwrap();
    limited.set_quota(Some(0)).unwrap();
    fill(&limited, 0);
    limited.set_quota(None).unwrap();
    drop(limited);
    close(store);
    assert_eq!(namespace(&open(directory.path(), EngineOptions::default())).quota_bytes(), None);
}

#[test]
fn a_quota_that_is_no_number_stops_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), EngineOptions::default());
    drop(namespace(&store));
    close(store);
    std::fs::write(directory.path().join("default/quota"), "much").unwrap();
    let options = StoreOptions {
        data_dir: directory.path().to_owned(),
        durability: Durability::Never,
        engine: EngineOptions::default(),
        tree_cache_bytes: 1 << 20,
        doubt_trees: false,
    };
    let error = Store::open(options).unwrap_err().to_string();
    assert!(error.contains("no whole number of bytes"), "{error}");
}

/// A new data directory: this copy of a tree, and the log of `from` as it is now.
fn restored(from: &Path, tree: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    let (old, new) = (from.join("default/wal"), to.path().join("default/wal"));
    std::fs::create_dir_all(&new).unwrap();
    for entry in std::fs::read_dir(old).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, new.join(path.file_name().unwrap())).unwrap();
    }
    std::fs::copy(tree, to.path().join("default/tree.redb")).unwrap();
    to
}

#[test]
fn a_tree_that_is_copied_while_it_is_written_serves_with_its_log() {
    let (directory, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(directory.path(), EngineOptions::default());
    let busy = namespace(&store);
    for number in 0..500 {
        put(&busy, number).unwrap();
    }
    let path = backup.path().join("tree");
    let copied: Vec<TreeCopied> = std::thread::scope(|scope| {
        let writer =
            scope.spawn(|| (500..3_000).try_for_each(|number| put(&busy, number).map(drop)));
        let copied = (0..5).map(|_| busy.copy_tree(&path).unwrap()).collect();
        writer.join().unwrap().unwrap();
        copied
    });
    let last = copied.last().unwrap();
    assert!(last.lsn > Lsn::ZERO && copied.is_sorted_by_key(|copied| copied.lsn), "{copied:?}");
    assert_eq!(std::fs::metadata(&path).unwrap().len(), last.bytes);
    assert_eq!(std::fs::read_dir(backup.path()).unwrap().count(), 1, "nothing unfinished is left");
    drop(busy);
    close(store);

    let again = restored(directory.path(), &path);
    let store = open(again.path(), EngineOptions::default());
    let restored = namespace(&store);
    assert_eq!(restored.reader().count().unwrap(), 3_000);
    for number in 0_u32..3_000 {
        let value = restored.reader().get(&number.to_be_bytes()).unwrap().unwrap();
        assert_eq!(value.bytes().unwrap()[..], VALUE[..], "{number}");
    }
}

#[test]
fn a_copy_that_cannot_be_made_changes_nothing() {
    let (directory, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(directory.path(), EngineOptions::default());
    let namespace = namespace(&store);
    assert!(namespace.copy_tree(backup.path()).is_err(), "a directory");
    assert!(namespace.copy_tree(&backup.path().join("none/tree")).is_err(), "no such directory");
    assert_eq!(std::fs::read_dir(backup.path()).unwrap().count(), 0);
    namespace.copy_tree(&backup.path().join("tree")).unwrap();
    drop(namespace);
    close(store);
}

#[test]
fn segments_leave_a_log_that_is_told_how_much_to_keep() {
    let directory = tempfile::tempdir().unwrap();
    let keep_bytes = Some(4 * SEGMENT_BYTES);
    let store = open(directory.path(), EngineOptions { keep_bytes, ..EngineOptions::default() });
    let small = namespace(&store);
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut most = 0;
    while small.log().first() < Lsn(500) || small.disk_bytes().unwrap() > most / 2 {
        assert!(Instant::now() < deadline, "{} bytes", small.disk_bytes().unwrap());
        for _ in 0..100 {
            // The same keys again and again: little of a segment stays live.
            (0..10).try_for_each(|number| put(&small, number).map(drop)).unwrap();
        }
        most = most.max(small.disk_bytes().unwrap());
        std::thread::sleep(Duration::from_millis(100));
    }
    for number in 0_u32..10 {
        let value = small.reader().get(&number.to_be_bytes()).unwrap().unwrap();
        assert_eq!(value.bytes().unwrap()[..], VALUE[..], "{number}");
    }
    drop(small);
    close(store);
    let store = open(directory.path(), EngineOptions { keep_bytes, ..EngineOptions::default() });
    assert_eq!(namespace(&store).reader().count().unwrap(), 10);
}

#[test]
fn what_expired_is_removed_in_parts_although_nobody_writes() {
    let dir = tempfile::tempdir().unwrap();
    let engine = EngineOptions { removal_delay_ms: 1, removed_keys_max: 16, ..Default::default() };
    let store = open(dir.path(), engine);
    let namespace = namespace(&store);
    let expires_at = namespace.reader().now_ms() + 500;
    for key in 0..40_u8 {
        let put = Write::put(core::slice::from_ref(&key), &VALUE);
        namespace.write(&put.expiring_at(expires_at)).unwrap();
    }
    let flushed = namespace.with_engine(|engine| {
        let job = engine.flush_now().unwrap();
        engine.flushed(job.run()).unwrap();
        engine.stats().tree_keys
    });
    assert_eq!(flushed, Ok(40));
    let deadline = Instant::now() + Duration::from_secs(120);
    while namespace.with_engine(|engine| engine.stats().tree_keys) != Ok(0) {
        assert!(Instant::now() < deadline, "nothing was removed");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(namespace.with_engine(|engine| engine.stats().live_bytes), Ok(0));
    close(store);
}
