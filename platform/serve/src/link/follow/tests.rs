use super::{Driver, Epoch, FollowOptions, NamespaceReplica, has_recovered};
use crate::health::{FollowState, LinkHealth};
use crate::shutdown::Shutdown;
use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use unison_base::{Lsn, NamespaceName};
use unison_engine::EngineOptions;
use unison_link::{FollowerConfig, Lag, NodeId, Role, Standing, Timing, Token};
use unison_linux::store::{Durability, Store, StoreOptions};
use unison_node::{FollowerSession, ReplicaError, Stepped};
use unison_walfs::LogRole;

fn driver(root: &std::path::Path, hub: &str) -> Driver {
    let engine = EngineOptions { role: LogRole::Follower, ..EngineOptions::default() };
    let options = StoreOptions {
        data_dir: root.to_owned(),
        durability: Durability::Always,
        engine,
        tree_cache_bytes: 1 << 20,
        doubt_trees: false,
    };
    let (store, shutdown) = (Store::open(options).unwrap(), Shutdown::default());
    let node = NodeId::try_from("edge").unwrap();
    let config = FollowerConfig {
        node: node.clone(),
        token: Token::default(),
        role: Role::Replica,
        window_bytes: 64 << 10,
        run_bytes_max: 1 << 20,
        timing: Timing::default(),
    };
    let epoch = Epoch::now();
    let mut session = FollowerSession::new(config, 1, 0).unwrap();
    let name = NamespaceName::new("default").unwrap();
    let replica = NamespaceReplica::new(store, name.clone(), shutdown.clone());
    session.follow(name.clone(), replica).unwrap().unwrap();
    let hub = hub.parse().unwrap();
    let options = FollowOptions { node, hub, namespaces: vec![name], seed: 1 };
    Driver::new(session, Arc::new(LinkHealth::default()), shutdown, options, epoch)
}

fn state(driver: &Driver) -> FollowState {
    driver.health.upstream().unwrap().namespaces["default"].state.clone()
}

#[test]
fn being_served_does_not_make_a_troubled_namespace_ready() {
    let root = tempfile::tempdir().unwrap();
    let mut driver = driver(root.path(), "hub:4003");
    driver.tell(Stepped::Serving { namespace: 0 });
    assert_eq!(state(&driver), FollowState::Following);
    driver.tell(Stepped::Replica { namespace: 0, error: ReplicaError::InUse });
    driver.tell(Stepped::Serving { namespace: 0 });
    driver.report_progress();
    assert_eq!(state(&driver), FollowState::Waiting { reason: ReplicaError::InUse.to_string() });
    let why = unison_link::Divergence::Log;
    driver.tell(Stepped::SetAside { namespace: 0, why });
    driver.tell(Stepped::Serving { namespace: 0 });
    assert_eq!(state(&driver), FollowState::Following);
}

#[test]
fn trouble_is_over_when_records_were_taken_or_none_are_missing() {
    let lag = Lag {
        standing: Standing::Following,
        leader_durable: Lsn(9),
        received: Lsn(5),
        durable: Lsn(5),
        applied: Lsn(5),
        records_behind: 4,
        since_in_sync_ms: None,
    };
    assert!(!has_recovered(&lag, Lsn(5)));
    assert!(has_recovered(&Lag { applied: Lsn(6), ..lag }, Lsn(5)));
    assert!(has_recovered(&Lag { records_behind: 0, ..lag }, Lsn(5)));
    let asking = Lag { standing: Standing::Asking, records_behind: 0, ..lag };
    assert!(!has_recovered(&asking, Lsn(5)));
}

#[test]
fn why_a_connection_ended_is_said_first() {
    let root = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let hub = listener.local_addr().unwrap().to_string();
    let mut driver = driver(root.path(), &hub);
    driver.report(None);
    driver.tell(Stepped::Replica { namespace: 0, error: ReplicaError::InUse });
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(&[0xFF; 64]).unwrap();
        // Open until the follower has had enough.
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    driver.attempt();
    let upstream = driver.health.upstream().unwrap();
    let error = upstream.last_error.unwrap();
    assert!(!error.contains("connection was closed") && !upstream.connected, "{error}");
    let obstacle = driver.health.obstacles().join("; ");
    let expected = format!("namespace default is not connected to {hub}: {error}");
    assert!(obstacle.starts_with(&expected), "{obstacle}");
    assert!(obstacle.ends_with(&ReplicaError::InUse.to_string()), "{obstacle}");
    served.join().unwrap();
}
