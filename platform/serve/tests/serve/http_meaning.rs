//! Requests that say more than is done are refused, and what may be left out may be `null`.

use super::http::{get, request};
use super::running::Running;

fn send(running: &Running, path: &str, body: &str) -> (u16, String) {
    let (method, path) = path.split_once(' ').unwrap();
    let answer = request(running, &format!("{method} /api/v1/default/{path}"), &[], body);
    (answer.status, answer.text())
}

#[test]
fn null_is_as_good_as_nothing() {
    let running = Running::hub();
    for (path, body) in [
        (
            "POST topics/publish",
            r#"{"topic":"t","payload":null,"headers":null,"retain":null,"ttl":null,"syntax":null}"#,
        ),
        ("POST topics/publish", r#"{"topic":"t","pattern":null,"messages":null}"#),
        (
            "POST topics/publish",
            r#"{"messages":[{"topic":"t","payload":null,"headers":null}],"topic":null}"#,
        ),
        ("POST topics/publish-pattern", r#"{"pattern":"t/+","topic":null,"payload":null}"#),
        ("POST topics/trim", r#"{"filter":"t","pattern":null,"before":0,"syntax":null}"#),
        (
            "PUT topics/settings",
            r#"{"defaultTtl":null,"rules":null,"compression":null,"encryption":null,"syntax":null}"#,
        ),
        (
            "POST kv/batch",
            r#"{"operation":"put","items":[{"key":"a","value":"","keyEncoding":null}],"keys":null,"ttl":null}"#,
        ),
        ("POST kv/batch", r#"{"operation":"delete","keys":["a"],"items":null,"keyEncoding":null}"#),
        (
            "POST row/batch",
            r#"{"operation":"put","rows":[{"rowKey":"a","columns":{"a":""},"keyEncoding":null}]}"#,
        ),
        ("POST tx/begin", r#"{"operation":null,"entryType":null}"#),
    ] {
        let (status, text) = send(&running, path, body);
        assert_eq!(status, 200, "{path} {body}: {text}");
    }
}

#[test]
fn nothing_that_was_asked_for_is_left_out_without_a_word() {
    let running = Running::hub();
    for (path, body, why) in [
        ("PUT kv/k?ttl=1", r#"{"value":""}"#, "has no query: `ttl`"),
        ("DELETE kv/k?if=1", "", "has no query: `if`"),
        ("PUT lob/k?ttl=1", "", "has no query: `ttl`"),
        ("POST kv/batch?ttl=1", r#"{"operation":"delete","keys":["k"]}"#, "has no query"),
        ("POST kv/batch", r#"{"operation":"put","keys":["k"]}"#, "`put` takes `items`"),
        (
            "POST kv/batch",
            r#"{"operation":"put","items":[{"key":"k","value":""}],"keys":["k"]}"#,
            "`put` takes `items`",
        ),
        (
            "POST kv/batch",
            r#"{"operation":"delete","items":[{"key":"k","value":""}]}"#,
            "`delete` takes `keys`",
        ),
        ("POST tx/begin", " [null, null]", "not an array"),
        ("PUT topics/settings", "[null, null]", "not an array"),
        ("PUT kv/k", "[\"\"]", "not an array"),
        ("POST topics/publish", "{}", "a message has a `topic`"),
        ("POST topics/publish", r#"{"messages":[{}]}"#, "a message has a `topic`"),
        ("POST topics/publish", r#"{"topic":"t","pattern":"+"}"#, "for topics/publish-pattern"),
        ("POST topics/publish-pattern", r#"{"topic":"t","pattern":"+"}"#, "for topics/publish"),
        ("POST topics/publish", r#"{"topic":"t","messages":[{"topic":"t"}]}"#, "beside `messages`"),
        ("POST topics/publish", r#"{"ttl":1,"messages":[{"topic":"t"}]}"#, "beside `messages`"),
        ("PUT kv/k", r#"{"value":"","ttl":-1}"#, "`ttl` is whole seconds, or a text"),
        ("PUT kv/k", r#"{"value":"","ttl":1.5}"#, "`ttl` is whole seconds, or a text"),
        ("POST topics/trim", r#"{"filter":"t","before":{}}"#, "a time is milliseconds"),
        ("PUT quota", r#"{"bytes":-1}"#, "`bytes` is a whole number, or a text"),
        ("DELETE row/r/columns", r#"{"columns":1}"#, "`columns` is a list of names"),
    ] {
        let (status, text) = send(&running, path, body);
        assert_eq!(status, 400, "{path} {body}: {text}");
        assert!(text.contains(why), "{path} {body}: {text}");
    }
    let stats = get(&running, "/api/v1/default/stats").json();
    assert_eq!(stats["opsReceived"], 0, "nothing was written");
    // A read may have one all the same, as what comes from a cache often does.
    assert_eq!(get(&running, "/api/v1/default/kv/k?version=3").status, 200);
}

#[test]
fn a_time_in_milliseconds_is_no_place_to_subscribe_from() {
    let running = Running::hub();
    assert_eq!(send(&running, "POST topics/publish", r#"{"topic":"t"}"#).0, 200);
    let newest = get(&running, "/api/v1/default/stats").json()["opsReceived"].as_u64().unwrap();
    let from = |start: u64| {
        let path = format!("/api/v1/default/topics/subscribe?filter=t&start={start}");
        get(&running, &path)
    };
    let later = from(1_795_264_461_911);
    assert_eq!(later.status, 400);
    let error = later.error();
    assert!(error.contains(&format!("the next one is {};", newest + 1)), "{error}");
    assert_eq!(from(newest + 2).status, 400);
    // All of what there was before 1970 is nothing.
    for time in ["1960-01-01T00:00:00Z", "0001-01-01T00:00:00Z"] {
        let path = format!("/api/v1/default/topics/messages?filter=t&from={time}");
        assert_eq!(get(&running, &path).json()["items"].as_array().unwrap().len(), 1);
        let path = format!("/api/v1/default/topics/messages?filter=t&to={time}");
        assert_eq!(get(&running, &path).json()["items"].as_array().unwrap().len(), 0);
    }
}
