//! Uploads whose client has gone away.

use super::AbortOnDrop;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use unison_base::{NamespaceName, TxnId};
use unison_engine::{EngineOptions, Operation, Write, WriteError};
use unison_linux::store::{Durability, Exclusive, Namespace, Store, StoreOptions};

const PATIENCE: Duration = Duration::from_secs(10);
const UPLOAD: TxnId = TxnId([1; 16]);

fn open() -> (tempfile::TempDir, Arc<Namespace>) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions {
        data_dir: directory.path().to_owned(),
        durability: Durability::Never,
        engine: EngineOptions { segment_bytes: 64 << 10, ..EngineOptions::default() },
        tree_cache_bytes: 1 << 20,
        doubt_trees: false,
    });
    let namespace = store.unwrap().create(&NamespaceName::new("default").unwrap()).unwrap();
    (directory, namespace)
}

fn open_transactions(namespace: &Namespace) -> usize {
    namespace.with_engine(|engine| engine.open_transactions()).unwrap()
}

/// The test has one thread for all tasks: if the abort waited with it, nobody would let the writer go.
#[tokio::test]
async fn an_abort_waits_for_whoever_holds_the_writer_without_a_thread() {
    let (_directory, namespace) = open();
    namespace.write(&Write::new(Operation::Begin).within(UPLOAD)).unwrap();
    let (let_go, told) = mpsc::channel();
    let (holds, held) = mpsc::channel();
    let alone = namespace.turn_alone().await;
    let holder = thread::spawn({
        let namespace = Arc::clone(&namespace);
        move || {
            let act = |_: &mut Exclusive<'_>| {
                holds.send(()).unwrap();
                told.recv_timeout(PATIENCE).unwrap();
                Ok::<_, WriteError>(())
            };
            namespace.exclusively(TxnId([2; 16]), act, Box::new(|_| {})).unwrap();
            drop(alone);
        }
    });
    held.recv_timeout(PATIENCE).unwrap();
    drop(AbortOnDrop::new(&namespace, UPLOAD));
    tokio::task::yield_now().await;
    assert_eq!(open_transactions(&namespace), 1);
    let_go.send(()).unwrap();
    holder.join().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while open_transactions(&namespace) > 0 {
        assert!(Instant::now() < deadline, "it was never aborted");
        tokio::task::yield_now().await;
    }
}

#[test]
fn an_abort_needs_no_runtime() {
    let (_directory, namespace) = open();
    namespace.write(&Write::new(Operation::Begin).within(UPLOAD)).unwrap();
    drop(AbortOnDrop::new(&namespace, UPLOAD));
    assert_eq!(open_transactions(&namespace), 0);
}
