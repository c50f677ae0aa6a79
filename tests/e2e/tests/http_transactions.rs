//! Transactions over all models, at real processes.

use std::time::{Duration, Instant};
use unison_e2e::curl::{curl, send};
use unison_e2e::node::Node;

const SOON: Duration = Duration::from_secs(40);
const FREE: &str = "127.0.0.1:0";

fn until(node: &Node, what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {SOON:?}: {what}\n{}", node.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn begin(hub: &Node) -> String {
    let begun = send(hub, "POST", "tx/begin", "{}").done().json();
    begun["txnId"].as_str().unwrap().to_owned()
}

/// Adds a key, columns of a row, an object and a message.
fn add_all(hub: &Node, transaction: &str) {
    let add = |model: &str, body: &str| {
        let path = format!("tx/{transaction}/{model}");
        assert!(send(hub, "POST", &path, body).done().json()["success"] == true);
    };
    add("kv", r#"{"key":"k","value":"MQ=="}"#);
    add("row", r#"{"rowKey":"door","columns":{"state":"b3Blbg=="}}"#);
    add("topics", r#"{"topic":"site/7/door","payload":"b3Blbg=="}"#);
    let octets = ["--data-binary", "whole", "--header", "content-type: application/octet-stream"];
    let sent = curl(hub, &octets, &format!("tx/{transaction}/lob?key=map"));
    assert_eq!(sent.done().number("bytes"), 5);
}

/// How many of the four things of [`add_all`] a node shows.
fn seen(node: &Node) -> usize {
    let found = |path: &str| curl(node, &[], path).done().json()["found"] == true;
    let messages = curl(node, &[], "topics/messages").done().json();
    let object = curl(node, &[], "lob/map");
    let all = [
        found("kv/k"),
        found("row/door"),
        !messages["items"].as_array().unwrap().is_empty(),
        object.status == 200 && object.body == b"whole",
    ];
    all.into_iter().filter(|it| *it).count()
}

#[test]
fn all_models_change_at_once_at_the_hub_and_at_an_edge() {
    let root = tempfile::tempdir().unwrap();
    let hub = Node::hub(root.path());
    let edge = Node::edge(root.path(), "edge", &hub.address("link"));
    let transaction = begin(&hub);
    add_all(&hub, &transaction);
    assert_eq!(seen(&hub), 0);
    let lsn = send(&hub, "POST", &format!("tx/{transaction}/commit"), "").done().number("lsn");
    assert_eq!(seen(&hub), 4);
    until(&edge, "the edge has it", || seen(&edge) == 4);
    let messages = curl(&edge, &[], "topics/messages").json();
    let id = messages["items"][0]["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with(&format!("{lsn}-")), "{id} has the LSN of the commit, {lsn}");
    let again = send(&hub, "POST", &format!("tx/{transaction}/commit"), "");
    assert_eq!(again.status, 409);
    assert_eq!(send(&edge, "POST", "tx/begin", "{}").status, 421);
}

#[test]
fn a_commit_answers_the_checksum_of_its_values() {
    let root = tempfile::tempdir().unwrap();
    let hub = Node::hub(root.path());
    let transaction = begin(&hub);
    for (key, value) in [("a", "MTIzNA=="), ("b", "NTY3ODk=")] {
        let body = format!(r#"{{"key":"{key}","value":"{value}"}}"#);
        send(&hub, "POST", &format!("tx/{transaction}/kv"), &body).done();
    }
    let committed = send(&hub, "POST", &format!("tx/{transaction}/commit"), "").done();
    // The check value of CRC-32 (IEEE), of the digits 1 to 9.
    assert_eq!(committed.number("checksum"), 0xCBF4_3926);
}

#[test]
fn a_conflict_an_abort_and_a_stranger_are_told_apart() {
    let root = tempfile::tempdir().unwrap();
    let hub = Node::hub(root.path());
    send(&hub, "PUT", "kv/k", r#"{"value":"MA=="}"#).done();
    let end = |transaction: &str, how: &str| {
        send(&hub, "POST", &format!("tx/{transaction}/{how}"), "").status
    };

    let conflicting = begin(&hub);
    let body = r#"{"key":"k","value":"MQ=="}"#;
    let when = ["--header", "if-match: 1", "--header", "content-type: application/json"];
    let added =
        curl(&hub, &[&when[..], &["--data", body]].concat(), &format!("tx/{conflicting}/kv"));
    assert_eq!(added.status, 200);
    send(&hub, "PUT", "kv/k", r#"{"value":"Mg=="}"#).done();
    assert_eq!((end(&conflicting, "commit"), end(&conflicting, "commit")), (412, 410));
    assert_eq!(curl(&hub, &[], "kv/k").json()["value"], "Mg==");

    let aborted = begin(&hub);
    add_all(&hub, &aborted);
    assert_eq!((end(&aborted, "abort"), end(&aborted, "commit")), (200, 410));
    assert_eq!(seen(&hub), 1, "the key of before");
    assert_eq!(end(&"0".repeat(32), "commit"), 404);
    assert_eq!(end("strange", "commit"), 404);
}

#[test]
fn what_a_kill_leaves_half_done_is_seen_by_nobody_and_its_space_comes_back() {
    let root = tempfile::tempdir().unwrap();
    let object = root.path().join("object");
    std::fs::write(&object, vec![0xA5; 24 << 20]).unwrap();
    let size = ["--segment-size", "1MiB", "--memtable-size", "1MiB", "--keep-bytes", "2MiB"];
    let off = ["--http", FREE, "--resp", "off", "--link", "off"];
    let words = [&off[..], &size].concat();
    let mut hub = Node::start(root.path(), "hub", "hub-node", &words);
    let used = |hub: &Node| curl(hub, &[], "stats").done().number("diskBytes");

    let transaction = begin(&hub);
    add_all(&hub, &transaction);
    let octets = ["--request", "POST", "--upload-file", object.to_str().unwrap()];
    curl(&hub, &octets, &format!("tx/{transaction}/lob?key=large")).done();
    let full = used(&hub);
    assert!(full > 24 << 20, "{full}");
    hub.kill_and_restart();

    assert_eq!(seen(&hub), 0);
    assert_eq!(curl(&hub, &[], "lob/large").status, 404);
    assert_eq!(send(&hub, "POST", &format!("tx/{transaction}/commit"), "").status, 410);
    until(&hub, "its space is free", || {
        // Whatever is written moves the checkpoint on.
        let body = format!(r#"{{"value":"{}"}}"#, "QUJD".repeat(20_000));
        assert_eq!(send(&hub, "PUT", "kv/other", &body).status, 200);
        used(&hub) < full / 2
    });
    hub.kill_and_restart();
    assert_eq!(seen(&hub), 0);
    assert_eq!(curl(&hub, &[], "kv/other").json()["found"], true);
}
