//! Settings of topics over HTTP.

use super::http::{get, request};
use super::running::Running;
use serde_json::{Value, json};

const TOPICS: &str = "/api/v1/default/topics";

fn put(running: &Running, body: &Value) -> (u16, Value) {
    let answer = request(running, &format!("PUT {TOPICS}/settings"), &[], &body.to_string());
    (answer.status, answer.json())
}

fn publish(running: &Running, body: &Value) {
    let answer = request(running, &format!("POST {TOPICS}/publish"), &[], &body.to_string());
    assert_eq!(answer.status, 200, "{}", answer.json());
}

fn items(running: &Running, filter: &str) -> Vec<Value> {
    let page = get(running, &format!("{TOPICS}/messages?filter={filter}")).json();
    page["items"].as_array().unwrap().clone()
}

#[test]
fn settings_are_set_shown_and_hold() {
    let running = Running::hub();
    let shown = || get(&running, &format!("{TOPICS}/settings")).json();
    let none = json!({ "compression": "none", "encryption": "none", "rules": [] });
    assert_eq!(shown(), none);
    let settings = json!({
        "defaultTtl": 60,
        "compression": "lz4",
        "rules": [
            { "prefix": "site/7", "ttl": "1h", "keepLast": 2 },
            { "filter": "site/+/log", "ttl": "never", "keepLast": "all" },
        ],
    });
    let (status, answer) = put(&running, &settings);
    assert_eq!((status, &answer["success"]), (200, &json!(true)));
    let expected = json!({
        "defaultTtl": "1m",
        "compression": "lz4",
        "encryption": "none",
        "rules": [
            { "filter": "site/7/#", "ttl": "1h", "keepLast": 2 },
            { "filter": "site/+/log", "ttl": "never", "keepLast": "all" },
        ],
    });
    assert_eq!(shown(), expected);
    for topic in ["site/7/door", "other", "site/8/log"] {
        (0..3).for_each(|_| publish(&running, &json!({ "topic": topic, "payload": "MQ==" })));
    }
    publish(&running, &json!({ "topic": "other", "payload": "MQ==", "ttl": "never" }));
    let lives = |item: &Value| Some(item["expires"].as_u64()? - item["time"].as_u64()?);
    let lives = |filter| items(&running, filter).iter().map(lives).collect::<Vec<_>>();
    assert_eq!(lives("site/7/door"), [Some(3_600_000); 2]);
    assert_eq!(lives("other"), [Some(60_000), Some(60_000), Some(60_000), None]);
    assert_eq!(lives("site/8/log"), [None; 3]);
}

#[test]
fn a_hub_without_a_key_refuses_to_encrypt() {
    let running = Running::hub();
    let (status, answer) = put(&running, &json!({ "encryption": "chacha20poly1305" }));
    assert_eq!(status, 409);
    assert!(answer["error"].as_str().unwrap().contains("keys file"), "{answer}");
    let shown = get(&running, &format!("{TOPICS}/settings")).json();
    assert_eq!(shown["encryption"], "none");
}

#[test]
fn a_number_of_messages_is_the_same_in_every_way_of_writing() {
    let running = Running::hub();
    for (written, meant) in [("5.0", 5), ("5", 5), ("6.5536e4", 65_536)] {
        let body = format!(r#"{{"rules":[{{"filter":"a","keepLast":{written}}}]}}"#);
        let answer = request(&running, &format!("PUT {TOPICS}/settings"), &[], &body);
        assert_eq!(answer.status, 200, "{written} {}", answer.json());
        let shown = get(&running, &format!("{TOPICS}/settings")).json();
        assert_eq!(shown["rules"][0]["keepLast"], meant);
    }
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    let running = Running::hub();
    let rule = |rule: Value| json!({ "rules": [rule] });
    for (body, status) in [
        (json!({ "defaultTtl": 0 }), 400),
        (json!({ "ttl": 1 }), 400),
        (json!({ "compression": "zip" }), 400),
        (json!({ "encryption": true }), 400),
        (rule(json!({ "ttl": "1h" })), 400),
        (rule(json!({ "prefix": "a", "filter": "a", "ttl": "1h" })), 400),
        (rule(json!({ "filter": "a/#/b", "ttl": "1h" })), 400),
        (rule(json!({ "filter": "a", "keepLast": 0 })), 400),
        (rule(json!({ "filter": "a", "keepLast": 65_537 })), 400),
        (rule(json!({ "filter": "a", "keepLast": u32::MAX })), 400),
        (rule(json!({ "filter": "a", "keepLast": u64::MAX })), 400),
        (rule(json!({ "filter": "a", "keepLast": 1.5 })), 400),
        (rule(json!({ "filter": "a", "keepLast": "some" })), 400),
        (json!({ "rules": [{ "filter": "a", "ttl": 1 }, { "filter": "a", "ttl": 2 }] }), 400),
        (json!({ "rules": vec![json!({ "filter": "a" }); 257] }), 413),
    ] {
        let (found, answer) = put(&running, &body);
        assert_eq!(found, status, "{body} {answer}");
    }
}
