//! What is done while nobody else writes.

use super::{Durability, Exclusive, Namespace, Store, StoreOptions};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use unison_base::{Lsn, NamespaceName, TxnId};
use unison_engine::{EngineOptions, Write, WriteError};

const SEGMENT_BYTES: u64 = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(30);

fn open(data_dir: &Path, durability: Durability) -> (Arc<Store>, Arc<Namespace>) {
    let store = Store::open(StoreOptions {
        data_dir: data_dir.to_owned(),
        durability,
        engine: EngineOptions { segment_bytes: SEGMENT_BYTES, ..EngineOptions::default() },
        tree_cache_bytes: 1 << 20,
        doubt_trees: false,
    });
    let store = store.unwrap();
    let namespace = store.create(&NamespaceName::new("default").unwrap()).unwrap();
    (store, namespace)
}

/// Reads a key, and waits for what there is to wait for.
fn look(namespace: &Namespace, transaction: u8) -> (Vec<u8>, Option<Lsn>) {
    let (told, heard) = mpsc::channel();
    let done = Box::new(move |acknowledged| told.send(acknowledged).unwrap());
    let look = |writer: &mut Exclusive<'_>| {
        let value = writer.reader()?.get(b"key").unwrap().unwrap();
        Ok::<_, WriteError>(value.bytes().unwrap().to_vec())
    };
    let (value, newest) = namespace.exclusively(TxnId([transaction; 16]), look, done).unwrap();
    if let Some(newest) = newest {
        assert!(heard.recv_timeout(PATIENCE).unwrap().unwrap() >= newest);
    }
    (value, newest)
}

#[test]
fn what_is_read_before_others_see_it_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let (store, namespace) = open(directory.path(), Durability::Always);
    namespace.write(&Write::put(b"key", b"old")).unwrap();
    assert_eq!(look(&namespace, 1), (b"old".to_vec(), None));
    // Another one's write, which waits for its sync.
    let staged = namespace.with_engine(|engine| {
        engine.stage(&Write::put(b"key", b"new"), 1).unwrap();
        engine.append(1).unwrap()
    });
    let staged = staged.unwrap();
    assert!(namespace.reader().applied() < staged);
    assert_eq!(look(&namespace, 2), (b"new".to_vec(), Some(staged)));
    assert!(namespace.reader().applied() >= staged && namespace.log().durable() >= staged);
    assert_eq!(look(&namespace, 3), (b"new".to_vec(), None));
    store.close().unwrap();
}

#[test]
fn one_that_meets_the_quota_says_so_and_nothing_of_it_happens() {
    let directory = tempfile::tempdir().unwrap();
    let (store, namespace) = open(directory.path(), Durability::Never);
    namespace.set_quota(Some(0)).unwrap();
    let (began, mut transaction) = (Instant::now(), 0_u128);
    let error = loop {
        transaction += 1;
        let fill = |writer: &mut Exclusive<'_>| {
            (0_u32..200).try_for_each(|key| {
                writer.stage(&Write::put(&key.to_be_bytes(), &[7; 1_000])).map(drop)
            })
        };
        let filled =
            namespace.exclusively(TxnId(transaction.to_le_bytes()), fill, Box::new(|_| {}));
        match filled {
            Err(WriteError::Busy(_)) if began.elapsed() < PATIENCE => {}
            filled => break filled.unwrap_err(),
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    assert_eq!(error, WriteError::Quota { limit: 0 });
    assert_eq!(namespace.reader().count().unwrap(), 0);
    store.close().unwrap();
}
