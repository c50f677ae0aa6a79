//! A hub and edges as users run them.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use unison_e2e::node::Node;
use unison_e2e::resp::{Answer, Client};

const SOON: Duration = Duration::from_secs(30);

fn bulk(text: &str) -> Answer {
    Answer::Bulk(Some(text.as_bytes().to_vec()))
}

fn ok() -> Answer {
    Answer::Simple("OK".to_owned())
}

fn set(client: &mut Client, key: &str, value: &str) {
    assert_eq!(client.call(&[b"SET", key.as_bytes(), value.as_bytes()]).unwrap(), ok());
}

fn wait_for(client: &mut Client, key: &str, expected: &str) {
    let deadline = Instant::now() + SOON;
    loop {
        let found = client.call(&[b"GET", key.as_bytes()]).unwrap();
        if found == bulk(expected) {
            return;
        }
        assert!(Instant::now() < deadline, "{key} is {found:?}, not {expected}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Bytes from 64 up to the end of the frames, by an independent decoder's rule: frames end at a
/// frame header of zeros.
fn frames(segment: &Path) -> Vec<u8> {
    let bytes = std::fs::read(segment).unwrap();
    let mut at = 64;
    while let Some(header) = bytes.get(at..at + 8).filter(|header| header.iter().any(|&b| b != 0)) {
        let payload = u32::from_le_bytes(header[4..].try_into().unwrap()) as usize;
        at += (payload + 16).next_multiple_of(8);
    }
    bytes[64..at].to_vec()
}

#[test]
fn an_edge_answers_locally_through_kills_of_both_and_holds_the_hubs_bytes() {
    let root = tempfile::tempdir().unwrap();
    let mut hub = Node::hub(root.path());
    let mut edge = Node::edge(root.path(), "edge", &hub.address("link"));
    let mut to_hub = hub.resp();
    for number in 0..200 {
        set(&mut to_hub, &format!("key-{number}"), &"x".repeat(number * 7));
    }
    set(&mut to_hub, "last", "first round");
    wait_for(&mut edge.resp(), "last", "first round");
    assert_eq!(edge.resp().call(&[b"DBSIZE"]).unwrap(), Answer::Number(201));

    let refused = edge.resp().call(&[b"SET", b"a", b"b"]).unwrap();
    let Answer::Error(refused) = refused else { panic!("an edge took a write: {refused:?}") };
    assert!(refused.starts_with("READONLY") && refused.contains(&hub.address("link")), "{refused}");

    hub.kill();
    assert_eq!(edge.resp().call(&[b"GET", b"last"]).unwrap(), bulk("first round"), "offline");
    hub.kill_and_restart();
    let mut to_hub = hub.resp();
    assert_eq!(to_hub.call(&[b"GET", b"last"]).unwrap(), bulk("first round"));
    set(&mut to_hub, "last", "second round");
    wait_for(&mut edge.resp(), "last", "second round");

    edge.kill();
    set(&mut to_hub, "last", "third round");
    edge.kill_and_restart();
    wait_for(&mut edge.resp(), "last", "third round");

    assert_eq!(edge.stop(), 0, "{}", edge.log());
    assert_eq!(hub.stop(), 0, "{}", hub.log());
    let segment = "default/wal/000000001.seg";
    let ours = frames(&root.path().join("hub").join(segment));
    let theirs = frames(&root.path().join("edge").join(segment));
    assert!(ours.len() > 100_000, "{} bytes", ours.len());
    assert!(ours == theirs, "the edge's segment holds other bytes than the hub's");
}

#[test]
fn what_expires_on_the_hub_is_gone_on_an_edge_through_kills_of_both() {
    let root = tempfile::tempdir().unwrap();
    let mut hub = Node::hub(root.path());
    let mut edge = Node::edge(root.path(), "edge", &hub.address("link"));
    let mut to_hub = hub.resp();
    for number in 0..50 {
        let key = format!("key-{number}");
        let set: [&[u8]; 5] = [b"SET", key.as_bytes(), b"1", b"PX", b"3000"];
        assert_eq!(to_hub.call(&set).unwrap(), ok());
    }
    assert_eq!(to_hub.call(&[b"HSET", b"row", b"column", b"1"]).unwrap(), Answer::Number(1));
    assert_eq!(to_hub.call(&[b"PEXPIRE", b"row", b"3000"]).unwrap(), Answer::Number(1));
    assert_eq!(to_hub.call(&[b"SET", b"long", b"1", b"EX", b"1000"]).unwrap(), ok());
    set(&mut to_hub, "last", "first round");
    wait_for(&mut edge.resp(), "last", "first round");
    let Answer::Number(left) = edge.resp().call(&[b"TTL", b"long"]).unwrap() else { panic!() };
    assert!((900..=1_000).contains(&left), "{left}");
    edge.kill();
    std::thread::sleep(Duration::from_secs(3));
    for node in [&mut hub, &mut edge] {
        node.kill_and_restart();
        let mut client = node.resp();
        assert_eq!(
            client.call(&[b"EXISTS", b"key-0", b"key-49", b"row"]).unwrap(),
            Answer::Number(0)
        );
        assert_eq!(client.call(&[b"DBSIZE"]).unwrap(), Answer::Number(2));
    }
    let mut to_hub = hub.resp();
    assert_eq!(to_hub.call(&[b"HSET", b"row", b"new", b"1"]).unwrap(), Answer::Number(1));
    set(&mut to_hub, "last", "second round");
    wait_for(&mut edge.resp(), "last", "second round");
    assert_eq!(edge.resp().call(&[b"HGET", b"row", b"column"]).unwrap(), Answer::Bulk(None));
    assert_eq!(edge.resp().call(&[b"HGET", b"row", b"new"]).unwrap(), bulk("1"));
}

#[test]
fn redis_cli_talks_to_a_hub() {
    if Command::new("redis-cli").arg("--version").output().is_err() {
        println!("redis-cli is not installed; ci/setup installs it");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let hub = Node::hub(root.path());
    let port = hub.address("resp").rsplit(':').next().unwrap().to_owned();
    let cli = |words: &[&str]| {
        let output = Command::new("redis-cli").args(["-p", &port]).args(words).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(cli(&["PING"]), "PONG");
    assert_eq!(cli(&["SET", "greeting", "hello world"]), "OK");
    assert_eq!(cli(&["SET", "greeting", "again", "NX"]), "");
    assert_eq!(cli(&["GET", "greeting"]), "hello world");
    assert_eq!(cli(&["MSET", "a", "1", "b", "2"]), "OK");
    assert_eq!(cli(&["MGET", "a", "b", "missing"]), "1\n2");
    assert_eq!(cli(&["EXISTS", "a", "b", "missing"]), "2");
    assert_eq!(cli(&["STRLEN", "greeting"]), "11");
    assert_eq!(cli(&["DEL", "a", "missing"]), "1");
    assert_eq!(cli(&["DBSIZE"]), "2");
    assert_eq!(cli(&["SCAN", "0", "MATCH", "g*", "COUNT", "100"]), "0\ngreeting");
    assert!(cli(&["INFO", "replication"]).contains("role:master"));
    assert_eq!(cli(&["SET", "session", "1", "EX", "100"]), "OK");
    assert!(["99", "100"].contains(&cli(&["TTL", "session"]).as_str()));
    assert_eq!(cli(&["PERSIST", "session"]), "1");
    assert_eq!(cli(&["TTL", "session"]), "-1");
    assert_eq!(
        cli(&["SET", "session", "1", "EX", "0"]),
        "ERR invalid expire time in 'set' command"
    );
    assert!(cli(&["NOSUCH"]).contains("unknown command"), "{}", cli(&["NOSUCH"]));
}
