//! Conversations in RESP.

use super::running::{Client, Running, Setting, array};
use std::time::Duration;
use unison_base::{Lsn, NamespaceName};
use unison_linux::store::Durability;
use unison_serve::config::Address;
use unison_serve::node::Role;

#[test]
fn keys_are_set_read_and_removed() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    client.ask(&["GET", "k"], "$-1\r\n");
    client.ask(&["SET", "k", "v1"], "+OK\r\n");
    client.ask(&["get", "k"], "$2\r\nv1\r\n");
    client.ask(&["SET", "k", "v2", "NX"], "$-1\r\n");
    client.ask(&["SET", "k", "v2", "XX", "GET"], "$2\r\nv1\r\n");
    client.ask(&["SET", "k", "v3", "NX", "GET"], "$2\r\nv2\r\n");
    client.ask(&["SET", "new", "x", "NX", "GET"], "$-1\r\n");
    client.ask(&["SET", "absent", "x", "XX"], "$-1\r\n");
    client.ask(&["GETSET", "k", "v4"], "$2\r\nv2\r\n");
    client.ask(&["SETNX", "k", "no"], ":0\r\n");
    client.ask(&["SETNX", "k2", "yes"], ":1\r\n");
    client.ask(&["STRLEN", "k2"], ":3\r\n");
    client.ask(&["GETRANGE", "k2", "1", "-1"], "$2\r\nes\r\n");
    client.ask(&["EXISTS", "k", "k2", "k", "none"], ":3\r\n");
    client.ask(&["MGET", "k", "none", "k2"], "*3\r\n$2\r\nv4\r\n$-1\r\n$3\r\nyes\r\n");
    client.ask(&["TYPE", "k"], "+string\r\n");
    client.ask(&["TYPE", "none"], "+none\r\n");
    client.ask(&["TTL", "k"], ":-1\r\n");
    client.ask(&["PTTL", "none"], ":-2\r\n");
    client.ask(&["DBSIZE"], ":3\r\n");
    client.ask(&["GETDEL", "k"], "$2\r\nv4\r\n");
    client.ask(&["GETDEL", "k"], "$-1\r\n");
    client.ask(&["DEL", "k2"], ":1\r\n");
    client.ask(&["DEL", "k2"], ":0\r\n");
    client.ask(&["MSET", "a", "1", "b", "2", "c", "3"], "+OK\r\n");
    client.ask(&["UNLINK", "a", "b", "a", "none"], ":2\r\n");
    client.ask(&["DBSIZE"], ":2\r\n");
    client.ask(&["SET", "empty", ""], "+OK\r\n");
    client.ask(&["GET", "empty"], "$0\r\n\r\n");
}

#[test]
fn a_pipeline_is_answered_in_order_and_reads_its_own_writes() {
    for durability in [Durability::Always, Durability::Never] {
        let running = Running::start(Setting { durability, ..Setting::default() });
        let client = &mut running.resp_client();
        let (mut sent, mut expected) = (Vec::new(), String::new());
        for round in 0..200 {
            let value = format!("value {round}");
            sent.extend(array(&["SET", "k", &value]));
            sent.extend(array(&["SETNX", "k", "no"]));
            sent.extend(array(&["GET", "k"]));
            sent.extend(array(&["NOPE", "x"]));
            sent.extend(array(&["DEL", "k", "k2"]));
            sent.extend(array(&["DEL", "k"]));
            expected += "+OK\r\n:0\r\n";
            expected += &format!("${}\r\n{value}\r\n", value.len());
            expected += "-ERR unknown command 'NOPE', with args beginning with: 'x' \r\n";
            expected += ":1\r\n:0\r\n";
        }
        client.send(&sent);
        client.expect(&expected);
    }
}

#[test]
fn a_pipeline_cut_anywhere_gives_the_same_answers() {
    let running = Running::hub();
    let mut sent = array(&["SET", "k", "hello"]);
    sent.extend(array(&["GET", "k"]));
    sent.extend(b"ECHO \"in line\"\r\n");
    sent.extend(array(&["DEL", "k"]));
    for cut in 1..sent.len() {
        let client = &mut running.resp_client();
        client.send(&sent[..cut]);
        std::thread::sleep(Duration::from_millis(1));
        client.send(&sent[cut..]);
        client.expect("+OK\r\n$5\r\nhello\r\n$7\r\nin line\r\n:1\r\n");
    }
}

#[test]
fn numbers_count_from_many_connections_without_losing_one() {
    let running = Running::start(Setting { durability: Durability::Always, ..Setting::default() });
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let mut client = running.resp_client();
            std::thread::spawn(move || {
                for _ in 0..25 {
                    client.send(array(&["INCR", "n"]));
                    assert!(client.line().starts_with(':'));
                    client.send(array(&["APPEND", "text", "x"]));
                    assert!(client.line().starts_with(':'));
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let client = &mut running.resp_client();
    client.ask(&["GET", "n"], "$3\r\n100\r\n");
    client.ask(&["STRLEN", "text"], ":100\r\n");
    client.ask(&["DECRBY", "n", "30"], ":70\r\n");
    client.ask(&["DECR", "n"], ":69\r\n");
    client.ask(&["INCRBY", "n", "-69"], ":0\r\n");
    let bad = "-ERR value is not an integer or out of range\r\n";
    client.ask(&["INCR", "text"], bad);
    client.ask(&["INCRBY", "n", "1.5"], bad);
    client.ask(&["SET", "n", "9223372036854775807"], "+OK\r\n");
    client.ask(&["INCR", "n"], "-ERR increment or decrement would overflow\r\n");
    client.ask(&["DECRBY", "n", "-9223372036854775808"], "-ERR decrement would overflow\r\n");
}

#[test]
fn scans_see_every_key_once_with_any_count_and_pattern() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    for key in 0..57 {
        client.ask(&["SET", &format!("key:{key:02}"), "v"], "+OK\r\n");
        client.ask(&["SET", &format!("other:{key:02}"), "v"], "+OK\r\n");
    }
    for (pattern, expected) in [("*", 114), ("key:*", 57), ("key:0?", 10), ("*7", 10), ("none", 0)]
    {
        for count in ["1", "10", "57", "1000"] {
            let keys = scanned(client, &["MATCH", pattern, "COUNT", count]);
            assert_eq!(keys.len(), expected, "{pattern} {count}");
            assert!(keys.windows(2).all(|pair| pair[0] < pair[1]));
        }
        client.send(array(&["KEYS", pattern]));
        assert_eq!(client.line(), format!("*{expected}"));
        (0..expected).for_each(|_| drop(client.bulk()));
    }
    assert_eq!(scanned(client, &["TYPE", "string"]).len(), 114);
    assert_eq!(scanned(client, &["TYPE", "hash"]).len(), 0);
    client.ask(&["SCAN", "x"], "-ERR invalid cursor\r\n");
    client.ask(&["SCAN", "0", "COUNT", "0"], "-ERR syntax error\r\n");
    client.ask(&["SCAN", "0", "MATCH"], "-ERR syntax error\r\n");
    let unknown = "-ERR this cursor is unknown or too old; begin again with SCAN 0\r\n";
    client.ask(&["SCAN", "77"], unknown);
}

/// All keys of a scan, each page by another connection as pools do it.
fn scanned(client: &mut Client, options: &[&str]) -> Vec<String> {
    let (mut keys, mut cursor) = (Vec::new(), "0".to_owned());
    loop {
        let words: Vec<&str> =
            ["SCAN", &cursor].into_iter().chain(options.iter().copied()).collect();
        client.send(array(&words));
        assert_eq!(client.line(), "*2");
        cursor = client.bulk();
        let count: usize = client.line()[1..].parse().unwrap();
        keys.extend((0..count).map(|_| client.bulk()));
        if cursor == "0" {
            return keys;
        }
    }
}

#[test]
fn a_namespace_is_chosen_by_name_or_number_and_may_vanish() {
    let running = Running::hub();
    let (seven, team) = (NamespaceName::new("7").unwrap(), NamespaceName::new("team-a").unwrap());
    running.store.create(&seven).unwrap();
    running.store.create(&team).unwrap();
    let client = &mut running.resp_client();
    client.ask(&["SET", "k", "default"], "+OK\r\n");
    client.ask(&["SELECT", "7"], "+OK\r\n");
    client.ask(&["GET", "k"], "$-1\r\n");
    client.ask(&["SET", "k", "seven"], "+OK\r\n");
    client.ask(&["AUTH", "team-a", "whatever"], "+OK\r\n");
    client.ask(&["SET", "k", "team"], "+OK\r\n");
    let missing = "-ERR namespace 8 does not exist; POST /api/v1 over HTTP makes it\r\n";
    client.ask(&["SELECT", "8"], missing);
    client.ask(&["GET", "k"], "$4\r\nteam\r\n");
    client.ask(&["SELECT", "0"], "+OK\r\n");
    client.ask(&["GET", "k"], "$7\r\ndefault\r\n");
    client.ask(&["SELECT", "7"], "+OK\r\n");
    running.store.drop_namespace(&seven).unwrap();
    client.ask(&["GET", "k"], "-ERR namespace 7 was dropped\r\n");
    running.store.create(&seven).unwrap();
    client.ask(&["GET", "k"], "$-1\r\n");
    client.ask(&["RESET"], "+RESET\r\n");
    client.ask(&["GET", "k"], "$7\r\ndefault\r\n");
}

#[test]
fn a_node_that_follows_reads_and_names_the_hub_for_writes() {
    let role = Role::Edge { hub: Address { host: "hub.example".into(), port: 4003 } };
    let running = Running::start(Setting { role, ..Setting::default() });
    let client = &mut running.resp_client();
    let refusal =
        "-READONLY this node only reads; write to the hub whose link is hub.example:4003\r\n";
    for words in [
        ["SET", "k", "v"].as_slice(),
        &["DEL", "k"],
        &["INCR", "k"],
        &["APPEND", "k", "v"],
        &["MSET", "k", "v"],
        &["GETDEL", "k"],
        &["FLUSHALL"],
    ] {
        client.ask(words, refusal);
    }
    client.ask(&["GET", "k"], "$-1\r\n");
    client.send(array(&["INFO", "replication"]));
    let info = client.bulk();
    assert!(info.contains("role:slave\r\n"), "{info}");
    assert!(info.contains("master_host:hub.example\r\nmaster_port:4003\r\n"), "{info}");
}

#[test]
fn the_protocol_is_negotiated() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    client.ask(&["HELLO", "4"], "-NOPROTO unsupported protocol version\r\n");
    client.ask(&["GET", "none"], "$-1\r\n");
    client.send(array(&["HELLO", "3", "AUTH", "default", "x", "SETNAME", "me"]));
    assert_eq!(client.line(), "%7");
    let words = ["server", "unisondb", "version", "7.0.0", "proto"];
    words.iter().for_each(|word| assert_eq!(client.bulk(), *word));
    assert_eq!(client.line(), ":3");
    assert_eq!(client.bulk(), "id");
    assert!(client.line().starts_with(':'));
    let words = ["mode", "standalone", "role", "master", "modules"];
    words.iter().for_each(|word| assert_eq!(client.bulk(), *word));
    assert_eq!(client.line(), "*0");
    client.ask(&["GET", "none"], "_\r\n");
    client.ask(&["CLIENT", "GETNAME"], "$2\r\nme\r\n");
    client.ask(&["CONFIG", "GET", "save"], "%1\r\n$4\r\nsave\r\n$0\r\n\r\n");
    client.ask(&["HELLO", "3", "BOGUS"], "-ERR Syntax error in HELLO option 'BOGUS'\r\n");
    client.ask(&["RESET"], "+RESET\r\n");
    client.ask(&["GET", "none"], "$-1\r\n");
    client.ask(&["CLIENT", "GETNAME"], "$-1\r\n");
}

#[test]
fn clients_and_settings_can_be_asked_for() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    let other = &mut running.resp_client();
    other.ask(&["CLIENT", "SETNAME", "other"], "+OK\r\n");
    other.ask(&["CLIENT", "SETINFO", "LIB-NAME", "lib"], "+OK\r\n");
    client.ask(
        &["CLIENT", "SETNAME", "a b"],
        "-ERR Client names cannot contain spaces, newlines or special characters.\r\n",
    );
    client.send(array(&["CLIENT", "LIST"]));
    let list = client.bulk();
    assert_eq!(list.lines().count(), 2, "{list}");
    assert!(list.contains(" name=other ") && list.contains(" lib-name=lib "), "{list}");
    client.ask(
        &["CONFIG", "GET", "append*"],
        "*4\r\n$11\r\nappendfsync\r\n$2\r\nno\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n",
    );
    client.ask(&["CONFIG", "GET", "nothing"], "*0\r\n");
    client.send(array(&["CONFIG", "SET", "save", ""]));
    assert!(client.line().starts_with("-ERR settings are given when the server starts"));
    client.ask(&["PING"], "+PONG\r\n");
    client.ask(&["PING", "x"], "$1\r\nx\r\n");
    client.ask(&["GET"], "-ERR wrong number of arguments for 'get' command\r\n");
    client.ask(&["MSET", "a", "1", "b"], "-ERR wrong number of arguments for 'mset' command\r\n");
    client.ask(&["SET", "a", "1", "NX", "XX"], "-ERR syntax error\r\n");
    client.send(array(&["FLUSHALL"]));
    assert!(client.line().starts_with("-ERR refused: every follower"));
    client.send(array(&["COMMAND", "COUNT"]));
    let count: usize = client.line()[1..].parse().unwrap();
    client.send(array(&["COMMAND", "LIST"]));
    assert_eq!(client.line(), format!("*{count}"));
    (0..count).for_each(|_| drop(client.bulk()));
    client.ask(&["COMMAND", "INFO", "get", "none"], "*2\r\n*10\r\n$3\r\nget\r\n:2\r\n*1\r\n+readonly\r\n:1\r\n:1\r\n:1\r\n*0\r\n*0\r\n*0\r\n*0\r\n*-1\r\n");
    client.send(array(&["INFO"]));
    let info = client.bulk();
    for section in
        ["Server", "Clients", "Memory", "Persistence", "Stats", "Replication", "Keyspace"]
    {
        assert!(info.contains(&format!("# {section}\r\n")), "{info}");
    }
    assert!(info.contains("connected_clients:2\r\n") && info.contains("role:master\r\n"), "{info}");
    client.ask(&["QUIT"], "+OK\r\n");
    assert_eq!(client.rest(), b"");
}

#[test]
fn wait_counts_the_followers_that_hold_the_last_write() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    client.ask(&["SET", "k", "v"], "+OK\r\n");
    client.ask(&["WAIT", "1", "20"], ":0\r\n");
    let name = NamespaceName::new("default").unwrap();
    let follower = running.health.follower("edge".into(), None, name);
    client.ask(&["WAIT", "1", "20"], ":0\r\n");
    client.send(array(&["WAIT", "1", "0"]));
    std::thread::sleep(Duration::from_millis(20));
    follower.acknowledge(Lsn(1), Lsn(1));
    client.expect(":1\r\n");
    client.ask(&["WAIT", "2", "20"], ":1\r\n");
    client.ask(&["SET", "k", "v2"], "+OK\r\n");
    client.ask(&["WAIT", "1", "20"], ":0\r\n");
}

#[test]
fn a_flood_waits_for_flushes_and_loses_nothing() {
    let engine = unison_engine::EngineOptions {
        memtable_bytes: 64 << 10,
        memtables_max: 1,
        segment_bytes: 1 << 20,
        ..Setting::default().engine
    };
    let running = Running::start(Setting { engine, ..Setting::default() });
    let client = &mut running.resp_client();
    for round in 0..10 {
        let mut sent = Vec::new();
        for key in 0..1_000 {
            sent.extend(array(&["SET", &format!("key {round} {key}"), &format!("v{key}")]));
        }
        client.send(&sent);
        client.expect("+OK\r\n".repeat(1_000));
    }
    client.ask(&["DBSIZE"], ":10000\r\n");
    client.ask(&["GET", "key 9 999"], "$4\r\nv999\r\n");
    let status = running.store.namespace("default").unwrap().status();
    assert!(status.engine.unwrap().flushes > 2, "{:?}", status.engine);
}

#[test]
fn what_was_acknowledged_is_there_after_a_restart() {
    let running = Running::start(Setting { durability: Durability::Always, ..Setting::default() });
    let client = &mut running.resp_client();
    for key in 0..100 {
        client.send(array(&["SET", &format!("k{key}"), &"v".repeat(key * 37)]));
    }
    client.expect("+OK\r\n".repeat(100));
    assert_eq!(running.stop(), 0);
    let engine = Setting::default().engine;
    let data_dir = running.directory.path().join("data");
    running.store.close().unwrap();
    drop((running.node, running.store));
    let store = unison_linux::store::Store::open(unison_linux::store::StoreOptions {
        data_dir,
        durability: Durability::Always,
        engine,
        tree_cache_bytes: 1 << 20,
        doubt_trees: false,
    })
    .unwrap();
    let namespace = store.namespace("default").unwrap();
    for key in 0..100 {
        let value = namespace.reader().get(format!("k{key}").as_bytes()).unwrap().unwrap();
        assert_eq!(value.len(), key * 37);
    }
}
