use super::{Connection, Shared, SystemClock, watch};
use crate::health::LinkHealth;
use crate::shutdown::Shutdown;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use unison_base::{Hlc, LogId, NamespaceName};
use unison_engine::{EngineOptions, Write};
use unison_link::{
    FollowerConfig, FollowerEvent, HeapFollower, LeaderConfig, LogEnd, NodeId, Role, Timing, Token,
};
use unison_linux::store::{Durability, Store, StoreOptions};
use unison_ports::Clock as _;

/// More than the sockets between two ends hold.
const VALUE_BYTES: usize = 1 << 20;
const VALUES: usize = 32;
const SOON: Duration = Duration::from_secs(10);

fn store(root: &std::path::Path) -> Arc<Store> {
    store_of(root, VALUES)
}

fn store_of(root: &std::path::Path, values: usize) -> Arc<Store> {
    let options = StoreOptions {
        data_dir: root.to_owned(),
        durability: Durability::Always,
        engine: EngineOptions::default(),
        tree_cache_bytes: 1 << 20,
        doubt_trees: false,
    };
    let store = Store::open(options).unwrap();
    let namespace = store.create(&NamespaceName::new("default").unwrap()).unwrap();
    for number in 0..values {
        let key = number.to_string();
        namespace.write(&Write::put(key.as_bytes(), &vec![7; VALUE_BYTES])).unwrap();
    }
    store
}

fn shared(store: Arc<Store>, timing: Timing) -> (Shared, watch::Sender<()>) {
    let (moved, durable) = watch::channel(());
    let config = LeaderConfig { timing, ..LeaderConfig::new(NodeId::try_from("hub").unwrap()) };
    let health = Arc::new(LinkHealth::default());
    (Shared { store, health, shutdown: Shutdown::default(), config, durable }, moved)
}

/// A follower of no namespace, with a window that never fills.
fn follower() -> HeapFollower {
    let config = FollowerConfig {
        node: NodeId::try_from("edge").unwrap(),
        token: Token::default(),
        role: Role::Replica,
        window_bytes: u32::MAX,
        run_bytes_max: 32 << 20,
        timing: Timing { beat_ms: 50, ..Timing::default() },
    };
    HeapFollower::new(config, vec![0; 64 << 10], Vec::new(), 1, 0).unwrap()
}

/// What a follower of `default` says first: its Hello.
fn hello() -> Vec<u8> {
    let mut follower = follower();
    let name = NamespaceName::new("default").unwrap();
    follower.follow(name, LogEnd::empty(LogId::default())).unwrap();
    follower.connected(0);
    let mut out = vec![0; 4 << 10];
    let bytes = follower.poll_transmit(0, &mut out);
    out.truncate(bytes);
    out
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {SOON:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A connection served by the leader, whose follower has said hello and reads nothing.
async fn deaf_follower(
    shared: &Shared,
) -> (TcpStream, tokio::task::JoinHandle<std::io::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut edge = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (accepted, peer) = listener.accept().await.unwrap();
    let connection = Connection::new(Some(peer), shared.clone());
    let served = tokio::spawn(connection.run(accepted));
    edge.write_all(&hello()).await.unwrap();
    let health = Arc::clone(&shared.health);
    until("the follower is known", move || health.followers().len() == 1).await;
    (edge, served)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_died_with_bytes_on_their_way_is_given_up() {
    let root = tempfile::tempdir().unwrap();
    let timing = Timing { beat_ms: 50, handshake_ms: 400, ..Timing::default() };
    let (shared, _moved) = shared(store(root.path()), timing);
    let since = Instant::now();
    let (mut edge, served) = deaf_follower(&shared).await;
    let ended = tokio::time::timeout(SOON, served).await.expect("given up").unwrap();
    assert_eq!(ended.unwrap_err().to_string(), "the peer is silent");
    assert!(since.elapsed() >= Duration::from_millis(400), "given up after {:?}", since.elapsed());
    assert!(shared.health.followers().is_empty());
    let mut sent = Vec::new();
    let _ = edge.read_to_end(&mut sent).await;
    assert!(sent.len() < VALUES * VALUE_BYTES, "{} bytes: the line was never full", sent.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_does_not_wait_for_ever_for_a_follower_that_takes_no_bytes() {
    let root = tempfile::tempdir().unwrap();
    let (shared, _moved) = shared(store(root.path()), Timing::default());
    let (_edge, served) = deaf_follower(&shared).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    shared.shutdown.begin();
    let ended = tokio::time::timeout(SOON, served).await.expect("given up").unwrap();
    assert_eq!(ended.unwrap_err().to_string(), "the end was not taken in time");
    assert!(shared.health.followers().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_beat_tells_what_time_it_is() {
    let root = tempfile::tempdir().unwrap();
    let (shared, _moved) = shared(store_of(root.path(), 0), Timing::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut edge = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (accepted, peer) = listener.accept().await.unwrap();
    tokio::spawn(Connection::new(Some(peer), shared.clone()).run(accepted));
    let mut follower = follower();
    follower.connected(0);
    let mut out = [0; 4 << 10];
    let bytes = follower.poll_transmit(0, &mut out);
    edge.write_all(&out[..bytes]).await.unwrap();
    let told = loop {
        match follower.poll_event() {
            Some(FollowerEvent::Beat { hlc }) => break hlc,
            Some(_) => {}
            None => {
                let read = tokio::time::timeout(SOON, edge.read(follower.space())).await;
                let bytes = read.expect("a beat").unwrap();
                assert!(bytes > 0, "the leader closed");
                follower.received(bytes, 0);
            }
        }
    };
    let now = Hlc::from_millis(SystemClock::default().wall_ms());
    let away_ms = now.millis().saturating_sub(told.millis());
    assert!(told <= now && away_ms < 60_000, "{told:?} at {now:?}");
}
