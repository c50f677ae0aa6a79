//! What an edge does when the hub's namespace is not what it was.

use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use unison_e2e::node::Node;

const SOON: Duration = Duration::from_secs(40);
const FREE: &str = "127.0.0.1:0";

/// One HTTP request over its own connection: the status and the body.
fn http(node: &Node, method: &str, path: &str, body: &str) -> (u16, String) {
    let address = node.address("http");
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (status, body.to_owned())
}

fn until(node: &Node, what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {SOON:?}: {what}\n{}", node.log());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// `value` is base64, as the API has it.
fn put(node: &Node, key: &str, value: &str) {
    let body = format!("{{\"value\":\"{value}\"}}");
    let (status, body) = http(node, "PUT", &format!("/api/v1/places/kv/{key}"), &body);
    assert!((200..300).contains(&status), "{status} {body}");
}

fn holds(node: &Node, key: &str, value: Option<&str>) -> bool {
    let (status, body) = http(node, "GET", &format!("/api/v1/places/kv/{key}"), "");
    match value {
        Some(value) => status == 200 && body.contains(&format!("\"{value}\"")),
        None => body.contains("\"found\":false"),
    }
}

fn followers(hub: &Node) -> u64 {
    let (_, body) = http(hub, "GET", "/status", "");
    let status: Value = serde_json::from_str(&body).unwrap();
    status["followersTotal"].as_u64().unwrap()
}

#[test]
fn a_namespace_that_is_dropped_and_made_again_is_followed_anew() {
    let root = tempfile::tempdir().unwrap();
    let hub = Node::hub(root.path());
    let create = || http(&hub, "POST", "/api/v1", "{\"name\":\"places\"}");
    assert_eq!(create().0, 200);
    for number in 0..10 {
        put(&hub, &format!("old-{number}"), "b2xk");
    }
    let link = hub.address("link");
    let arguments = ["--hub", &link, "--namespace", "places", "--http", FREE, "--resp", FREE];
    let edge = Node::start(root.path(), "edge", "edge-node", &arguments);
    until(&edge, "the edge follows", || holds(&edge, "old-9", Some("b2xk")));
    assert_eq!(followers(&hub), 1);

    assert_eq!(http(&hub, "DELETE", "/api/v1/places", "").0, 200);
    until(&edge, "the hub drops the follower", || followers(&hub) == 0);
    until(&edge, "the edge says so", || {
        let (status, body) = http(&edge, "GET", "/readyz", "");
        status == 503 && body.contains("places")
    });
    assert!(holds(&edge, "old-9", Some("b2xk")), "what is there is answered meanwhile");

    assert_eq!(create().0, 200);
    put(&hub, "new", "bmV3");
    until(&edge, "the edge has the new log's state", || holds(&edge, "new", Some("bmV3")));
    assert!(holds(&edge, "old-9", None), "of the old log nothing is left");
    until(&edge, "the edge is ready", || http(&edge, "GET", "/readyz", "").0 == 200);
    assert_eq!(followers(&hub), 1);
}

#[test]
fn a_namespace_that_is_replaced_within_a_moment_is_noticed() {
    let root = tempfile::tempdir().unwrap();
    let hub = Node::hub(root.path());
    let link = hub.address("link");
    let create = || http(&hub, "POST", "/api/v1", "{\"name\":\"places\"}");
    assert_eq!(create().0, 200);
    put(&hub, "old", "b2xk");
    let arguments = ["--hub", &link, "--namespace", "places", "--http", FREE, "--resp", FREE];
    let edge = Node::start(root.path(), "edge", "edge-node", &arguments);
    until(&edge, "the edge follows", || holds(&edge, "old", Some("b2xk")));
    assert_eq!(http(&hub, "DELETE", "/api/v1/places", "").0, 200);
    assert_eq!(create().0, 200);
    put(&hub, "new", "bmV3");
    until(&edge, "the edge has the new log's state", || holds(&edge, "new", Some("bmV3")));
    assert!(holds(&edge, "old", None), "of the old log nothing is left");
}
