//! What is done while nobody else writes.

use super::{Acknowledged, Durability, Exclusive, Namespace, Store, StoreOptions};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use unison_base::{Lsn, NamespaceName, TxnId};
use unison_engine::{Condition, EngineOptions, Operation, TransactionError, Write, WriteError};

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
    // What a condition has found is read as well. Here it is not even appended.
    let staged = namespace.with_engine(|engine| engine.stage(&Write::put(b"other", b"new"), 1));
    let staged = staged.unwrap().unwrap().lsn;
    let (told, heard) = mpsc::channel();
    let done = Box::new(move |acknowledged| told.send(acknowledged).unwrap());
    let put_absent = |writer: &mut Exclusive<'_>| {
        let write = Write { condition: Condition::Absent, ..Write::put(b"other", b"newer") };
        let refused = writer.stage_alone(&write).unwrap_err();
        assert_eq!(refused, WriteError::Conflict { current: Some(staged) });
        Ok::<_, WriteError>(())
    };
    let (_, newest) = namespace.exclusively(TxnId([4; 16]), put_absent, done).unwrap();
    assert_eq!(newest, Some(staged));
    assert!(heard.recv_timeout(PATIENCE).unwrap().unwrap() >= staged);
    assert!(namespace.log().durable() >= staged);
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

/// Holds the writer of a namespace on a thread of its own until it is told to let it go.
struct Holding {
    let_go: mpsc::Sender<()>,
    holder: thread::JoinHandle<Result<(), WriteError>>,
}

impl Holding {
    fn take(namespace: &Arc<Namespace>, transaction: u8) -> Self {
        let (let_go, told) = mpsc::channel();
        let (holds, held) = mpsc::channel();
        let namespace = Arc::clone(namespace);
        let holder = thread::spawn(move || {
            let act = |writer: &mut Exclusive<'_>| {
                writer.stage(&Write::put(b"of the holder", b"first"))?;
                writer.reader()?;
                holds.send(()).unwrap();
                told.recv_timeout(PATIENCE).unwrap();
                writer.stage(&Write::put(b"of the holder", b"second")).map(drop)
            };
            let done = Box::new(|_| {});
            namespace.exclusively(TxnId([transaction; 16]), act, done).map(drop)
        });
        held.recv_timeout(PATIENCE).unwrap();
        Self { let_go, holder }
    }

    fn let_go(self) -> Result<(), WriteError> {
        self.let_go.send(()).unwrap();
        self.holder.join().unwrap()
    }
}

/// Hands a write over; what comes says that it is acknowledged.
fn submit(namespace: &Namespace, key: &[u8]) -> mpsc::Receiver<Lsn> {
    let (told, heard) = mpsc::channel();
    let done = Box::new(move |acknowledged: Acknowledged| {
        let _ = told.send(acknowledged.unwrap());
    });
    for outcome in namespace.submit(&[Write::put(key, b"value")], done) {
        outcome.unwrap();
    }
    heard
}

#[test]
fn all_but_the_writers_of_a_namespace_go_on_while_its_writer_is_held() {
    let directory = tempfile::tempdir().unwrap();
    let (store, other) = open(directory.path(), Durability::Always);
    // More than there are threads that sync or flush.
    let names = (0..12).map(|number| NamespaceName::new(&format!("held-{number}")).unwrap());
    let held: Vec<_> = names.map(|name| store.create(&name).unwrap()).collect();
    let acknowledged: Vec<_> = held.iter().map(|namespace| submit(namespace, b"before")).collect();
    let holdings: Vec<_> = held.iter().map(|namespace| Holding::take(namespace, 1)).collect();
    for (namespace, acknowledged) in held.iter().zip(acknowledged) {
        let lsn = acknowledged.recv_timeout(PATIENCE).unwrap();
        assert!(namespace.log().durable() >= lsn && namespace.reader().applied() >= lsn);
        assert!(namespace.reader().get(b"before").unwrap().is_some());
        assert!(namespace.reader().get(b"of the holder").unwrap().is_none());
        assert!(namespace.status().engine.is_some());
        namespace.sync_soon();
    }
    other.write(&Write::put(b"key", b"value")).unwrap();
    let third = |namespace: Arc<Namespace>| {
        thread::spawn(move || namespace.write(&Write::put(b"of the holder", b"third")).unwrap())
    };
    let writers: Vec<_> = held.iter().cloned().map(third).collect();
    holdings.into_iter().for_each(|holding| holding.let_go().unwrap());
    writers.into_iter().for_each(|writer| drop(writer.join().unwrap()));
    for namespace in &held {
        let value = namespace.reader().get(b"of the holder").unwrap().unwrap();
        assert_eq!(&*value.bytes().unwrap(), b"third");
    }
    store.close().unwrap();
}

#[test]
fn a_command_that_panics_lets_the_writer_go_and_nothing_of_it_happens() {
    let directory = tempfile::tempdir().unwrap();
    let (store, namespace) = open(directory.path(), Durability::Always);
    let of_it = Arc::clone(&namespace);
    let panicking = thread::spawn(move || {
        let act = |writer: &mut Exclusive<'_>| -> Result<(), WriteError> {
            writer.stage(&Write::put(b"key", b"value"))?;
            panic!("as planned")
        };
        of_it.exclusively(TxnId([1; 16]), act, Box::new(|_| {})).map(drop)
    });
    panicking.join().unwrap_err();
    namespace.write(&Write::put(b"other", b"value")).unwrap();
    assert!(namespace.reader().get(b"key").unwrap().is_none());
    assert_eq!(namespace.with_engine(|engine| engine.open_transactions()).unwrap(), 0);
    store.close().unwrap();
}

#[test]
fn closing_waits_for_whoever_holds_the_writer() {
    let directory = tempfile::tempdir().unwrap();
    let (store, namespace) = open(directory.path(), Durability::Always);
    let holding = Holding::take(&namespace, 1);
    let closing = thread::spawn(move || store.close().unwrap());
    thread::sleep(Duration::from_millis(50));
    assert!(!closing.is_finished());
    holding.let_go().unwrap();
    closing.join().unwrap();
    let late = namespace.exclusively(TxnId([2; 16]), |_| Ok::<_, WriteError>(()), Box::new(|_| {}));
    assert_eq!(late.unwrap_err(), WriteError::Closed);
}

/// Adds 1 to a number, twice as large as it is to everybody else meanwhile.
fn count_on(namespace: &Namespace, transaction: [u8; 2]) {
    let (told, heard) = mpsc::channel();
    let done = Box::new(move |acknowledged: Acknowledged| told.send(acknowledged).unwrap());
    let act = |writer: &mut Exclusive<'_>| {
        let value = writer.reader()?.get(b"number").unwrap();
        let before = value.map_or(0, |value| {
            u64::from_le_bytes(value.bytes().unwrap().as_ref().try_into().unwrap())
        });
        writer.stage(&Write::put(b"number", &(before * 2).to_le_bytes()))?;
        thread::yield_now();
        writer.stage(&Write::put(b"number", &(before + 1).to_le_bytes())).map(drop)
    };
    let mut id = [1; 16];
    id[..2].copy_from_slice(&transaction);
    let (_, newest) = namespace.exclusively(TxnId(id), act, done).unwrap();
    let acknowledged = heard.recv_timeout(PATIENCE).unwrap().unwrap();
    assert!(acknowledged >= newest.unwrap());
}

#[test]
fn holders_and_writers_in_a_race_are_all_acknowledged_and_nobody_comes_in_between() {
    const ROUNDS: u8 = 40;
    let directory = tempfile::tempdir().unwrap();
    let (store, namespace) = open(directory.path(), Durability::Always);
    thread::scope(|scope| {
        for holder in 0..3 {
            let namespace = &namespace;
            scope.spawn(move || {
                (0..ROUNDS).for_each(|round| count_on(namespace, [holder, round]));
            });
        }
        for writer in 0..3_u8 {
            let namespace = &namespace;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let acknowledged = submit(namespace, &[writer, round]);
                    acknowledged.recv_timeout(PATIENCE).unwrap();
                    namespace.expire();
                    namespace.tend();
                }
            });
        }
    });
    let number = namespace.reader().get(b"number").unwrap().unwrap();
    let number = u64::from_le_bytes(number.bytes().unwrap().as_ref().try_into().unwrap());
    assert_eq!(number, 3 * u64::from(ROUNDS));
    assert_eq!(namespace.reader().count().unwrap(), 1 + 3 * u64::from(ROUNDS));
    store.close().unwrap();
}

#[test]
fn open_transactions_of_all_namespaces_are_bounded_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let (store, first) = open(directory.path(), Durability::Never);
    let second = store.create(&NamespaceName::new("second").unwrap()).unwrap();
    let limit = 64 << 10;
    store.limit_transactions(limit);
    let begin = |namespace: &Namespace, number: u8| {
        namespace.write(&Write::new(Operation::Begin).within(TxnId([number; 16]))).map(drop)
    };
    let put = |namespace: &Namespace, number: u8, key: u32| {
        let key = key.to_be_bytes();
        namespace.write(&Write::put(&key, b"value").within(TxnId([number; 16]))).map(drop)
    };
    begin(&first, 1).unwrap();
    begin(&second, 2).unwrap();
    let refused = (0..).find_map(|key| put(&first, 1, key).err()).unwrap();
    assert_eq!(refused, WriteError::Transaction(TransactionError::NodeFull { limit }));
    assert!(refused.to_string().contains("transactions-size"), "{refused}");
    assert_eq!(put(&second, 2, 0), Err(refused));
    assert_eq!(begin(&second, 3), Err(refused));
    let exec = |writer: &mut Exclusive<'_>| writer.stage(&Write::put(b"key", b"v")).map(drop);
    let id = TxnId([4; 16]);
    assert_eq!(second.exclusively(id, exec, Box::new(|_| {})).unwrap_err(), refused);
    second.write(&Write::put(b"alone", b"value")).unwrap();
    // It may end, however full it is.
    first.write(&Write::new(Operation::Commit(&[])).within(TxnId([1; 16]))).unwrap();
    put(&second, 2, 0).unwrap();
    second.exclusively(id, exec, Box::new(|_| {})).unwrap();
    let refused_again = (1..).find_map(|key| put(&second, 2, key).err()).unwrap();
    assert_eq!(refused_again, refused);
    store.drop_namespace(second.name()).unwrap();
    begin(&first, 5).unwrap();
    store.close().unwrap();
}
