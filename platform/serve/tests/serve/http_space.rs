//! Disk: quotas of namespaces and copies of the tree.

use super::http::{Answer, request};
use super::running::{Running, Setting};
use serde_json::{Value, json};
use unison_engine::EngineOptions;
use unison_serve::node::Role;

const BASE: &str = "/api/v1/default";

fn limit(running: &Running, bytes: &Value) -> Answer {
    let body = json!({ "bytes": bytes }).to_string();
    request(running, &format!("PUT {BASE}/quota"), &[], &body)
}

fn put(running: &Running, key: &str) -> Answer {
    let body = json!({ "value": "QUJD".repeat(3_000) }).to_string();
    request(running, &format!("PUT {BASE}/kv/{key}"), &[], &body)
}

fn hub(setting: Setting) -> Running {
    let engine = EngineOptions {
        segment_bytes: 64 << 10,
        memtable_bytes: 1 << 20,
        ..EngineOptions::default()
    };
    Running::start(Setting { engine, ..setting })
}

#[test]
fn a_namespace_has_no_more_disk_than_its_quota() {
    let running = hub(Setting::default());
    let stats = || request(&running, &format!("GET {BASE}/stats"), &[], "").json();
    let listed = || request(&running, "GET /api/v1", &[], "").json()["namespaces"][0].clone();
    assert_eq!((&stats()["quotaBytes"], &listed()["quotaBytes"]), (&Value::Null, &Value::Null));
    let answer = limit(&running, &json!("1MiB"));
    assert_eq!(answer.json(), json!({ "success": true, "quotaBytes": 1 << 20 }));
    let mut refused = None;
    for number in 0..500 {
        let answer = put(&running, &format!("k{number}"));
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("a refusal");
    assert_eq!(refused.status, 507);
    assert!(refused.error().contains("1048576 bytes"), "{}", refused.error());
    for shown in [stats(), listed()] {
        let used = shown["diskBytes"].as_u64().unwrap();
        assert_eq!(shown["quotaBytes"], 1 << 20);
        assert!((900_000..=1 << 20).contains(&used), "{shown}");
    }
    assert_eq!(limit(&running, &Value::Null).status, 200);
    assert_eq!(put(&running, "again").status, 200);
}

#[test]
fn quotas_are_numbers_or_sizes_and_set_at_the_hub() {
    let running = hub(Setting::default());
    for (bytes, status) in [
        (json!(0), 200),
        (json!(1e9), 200),
        (json!("3GiB"), 200),
        (json!(1_u64 << 60), 200),
        (json!((1_u64 << 60) + 1), 400),
        (json!(-1), 400),
        (json!("much"), 400),
    ] {
        assert_eq!(limit(&running, &bytes).status, status, "{bytes}");
    }
    assert_eq!(request(&running, &format!("PUT {BASE}/quota"), &[], "{}").status, 400);
    assert_eq!(request(&running, "PUT /api/v1/none/quota", &[], "{}").status, 404);
    let hub = "hub:4000".parse().unwrap();
    let edge = self::hub(Setting { role: Role::Edge { hub }, ..Setting::default() });
    assert_eq!(limit(&edge, &json!(1)).status, 421);
}

#[test]
fn the_tree_is_copied_below_the_allowed_directory() {
    let allowed = tempfile::tempdir().unwrap();
    let running =
        hub(Setting { backup_dir: Some(allowed.path().to_owned()), ..Setting::default() });
    let backup = |path: &str| {
        let body = json!({ "path": path }).to_string();
        request(&running, &format!("POST {BASE}/btree/backup"), &[], &body)
    };
    for _ in 0..2 {
        let copied = backup("nightly/tree.redb").json();
        let path = copied["path"].as_str().unwrap();
        assert_eq!(copied["bytes"], std::fs::metadata(path).unwrap().len());
    }
    for (path, status) in
        [("../t", 403), ("/etc/t", 403), ("", 400), ("nightly", 400), ("nightly/tree.redb/t", 400)]
    {
        assert!([status, 409].contains(&backup(path).status), "{path}: {}", backup(path).status);
    }
    let off = hub(Setting::default());
    let refused = request(&off, &format!("POST {BASE}/btree/backup"), &[], r#"{"path":"t"}"#);
    assert_eq!(refused.status, 403);
}
