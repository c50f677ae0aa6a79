//! Keys and rows that expire, over HTTP.

use std::time::{Duration, Instant};

use super::http::{Answer, get, request};
use super::running::Running;
use serde_json::{Value, json};

const ROOT: &str = "/api/v1/default";

fn send(running: &Running, line: &str, body: &Value) -> Answer {
    request(running, line, &[], &body.to_string())
}

/// The time in an answer, as seconds from now.
fn left(answer: &Value) -> u64 {
    let expires = answer["expires"].as_u64().unwrap_or_else(|| panic!("{answer}"));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    expires.saturating_sub(u64::try_from(now.as_millis()).unwrap()).div_ceil(1_000)
}

/// Whether it lives for this many seconds, less what a slow machine took to ask.
fn nearly(answer: &Value, seconds: u64) -> bool {
    (seconds - 30..=seconds).contains(&left(answer))
}

#[test]
fn what_is_put_with_a_ttl_says_when_it_expires_and_goes() {
    let running = Running::hub();
    let put = |path: &str, body: Value| {
        let answer = send(&running, &format!("PUT {ROOT}{path}"), &body);
        assert_eq!(answer.status, 200, "{path} {body}");
    };
    put("/kv/a", json!({ "value": "MQ==", "ttl": 90 }));
    put("/kv/b", json!({ "value": "MQ==", "ttl": "1h" }));
    put("/kv/c", json!({ "value": "MQ==" }));
    put("/row/r", json!({ "columns": { "x": "MQ==" }, "ttl": "90s" }));
    put("/row/r", json!({ "columns": { "y": "MQ==" } }));
    let read = |path: &str| get(&running, &format!("{ROOT}{path}")).json();
    assert!(nearly(&read("/kv/a"), 90));
    assert!(nearly(&read("/kv/b"), 3_600));
    assert!(read("/kv/c").get("expires").is_none());
    assert!(nearly(&read("/row/r"), 90));
    let page = read("/kv");
    assert!(left(&page["items"][0]) <= 90 && page["items"][2].get("expires").is_none(), "{page}");
    assert!(left(&read("/row")["items"][0]) <= 90);
    put("/kv/a", json!({ "value": "MQ==" }));
    assert!(read("/kv/a").get("expires").is_none());
    put("/kv/a", json!({ "value": "MQ==", "ttl": "200ms" }));
    put("/row/r", json!({ "columns": { "x": "MQ==" }, "ttl": "200ms" }));
    let deadline = Instant::now() + Duration::from_secs(20);
    while read("/kv/a")["found"] == true || read("/row/r")["found"] == true {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(read("/kv")["items"].as_array().unwrap().len(), 2);
    assert_eq!(read("/row")["items"], json!([]));
    let none = [("if-none-match", "*")];
    let body = json!({ "value": "Mg==" }).to_string();
    let again = request(&running, &format!("PUT {ROOT}/kv/a"), &none, &body);
    assert_eq!(again.status, 200);
}

#[test]
fn a_batch_has_one_ttl() {
    let running = Running::hub();
    let items = json!([{ "key": "a", "value": "MQ==" }, { "key": "b", "value": "MQ==" }]);
    let batch = json!({ "operation": "put", "items": items, "ttl": 60 });
    assert_eq!(send(&running, &format!("POST {ROOT}/kv/batch"), &batch).status, 200);
    let rows = json!([{ "rowKey": "r", "columns": { "x": "MQ==" } }]);
    let batch = json!({ "operation": "put", "rows": rows, "ttl": "1m" });
    assert_eq!(send(&running, &format!("POST {ROOT}/row/batch"), &batch).status, 200);
    for path in ["/kv/a", "/kv/b", "/row/r"] {
        let answer = get(&running, &format!("{ROOT}{path}")).json();
        assert!(nearly(&answer, 60), "{path} {answer}");
    }
}

#[test]
fn a_ttl_that_is_none_is_refused() {
    let running = Running::hub();
    for ttl in [json!(0), json!(-1), json!("soon"), json!("0s"), json!(1.5)] {
        let body = json!({ "value": "MQ==", "ttl": ttl });
        let answer = send(&running, &format!("PUT {ROOT}/kv/a"), &body);
        assert_eq!(answer.status, 400, "{ttl}");
        assert!(answer.json()["error"].is_string());
    }
    assert_eq!(get(&running, &format!("{ROOT}/kv/a")).json()["found"], false);
}
