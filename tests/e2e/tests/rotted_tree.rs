//! A tree that has rotted: the log is whole, so the node comes back by itself, with everything.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use unison_e2e::node::{Node, command};
use unison_e2e::resp::{Answer, Client};

const FREE: &str = "127.0.0.1:0";
const SIZES: [&str; 2] = ["--memtable-size", "1MiB"];
const KEYS: u32 = 20_000;
/// The file's first page says where the others are, and stays.
const PAGE_BYTES: usize = 4096;
const RUNS_MAX: u32 = 5;

fn key(number: u32) -> Vec<u8> {
    format!("key-{number}").into_bytes()
}

fn value(number: u32) -> Vec<u8> {
    format!("{number:0100}").into_bytes()
}

fn fill(client: &mut Client) {
    for first in (0..KEYS).step_by(100) {
        let pairs: Vec<_> = (first..first + 100).map(|n| (key(n), value(n))).collect();
        let mut words: Vec<&[u8]> = vec![b"MSET"];
        words.extend(pairs.iter().flat_map(|(key, value)| [&key[..], &value[..]]));
        assert_eq!(client.call(&words).unwrap(), Answer::Simple("OK".to_owned()));
    }
}

fn holds_everything(client: &mut Client) -> bool {
    (0..KEYS).all(|number| {
        let found = client.call(&[b"GET", &key(number)]);
        found.is_ok_and(|answer| answer == Answer::Bulk(Some(value(number))))
    })
}

fn start(data: &Path, ports: &Path) -> Child {
    let _ = std::fs::remove_file(ports);
    let mut hub = command("hub-node");
    hub.args(["serve", "--http", FREE, "--resp", FREE, "--link", FREE]).args(SIZES);
    hub.arg("--data-dir").arg(data).arg("--ports-file").arg(ports);
    hub.stderr(Stdio::null()).spawn().unwrap()
}

/// One life under a supervisor: whether it serves everything, and takes a write.
fn serves(data: &Path, ports: &Path) -> bool {
    let mut hub = start(data, ports);
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut good = false;
    while !good && Instant::now() < deadline && matches!(hub.try_wait(), Ok(None)) {
        let text = std::fs::read(ports).unwrap_or_default();
        if let Ok(ports) = serde_json::from_slice::<serde_json::Value>(&text) {
            let mut client = Client::connect(ports["resp"].as_str().unwrap()).unwrap();
            good = holds_everything(&mut client);
            if !good {
                break;
            }
            fill(&mut client);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = hub.kill();
    let _ = hub.wait();
    good
}

#[test]
fn a_tree_that_makes_every_run_panic_is_made_anew() {
    let root = tempfile::tempdir().unwrap();
    let arguments = [&["serve", "--http", FREE, "--resp", FREE, "--link", FREE], &SIZES[..]];
    let mut hub = Node::start(root.path(), "hub", "hub-node", &arguments.concat());
    fill(&mut hub.resp());
    assert_eq!(hub.stop(), 0);
    let tree = root.path().join("hub/default/tree.redb");
    let mut bytes = std::fs::read(&tree).unwrap();
    assert!(bytes.len() > 2 * PAGE_BYTES, "a tree of {} bytes", bytes.len());
    bytes[PAGE_BYTES..].fill(0xA5);
    std::fs::write(&tree, &bytes).unwrap();
    let (data, ports) = (root.path().join("hub"), root.path().join("ports"));
    let runs = (1..=RUNS_MAX).find(|_| serves(&data, &ports)).expect("it serves again");
    println!("run {runs} serves everything");
    assert!(data.join("default/tree.redb.damaged").exists());
    assert!(serves(&data, &ports), "and so does the next one");
}
