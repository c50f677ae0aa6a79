//! Topics over HTTP.

use super::http::{Answer, get, request};
use super::running::{Running, Setting};
use super::watch::Events;
use serde_json::{Value, json};
use unison_engine::{NewMessage, Operation, Write};
use unison_serve::config::Address;
use unison_serve::node::Role;

const TOPICS: &str = "/api/v1/default/topics";

fn post(running: &Running, path: &str, body: &Value) -> Answer {
    request(running, &format!("POST {TOPICS}/{path}"), &[], &body.to_string())
}

pub(super) fn publish(running: &Running, topic: &str, payload: &str) -> String {
    let answer = post(running, "publish", &json!({ "topic": topic, "payload": payload }));
    assert_eq!(answer.status, 200, "{}", answer.json());
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(id, format!("{}-0", answer.json()["lsn"]));
    id
}

fn messages(running: &Running, query: &str) -> Value {
    let answer = get(running, &format!("{TOPICS}/messages?{query}"));
    assert_eq!(answer.status, 200, "{query}: {}", answer.json());
    answer.json()
}

fn payloads(running: &Running, query: &str) -> Vec<String> {
    let page = messages(running, query);
    let items = page["items"].as_array().unwrap().iter();
    items.map(|item| item["payload"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_is_published_is_read_deleted_and_trimmed() {
    let running = Running::hub();
    let first = publish(&running, "a/b", "MQ==");
    publish(&running, "a/c", "Mg==");
    let whole = json!({
        "topic": "a/b", "payload": "Mw==", "ttl": "1h", "retain": true, "headers": { "h": "dg==" },
    });
    assert_eq!(post(&running, "publish", &whole).status, 200);
    assert_eq!(payloads(&running, "filter=a/%2B"), ["MQ==", "Mg==", "Mw=="]);
    assert_eq!(payloads(&running, "filter=a/b&order=newest"), ["Mw==", "MQ=="]);
    assert_eq!(payloads(&running, "filter=a.b&syntax=dotted"), ["MQ==", "Mw=="]);
    assert_eq!(payloads(&running, "filter=%23&last=2"), ["Mg==", "Mw=="]);
    assert_eq!(payloads(&running, "last=1h"), ["MQ==", "Mg==", "Mw=="]);
    assert!(payloads(&running, "to=2020-01-01T00:00:00Z").is_empty());
    let item = messages(&running, "filter=a/b&last=1")["items"][0].clone();
    let time = item["time"].as_u64().unwrap();
    let expected = json!({
        "id": item["id"], "topic": "a/b", "time": time, "expires": time + 3_600_000,
        "retained": true, "headers": { "h": "dg==" }, "payload": "Mw==",
    });
    assert_eq!(item, expected);
    let retained = get(&running, &format!("{TOPICS}/retained?filter=%23")).json();
    assert_eq!(retained, json!({ "items": [item], "cursor": null }));
    let names = get(&running, &format!("{TOPICS}?filter=a/%23")).json();
    assert_eq!(names, json!({ "topics": ["a/b", "a/c"], "cursor": null }));

    let delete = |id: &str| request(&running, &format!("DELETE {TOPICS}/messages/{id}"), &[], "");
    assert_eq!(delete(&first).json()["success"], true);
    assert_eq!((delete(&first).status, delete("99-0").status, delete("x").status), (404, 404, 400));
    assert_eq!(payloads(&running, "filter=a/b"), ["Mw=="]);
    let trimmed = post(&running, "trim", &json!({ "filter": "a/#", "before": u64::MAX }));
    assert_eq!(trimmed.json(), json!({ "success": true, "count": 2 }));
    assert!(payloads(&running, "").is_empty());
    publish(&running, "a/b", "NA==");
    assert_eq!(payloads(&running, "filter=a/b"), ["NA=="]);
}

#[test]
fn a_batch_is_atomic_and_a_pattern_reaches_topics_used_later() {
    let running = Running::hub();
    let batch = json!({ "messages": [
        { "topic": "x", "payload": "MQ==" }, { "topic": "y", "payload": "" },
    ] });
    let answer = post(&running, "publish", &batch).json();
    let lsn = &answer["lsn"];
    assert_eq!(answer["ids"], json!([format!("{lsn}-0"), format!("{lsn}-1")]));
    let bad = json!({ "messages": [{ "topic": "x", "payload": "Mg==" }, { "topic": "y/+" }] });
    assert_eq!(post(&running, "publish", &bad).status, 400);
    assert_eq!(payloads(&running, ""), ["MQ==", ""]);
    let pattern = json!({ "pattern": "room/+", "payload": "YWxs" });
    assert_eq!(post(&running, "publish-pattern", &pattern).status, 200);
    publish(&running, "room/1", "Mg==");
    assert_eq!(payloads(&running, "filter=room/1"), ["YWxs", "Mg=="]);
    let item = messages(&running, "filter=room/1&limit=1")["items"][0].clone();
    assert_eq!((&item["topic"], &item["pattern"]), (&json!("room/1"), &json!("room/+")));
    let trim = json!({ "pattern": "room/+", "before": "2999-01-01T00:00:00Z" });
    assert_eq!(post(&running, "trim", &trim).json()["count"], 1);
    assert_eq!(payloads(&running, "filter=room/1"), ["Mg=="]);
}

#[test]
fn pages_follow_their_cursors() {
    let running = Running::hub();
    for number in 0..23 {
        publish(&running, ["a", "b"][number % 2], &format!("{number:04}"));
    }
    for (query, expected) in [
        ("order=oldest", (0..23).collect::<Vec<_>>()),
        ("order=newest", (0..23).rev().collect()),
        ("order=newest&last=7", (16..23).rev().collect()),
        ("order=oldest&last=7", (16..23).collect()),
        ("filter=b", (1..23).step_by(2).collect()),
    ] {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = messages(&running, &format!("{query}&limit=3&cursor={cursor}"));
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= 3);
            all.extend(items.iter().map(|item| item["payload"].as_str().unwrap().to_owned()));
            match page["cursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        let expected: Vec<_> = expected.iter().map(|number| format!("{number:04}")).collect();
        assert_eq!(all, expected, "{query}");
    }
    let page = get(&running, &format!("{TOPICS}?limit=1")).json();
    let cursor = page["cursor"].as_str().unwrap();
    let rest = get(&running, &format!("{TOPICS}?limit=1&cursor={cursor}")).json();
    assert_eq!(rest, json!({ "topics": ["b"], "cursor": null }));
}

#[test]
fn what_has_no_meaning_is_refused() {
    let running = Running::hub();
    for query in [
        "filter=a%23",
        "filter=",
        "order=up",
        "last=1w",
        "last=10001",
        "from=x",
        "cursor=x",
        "unknown=1",
        "limit=0",
        "syntax=x",
    ] {
        let answer = get(&running, &format!("{TOPICS}/messages?{query}"));
        assert_eq!(answer.status, 400, "{query}");
    }
    for body in [
        json!({}),
        json!({ "topic": "a", "payload": "?" }),
        json!({ "topic": "a", "ttl": "1w" }),
        json!({ "messages": [] }),
        json!({ "topic": "a/#" }),
    ] {
        assert_eq!(post(&running, "publish", &body).status, 400, "{body}");
    }
    let long = "a".repeat(4_097);
    assert_eq!(post(&running, "publish", &json!({ "topic": long })).status, 413);
    for body in [json!({ "before": 1 }), json!({ "filter": "a", "pattern": "a", "before": 1 })] {
        assert_eq!(post(&running, "trim", &body).status, 400, "{body}");
    }
    assert_eq!(post(&running, "trim", &json!({ "pattern": "a", "before": 1 })).status, 404);
    assert_eq!(get(&running, "/api/v1/none/topics").status, 404);
}

#[test]
fn a_subscription_tells_what_is_there_and_what_comes_and_goes_on_where_it_was() {
    let running = Running::hub();
    let open = |query: &str, last_id: Option<&str>| {
        Events::of(running.http, &format!("topics/subscribe?{query}"), last_id)
    };
    let payload = |events: &mut Events| events.data()["payload"].as_str().unwrap().to_owned();
    let first = publish(&running, "a/b", "MQ==");
    let kept = json!({ "topic": "a/c", "payload": "Mg==", "retain": true });
    let kept = post(&running, "publish", &kept).json()["lsn"].clone();
    let mut now = open("filter=a/%2B", None);
    let mut retained = open("filter=a/%23&start=retained", None);
    let mut from = open(&format!("start={kept}"), None);
    let mut all = open("filter=a/b&start=1h", None);
    assert_eq!(payload(&mut retained), "Mg==");
    assert_eq!(payload(&mut from), "Mg==");
    assert_eq!(payload(&mut all), "MQ==");
    publish(&running, "b", "bm8=");
    publish(&running, "a/later", "Mw==");
    post(&running, "publish-pattern", &json!({ "pattern": "a/+", "payload": "NA==" }));
    for events in [&mut now, &mut retained] {
        assert_eq!(payload(events), "Mw==");
        assert_eq!(payload(events), "NA==");
    }
    assert_eq!([payload(&mut from), payload(&mut from)], ["bm8=", "Mw=="]);
    let item = all.data();
    assert_eq!((&item["topic"], &item["pattern"]), (&json!("a/b"), &json!("a/+")));

    let mut again = open("filter=a/%2B", Some(&first));
    let rest = [payload(&mut again), payload(&mut again), payload(&mut again)];
    assert_eq!(rest, ["Mg==", "Mw==", "NA=="]);
    let mut behind = open("filter=a/%2B", Some(&again.last_id));
    publish(&running, "a/b", "NQ==");
    assert_eq!(payload(&mut behind), "NQ==");
    assert_eq!(payload(&mut again), "NQ==");
    for query in ["start=x", "filter=a%23", "unknown=1"] {
        assert_eq!(get(&running, &format!("{TOPICS}/subscribe?{query}")).status, 400, "{query}");
    }
}

/// The id of the greeting: where a client comes back to that heard nothing yet.
pub(super) fn greeted(events: &mut Events) -> String {
    assert_eq!(events.line().unwrap(), "retry: 1000");
    while events.last_id.is_empty() {
        let line = events.line().unwrap();
        if let Some(id) = line.strip_prefix("id: ") {
            id.clone_into(&mut events.last_id);
        }
    }
    events.last_id.clone()
}

#[test]
fn a_client_that_is_cut_off_before_the_first_message_misses_and_repeats_nothing() {
    let running = Running::hub();
    let open = |query: &str, last_id: Option<&str>| {
        Events::of(running.http, &format!("topics/subscribe?{query}"), last_id)
    };
    let nothing_yet = greeted(&mut open("", None));
    post(&running, "publish", &json!({ "topic": "a", "payload": "MQ==", "retain": true }));
    let mut again = open("", Some(&nothing_yet));
    assert_eq!(again.data()["payload"], "MQ==");
    let one_there = greeted(&mut open("start=now", None));
    let behind_retained = greeted(&mut open("start=retained", None));
    publish(&running, "a", "Mg==");
    for id in [one_there, behind_retained] {
        let mut again = open("start=retained", Some(&id));
        assert_eq!(again.data()["payload"], "Mg==", "{id}");
    }
}

#[test]
fn a_client_that_comes_from_a_node_that_is_ahead_is_told_of_nothing_again() {
    let role = Role::Edge { hub: Address::loopback(1) };
    for (role, status) in [(role, 200), (Role::Hub, 410)] {
        let edge = Running::start(Setting { role, ..Setting::default() });
        let namespace = edge.store.namespace("default").unwrap();
        let write = |payload: &[u8]| {
            let message = NewMessage { topic: "a", payload, ..NewMessage::default() };
            namespace.write(&Write::new(Operation::Publish(&[message]))).unwrap().lsn.0
        };
        let first = write(b"1");
        let seen = format!("{}-0", first + 1);
        let head = format!("GET {TOPICS}/subscribe?start=now");
        if status == 410 {
            let answer = request(&edge, &head, &[("last-event-id", &seen)], "");
            assert_eq!(answer.status, status);
            continue;
        }
        let mut events = Events::of(edge.http, "topics/subscribe", Some(&seen));
        assert_eq!(greeted(&mut events), seen);
        assert_eq!(events.next().unwrap().0, "link");
        assert_eq!(write(b"2"), first + 1);
        write(b"3");
        assert_eq!(events.data()["payload"], "Mw==");
    }
}

/// More messages than a walk back takes, many of the same time, and every place among them.
#[test]
fn a_client_that_was_away_for_long_goes_on_where_it_was() {
    let running = Running::hub();
    let namespace = running.store.namespace("default").unwrap();
    let batches: Vec<u64> = (0..8)
        .map(|_| {
            let messages = vec![NewMessage { topic: "a", ..NewMessage::default() }; 400];
            namespace.write(&Write::new(Operation::Publish(&messages))).unwrap().lsn.0
        })
        .collect();
    let first_id = |query: &str, last_id: Option<&str>| {
        let mut events =
            Events::of(running.http, &format!("topics/subscribe?filter=%23{query}"), last_id);
        events.data()["id"].as_str().unwrap().to_owned()
    };
    assert_eq!(first_id("&start=0", None), format!("{}-0", batches[0]));
    assert_eq!(first_id("", Some("0-0")), format!("{}-0", batches[0]));
    for lsn in &batches {
        assert_eq!(first_id(&format!("&start={lsn}"), None), format!("{lsn}-0"));
        for index in [0, 1, 398] {
            let seen = format!("{lsn}-{index}");
            assert_eq!(first_id("", Some(&seen)), format!("{lsn}-{}", index + 1));
        }
    }
    for (at, lsn) in batches.iter().enumerate().skip(1) {
        let seen = format!("{}-399", batches[at - 1]);
        assert_eq!(first_id("", Some(&seen)), format!("{lsn}-0"));
    }
}
