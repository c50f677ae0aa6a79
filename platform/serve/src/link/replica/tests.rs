use super::NamespaceReplica;
use crate::shutdown::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use unison_base::{LogId, Lsn, NamespaceName};
use unison_engine::EngineOptions;
use unison_link::Divergence;
use unison_linux::store::{Durability, Store, StoreOptions};
use unison_node::Replica;
use unison_walfs::LogRole;

fn store(root: &std::path::Path) -> Arc<Store> {
    let engine = EngineOptions { role: LogRole::Follower, ..EngineOptions::default() };
    Store::open(StoreOptions {
        data_dir: root.to_owned(),
        durability: Durability::Always,
        engine,
        tree_cache_bytes: 1 << 20,
        doubt_trees: false,
    })
    .unwrap()
}

#[test]
fn a_replica_whose_namespace_is_gone_makes_it_again() {
    let root = tempfile::tempdir().unwrap();
    let store = store(root.path());
    let name = NamespaceName::new("default").unwrap();
    let mut replica = NamespaceReplica::new(Arc::clone(&store), name.clone(), Shutdown::default());
    let log = LogId([7; 16]);
    replica.adopt(log).unwrap();
    assert_eq!(replica.end().unwrap().cursor.log, log);
    for why in [Divergence::Log, Divergence::Frame, Divergence::Ahead { durable: Lsn(3) }] {
        store.drop_namespace(&name).unwrap();
        assert_eq!(replica.set_aside(why, 1).unwrap().cursor.lsn, Lsn::ZERO, "{why}");
        store.drop_namespace(&name).unwrap();
        assert_eq!(replica.end().unwrap().cursor.lsn, Lsn::ZERO);
        replica.commit().unwrap();
    }
    replica.adopt(log).unwrap();
    assert_eq!(store.namespace("default").unwrap().log_id(), log);
}

#[test]
fn watchers_are_told_of_a_cut_at_once() {
    let root = tempfile::tempdir().unwrap();
    let store = store(root.path());
    let name = NamespaceName::new("default").unwrap();
    let mut replica = NamespaceReplica::new(Arc::clone(&store), name, Shutdown::default());
    replica.adopt(LogId([7; 16])).unwrap();
    let told = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&told);
    let namespace = store.namespace("default").unwrap();
    namespace.on_applied(move || {
        count.fetch_add(1, Ordering::Relaxed);
    });
    replica.set_aside(Divergence::Ahead { durable: Lsn::ZERO }, 1).unwrap();
    assert!(
        Arc::ptr_eq(&namespace, &store.namespace("default").unwrap()),
        "it was cut, not made anew"
    );
    assert_eq!(told.load(Ordering::Relaxed), 1);
}
