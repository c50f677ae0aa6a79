//! Transactions over HTTP.

use super::http::{Answer, request};
use super::http_objects::send;
use super::running::{Running, Setting};
use serde_json::json;
use unison_engine::EngineOptions;

const BASE: &str = "/api/v1/default";

fn post(running: &Running, path: &str, body: &str) -> Answer {
    request(running, &format!("POST {BASE}/{path}"), &[], body)
}

fn begin(running: &Running, body: &str) -> String {
    let begun = post(running, "tx/begin", body).json();
    assert_eq!(begun["success"], true);
    begun["txnId"].as_str().unwrap().to_owned()
}

fn value(running: &Running, key: &str) -> String {
    let found = request(running, &format!("GET {BASE}/kv/{key}"), &[], "").json();
    found["value"].as_str().unwrap().to_owned()
}

#[test]
fn a_mixed_transaction_is_seen_at_its_commit_and_not_before() {
    let running = Running::hub();
    assert_eq!(
        request(&running, &format!("PUT {BASE}/kv/old"), &[], r#"{"value":"MQ=="}"#).status,
        200
    );
    let id = begin(&running, "");
    for (path, body) in [
        ("kv", r#"{"key":"a","value":"MQ=="}"#),
        ("kv", r#"{"key":"old","operation":"delete"}"#),
        ("row", r#"{"rowKey":"r","columns":{"c":"Mg==","d":"Mw=="}}"#),
        ("row", r#"{"rowKey":"r","columns":["d"],"operation":"deleteColumns"}"#),
        ("lob?key=o", "four"),
    ] {
        let added = post(&running, &format!("tx/{id}/{path}"), body);
        assert_eq!((added.status, &added.json()["success"]), (200, &json!(true)), "{path}");
    }
    assert_eq!((value(&running, "a"), value(&running, "old")), (String::new(), "MQ==".to_owned()));
    let committed = post(&running, &format!("tx/{id}/commit"), "");
    assert_eq!(committed.status, 200);
    let lsn = committed.json()["lsn"].clone();
    assert_eq!((value(&running, "a"), value(&running, "old")), ("MQ==".to_owned(), String::new()));
    let row = request(&running, &format!("GET {BASE}/row/r"), &[], "").json();
    assert_eq!(row, json!({"columns": {"c": "Mg=="}, "found": true, "lsn": lsn}));
    let object = request(&running, &format!("GET {BASE}/lob/o"), &[], "");
    assert_eq!(
        (object.body.as_slice(), object.header("etag")),
        (b"four".as_slice(), Some(lsn.to_string().as_str()))
    );
}

#[test]
fn ended_and_unknown_transactions_have_their_status() {
    let running = Running::hub();
    let body = r#"{"key":"a","value":"MQ=="}"#;
    let (committed, aborted) = (begin(&running, ""), begin(&running, ""));
    assert_eq!(post(&running, &format!("tx/{committed}/commit"), "").status, 200);
    assert_eq!(post(&running, &format!("tx/{aborted}/abort"), "").json(), json!({"success": true}));
    for (id, status) in
        [(committed.as_str(), 409), (&aborted, 410), ("nonsense", 404), (&"0".repeat(32), 404)]
    {
        for (path, body) in [("kv", body), ("commit", ""), ("abort", ""), ("lob?key=a", "x")] {
            assert_eq!(
                post(&running, &format!("tx/{id}/{path}"), body).status,
                status,
                "{id} {path}"
            );
        }
    }
    assert_eq!(value(&running, "a"), "");
}

#[test]
fn a_condition_holds_at_the_commit_or_nothing_happens() {
    let running = Running::hub();
    let id = begin(&running, "");
    let path = format!("POST {BASE}/tx/{id}/kv");
    let absent = [("if-none-match", "*")];
    assert_eq!(request(&running, &path, &absent, r#"{"key":"a","value":"MQ=="}"#).status, 200);
    assert_eq!(
        request(&running, &format!("PUT {BASE}/kv/a"), &[], r#"{"value":"Mg=="}"#).status,
        200
    );
    assert_eq!(post(&running, &format!("tx/{id}/commit"), "").status, 412);
    assert_eq!(post(&running, &format!("tx/{id}/commit"), "").status, 410);
    assert_eq!(value(&running, "a"), "Mg==");
    let id = begin(&running, "");
    let path = format!("POST {BASE}/tx/{id}/kv");
    assert_eq!(request(&running, &path, &absent, r#"{"key":"a","value":"MQ=="}"#).status, 412);
}

#[test]
fn what_the_beginning_declared_holds() {
    let running = Running::hub();
    assert_eq!(
        request(&running, &format!("PUT {BASE}/kv/a"), &[], r#"{"value":"MQ=="}"#).status,
        200
    );
    let id = begin(&running, r#"{"operation":"delete","entryType":"kv"}"#);
    assert_eq!(post(&running, &format!("tx/{id}/row"), r#"{"rowKey":"a"}"#).status, 400);
    assert_eq!(post(&running, &format!("tx/{id}/kv"), r#"{"key":"a"}"#).status, 200);
    assert_eq!(post(&running, &format!("tx/{id}/commit"), "").status, 200);
    assert_eq!(value(&running, "a"), "");
    let id = begin(&running, r#"{"operation":"put","entryType":"lob"}"#);
    assert_eq!(send(&running, &format!("POST {BASE}/tx/{id}/lob?key=o"), "", b"1").status, 200);
    assert_eq!(
        send(&running, &format!("POST {BASE}/tx/{id}/lob?key=o"), "", b"2").json()["bytes"],
        2
    );
    assert_eq!(post(&running, &format!("tx/{id}/commit"), "").status, 200);
    assert_eq!(request(&running, &format!("GET {BASE}/lob/o"), &[], "").body, b"12");
    let id = begin(&running, r#"{"operation":"delete","entryType":"lob"}"#);
    assert_eq!(post(&running, &format!("tx/{id}/lob?key=o"), "").status, 200);
    assert_eq!(post(&running, &format!("tx/{id}/commit"), "").status, 200);
    assert_eq!(request(&running, &format!("GET {BASE}/lob/o"), &[], "").status, 404);
    for body in [r#"{"operation":"nothing"}"#, r#"{"entryType":"topic"}"#, "{"] {
        assert_eq!(post(&running, "tx/begin", body).status, 400, "{body}");
    }
}

#[test]
fn a_transaction_that_nobody_goes_on_with_is_gone() {
    let engine = EngineOptions { transaction_idle_ms: 50, ..EngineOptions::default() };
    let running = Running::start(Setting { engine, ..Setting::default() });
    let id = begin(&running, "");
    std::thread::sleep(std::time::Duration::from_millis(120));
    let late = post(&running, &format!("tx/{id}/commit"), "");
    assert_eq!(late.status, 410);
    assert!(late.error().contains("timed out"));
}
