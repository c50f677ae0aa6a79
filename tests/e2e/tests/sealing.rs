//! Encryption at rest over real processes: a hub, edges with and without the key, and what is on their
//! disks.

use serde_json::{Value, json};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use unison_e2e::node::{Node, run};

const SOON: Duration = Duration::from_secs(40);
const FREE: &str = "127.0.0.1:0";
/// "the door is open, says sensor 7" in base64, and as it is.
const PAYLOAD: &str = "dGhlIGRvb3IgaXMgb3Blbiwgc2F5cyBzZW5zb3IgNw==";
const CLEAR: &[u8] = b"the door is open, says sensor 7";

fn ask(node: &Node, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let url = format!("http://{}/{path}", node.address("http"));
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let answer = match method {
        "GET" => agent.get(&url).call(),
        "PUT" => agent.put(&url).send_json(body),
        _ => agent.post(&url).send_json(body),
    };
    let mut answer = answer.unwrap();
    (answer.status().as_u16(), answer.body_mut().read_json().unwrap())
}

fn publish(node: &Node) -> (u16, Value) {
    let body = json!({ "topic": "site/7/door", "payload": PAYLOAD });
    ask(node, "POST", "api/v1/default/topics/publish", &body)
}

fn messages(node: &Node) -> (u16, Value) {
    ask(node, "GET", "api/v1/default/topics/messages?filter=site/%23", &Value::Null)
}

fn set(node: &Node, encryption: &str) -> u16 {
    let settings = json!({ "encryption": encryption, "compression": "lz4" });
    ask(node, "PUT", "api/v1/default/topics/settings", &settings).0
}

fn keys(root: &Path, name: &str, text: &str) -> PathBuf {
    let path = root.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path
}

fn start(root: &Path, name: &str, link: Option<&str>, keys: Option<&Path>) -> Node {
    let keys = keys.map(|path| path.display().to_string());
    let mut arguments = vec!["--http", FREE, "--resp", FREE];
    match link {
        Some(link) => arguments.extend(["--hub", link]),
        None => arguments.extend(["--link", FREE]),
    }
    arguments.extend(keys.iter().flat_map(|keys| ["--keys-file", keys.as_str()]));
    Node::start(root, name, if link.is_some() { "edge-node" } else { "hub-node" }, &arguments)
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether any file below a directory has these bytes.
fn anywhere(directory: &Path, part: &[u8]) -> bool {
    fs::read_dir(directory).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return anywhere(&path, part);
        }
        fs::read(path).unwrap().windows(part.len()).any(|window| window == part)
    })
}

#[test]
fn what_is_sealed_is_read_with_the_key_and_forwarded_without_it() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let (old, new) = ("a7".repeat(32), "1c".repeat(32));
    let one = keys(root, "one.toml", &format!("default = \"{old}\"\n"));
    let both = keys(root, "both.toml", &format!("default = [\"{new}\", \"{old}\"]\n"));
    let mut hub = start(root, "hub", None, Some(&one));
    assert_eq!(set(&hub, "chacha20poly1305"), 200);
    assert_eq!(publish(&hub).0, 200);
    let link = hub.address("link");
    let reads = start(root, "reads", Some(&link), Some(&both));
    let relay = start(root, "relay", Some(&link), None);
    let shown = |node: &Node| messages(node).1["items"].as_array().map_or(0, Vec::len);
    until("the edge with the key reads", || shown(&reads) == 1);
    assert_eq!(messages(&reads).1["items"][0]["payload"], PAYLOAD);
    until("the relay has it and cannot read it", || messages(&relay).0 == 503);
    let error = messages(&relay).1["error"].as_str().unwrap().to_owned();
    assert!(error.contains("no key for epoch 1"), "{error}");
    let status = ask(&relay, "GET", "status", &Value::Null).1;
    let encryption = &status["namespaces"][0]["encryption"];
    assert_eq!((&encryption["epoch"], &encryption["keyPresent"]), (&json!(1), &json!(false)));

    assert_eq!(hub.stop(), 0);
    drop(hub);
    let mut hub = start(root, "hub", None, None);
    let (status, answer) = publish(&hub);
    assert_eq!(status, 503, "{answer}");
    assert!(answer["error"].as_str().unwrap().contains("keys file"), "{answer}");
    assert_eq!(ask(&hub, "GET", "readyz", &Value::Null).0, 503);
    assert_eq!(hub.stop(), 0);
    drop(hub);
    // The first of two keys seals from now on, the second one still opens.
    let mut hub = start(root, "hub", None, Some(&both));
    assert_eq!((publish(&hub).0, shown(&hub)), (200, 2));
    let inspected = run(
        "hub-node",
        &["wal", "inspect", "--records", &root.join("reads/default").display().to_string()],
    );
    assert!(!inspected.stdout.windows(8).any(|part| part == b"the door"));
    assert_eq!(hub.stop(), 0);
    drop((hub, reads, relay));
    for node in ["hub", "reads", "relay"] {
        let directory = root.join(node);
        assert!(anywhere(&directory, b"site/7/door"), "the search finds what is there");
        for part in [CLEAR, &CLEAR[..9], PAYLOAD.as_bytes(), &[0xA7; 32], &[0x1C; 32]] {
            assert!(!anywhere(&directory, part), "{node}");
        }
        for key in [&old, &new] {
            let log = fs::read_to_string(root.join(format!("{node}.log"))).unwrap();
            assert!(!anywhere(&directory, key.as_bytes()) && !log.contains(key.as_str()), "{node}");
        }
    }
}

#[test]
fn a_keys_file_that_others_may_read_stops_the_start() {
    let root = tempfile::tempdir().unwrap();
    let path = keys(root.path(), "keys.toml", &format!("default = \"{}\"\n", "00".repeat(32)));
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let (data, path) = (root.path().join("hub"), path.display().to_string());
    let data = data.display().to_string();
    let output =
        run("hub-node", &["serve", "--http", FREE, "--data-dir", &data, "--keys-file", &path]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("chmod 600"), "{output:?}");
}
