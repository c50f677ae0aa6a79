//! Watchers of real processes, with the clients that people have.

use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};
use unison_e2e::clients;
use unison_e2e::node::Node;
use unison_e2e::process::Chatty;
use unison_e2e::resp::Answer;

const SOON: Duration = Duration::from_secs(40);
const FREE: &str = "127.0.0.1:0";

/// A stream of Server-Sent Events.
struct Events(BufReader<TcpStream>);

impl Events {
    fn open(node: &Node, query: &str, last_id: &str) -> Self {
        let mut stream = TcpStream::connect(node.address("http")).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let head = format!(
            "GET /api/v1/default/watch{query} HTTP/1.0\r\nhost: x\r\nLast-Event-ID: {last_id}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        Self(BufReader::new(stream))
    }

    /// The data of the next event; `None` when the stream has ended. What an edge says about its line
    /// is no event of the log.
    fn next(&mut self) -> Option<Value> {
        let mut about_line = false;
        loop {
            let mut line = String::new();
            if !self.0.read_line(&mut line).is_ok_and(|read| read > 0) {
                return None;
            }
            if let Some(data) = line.strip_prefix("data: ").filter(|_| !about_line) {
                return serde_json::from_str(data).ok();
            }
            about_line = line.trim_end() == "event: link";
        }
    }
}

fn set(node: &Node, number: u64) {
    let key = format!("key:{number}");
    let answer = node.resp().call(&[b"SET", key.as_bytes(), b"v"]).unwrap();
    assert!(matches!(answer, Answer::Simple(_)), "{answer:?}");
}

/// A watcher that moves between the hub and an edge, both of which are killed: every write is heard
/// of once, in order.
#[test]
fn a_watcher_goes_on_at_another_node_and_behind_a_kill() {
    let root = tempfile::tempdir().unwrap();
    let mut hub = Node::hub(root.path());
    let link = hub.address("link");
    let mut edge = Node::edge(root.path(), "edge", &link);
    let (mut seen, mut last) = (0, String::from("0"));
    for round in 0..12 {
        for _ in 0..20 {
            set(&hub, round);
        }
        let at = if round % 2 == 0 { &edge } else { &hub };
        let mut events = Events::open(at, "", &last);
        let until = if round == 11 { 240 } else { seen + 17 };
        while seen < until {
            let data = events.next().expect("an event");
            seen += 1;
            assert_eq!(data["lsn"], json!(seen), "round {round}");
            last = format!("{}-{}", data["lsn"], data["index"]);
        }
        match round {
            4 => edge.kill_and_restart(),
            7 => hub.kill_and_restart(),
            _ => {}
        }
    }
}

#[test]
fn redis_cli_hears_of_keys() {
    let root = tempfile::tempdir().unwrap();
    let hub = Node::hub(root.path());
    let address = hub.address("resp");
    let port = address.rsplit(':').next().unwrap();
    let mut command = Command::new("redis-cli");
    command.args(["-p", port, "PSUBSCRIBE", "__keyspace@0__:key:*"]);
    let mut listener = Chatty::start(command);
    let mut lines = VecDeque::from(["psubscribe", "__keyspace@0__:key:*", "1"]);
    while let Some(due) = lines.pop_front() {
        assert_eq!(listener.line().unwrap().trim_matches('"'), due);
    }
    set(&hub, 7);
    for due in ["pmessage", "__keyspace@0__:key:*", "__keyspace@0__:key:7", "set"] {
        assert_eq!(listener.line().unwrap().trim_matches('"'), due);
    }
}

#[test]
fn a_subscriber_of_libzmq_hears_of_keys() {
    let root = tempfile::tempdir().unwrap();
    let arguments = ["serve", "--http", FREE, "--resp", FREE, "--link", "off", "--zeromq", FREE];
    let hub = Node::start(root.path(), "hub", "hub-node", &arguments);
    let words = [hub.address("zeromq"), "default.kv".to_owned()];
    let mut subscriber = clients::start("zeromq_subscriber.py", &[&words[0], &words[1]]);
    assert_eq!(subscriber.line().unwrap(), "connected");
    // It says when it has connected, not when its subscription has arrived.
    let (send, heard) = std::sync::mpsc::channel();
    let reading = std::thread::spawn(move || {
        while let Some(line) = subscriber.line() {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    let deadline = Instant::now() + SOON;
    let mut number = 0;
    let first = loop {
        set(&hub, number);
        number += 1;
        if let Ok(line) = heard.recv_timeout(Duration::from_millis(100)) {
            break line;
        }
        assert!(Instant::now() < deadline, "nothing is heard");
    };
    let data = |line: &str| -> Value {
        serde_json::from_str(line.strip_prefix("default.kv ").expect("the topic")).unwrap()
    };
    let mut lsn = data(&first)["lsn"].as_u64().unwrap();
    for _ in 0..2_000 {
        set(&hub, number);
        number += 1;
    }
    while lsn < number {
        let line = heard.recv_timeout(SOON).expect("a message");
        let data = data(&line);
        lsn += 1;
        let due = json!({"key": format!("key:{}", lsn - 1), "namespace": "default",
            "operation": "put", "entry_type": "kv", "lsn": lsn});
        assert_eq!(data, due);
    }
    drop(heard);
    set(&hub, number);
    reading.join().unwrap();
}

#[test]
fn a_subscriber_of_libzmq_hears_of_every_model() {
    let root = tempfile::tempdir().unwrap();
    let arguments = ["serve", "--http", FREE, "--resp", FREE, "--link", "off", "--zeromq", FREE];
    let hub = Node::start(root.path(), "hub", "hub-node", &arguments);
    let places = ["zeromq", "resp", "http"].map(|server| hub.address(server));
    let _ = clients::run("zeromq_models.py", &places.each_ref().map(String::as_str));
}

#[test]
fn redis_py_hears_of_channels_patterns_and_keys_and_comes_back() {
    let root = tempfile::tempdir().unwrap();
    let hub = Node::hub(root.path());
    let _ = clients::run("pubsub.py", &[&hub.address("resp")]);
}
