//! Subscriptions to topics: however many there are, and whoever writes meanwhile.

use super::http::request;
use super::http_topics::{greeted, publish};
use super::running::Running;
use super::watch::Events;
use serde_json::{Value, json};
use std::thread;
use unison_base::limits::{BATCH_OPERATIONS_MAX, READ_STREAMS_MAX};
use unison_engine::{MessageRequest, NewMessage, Operation, TopicFilter, Write};
use unison_linux::store::Namespace;

const BASE: &str = "/api/v1/default";

fn subscribe(running: &Running, query: &str, last_id: Option<&str>) -> Events {
    Events::of(running.http, &format!("topics/subscribe?filter=%23{query}"), last_id)
}

fn publish_all(namespace: &Namespace, topics: &[String]) {
    let message = |topic| NewMessage { topic, payload: b"old", ..NewMessage::default() };
    for topics in topics.chunks(BATCH_OPERATIONS_MAX / 2) {
        let messages: Vec<_> = topics.iter().map(|topic| message(topic)).collect();
        namespace.write(&Write::new(Operation::Publish(&messages))).unwrap();
    }
}

#[test]
fn a_subscription_to_more_topics_than_are_merged_tells_what_comes() {
    let running = Running::hub();
    let topics: Vec<String> = (0..=READ_STREAMS_MAX).map(|number| format!("t/{number}")).collect();
    publish_all(&running.store.namespace("default").unwrap(), &topics);
    let mut events = subscribe(&running, "", None);
    let nothing_yet = greeted(&mut events);
    let ids = [publish(&running, "t/7", "MQ=="), publish(&running, "t/new", "Mg==")];
    let of = |events: &mut Events| events.data()["id"].as_str().unwrap().to_owned();
    assert_eq!([of(&mut events), of(&mut events)], ids);
    let mut again = subscribe(&running, "", Some(&nothing_yet));
    assert_eq!([of(&mut again), of(&mut again)], ids);
    let mut again = subscribe(&running, "", Some(&ids[0]));
    assert_eq!(of(&mut again), ids[1]);
}

/// Publishes messages one by one, in batches, to patterns and in transactions, and writes keys in
/// between.
fn write_a_lot(running: &Running, writer: usize) {
    let namespace = running.store.namespace("default").unwrap();
    let post = |path: &str, body: Value| {
        let answer = request(running, &format!("POST {BASE}/{path}"), &[], &body.to_string());
        assert_eq!(answer.status, 200, "{path}: {}", answer.json());
        answer.json()
    };
    for round in 0..12 {
        let topics: Vec<String> =
            (0..9).map(|topic| format!("w/{}", (topic * round) % 13)).collect();
        let id = post("tx/begin", json!({}))["txnId"].as_str().unwrap().to_owned();
        for topic in &topics[..3] {
            publish_all(&namespace, std::slice::from_ref(topic));
            let message = json!({ "topic": topic, "payload": "dHg=" });
            post(&format!("tx/{id}/topics"), message);
            post(&format!("tx/{id}/kv"), json!({ "key": topic, "value": "MQ==" }));
        }
        publish_all(&namespace, &topics);
        namespace.write(&Write::put(&[writer as u8, round as u8], b"noise")).unwrap();
        post(
            "topics/publish-pattern",
            json!({ "pattern": format!("w/{writer}/+"), "payload": "" }),
        );
        post(&format!("tx/{id}/commit"), json!({}));
    }
}

/// All messages there are, by name.
fn all(namespace: &Namespace) -> Vec<String> {
    let filter = TopicFilter::new("#").unwrap();
    let snapshot = namespace.reader().snapshot();
    let messages = snapshot.messages(MessageRequest::all(&filter)).unwrap();
    messages
        .map(|message| message.unwrap().at.id())
        .map(|id| format!("{}-{}", id.lsn, id.index))
        .collect()
}

#[test]
fn whoever_writes_meanwhile_every_subscriber_is_told_of_everything_once_and_in_order() {
    let running = Running::hub();
    publish(&running, "w/1", "MQ==");
    let expected = || all(&running.store.namespace("default").unwrap());
    let before = expected().len();
    let mut now = subscribe(&running, "", None);
    greeted(&mut now);
    let hear = |mut events: Events, count: usize| -> Vec<String> {
        (0..count).map(|_| events.data()["id"].as_str().unwrap().to_owned()).collect()
    };
    let count = before + 3 * 12 * (3 + 3 + 9 + 1);
    let told = thread::scope(|scope| {
        for writer in 0..3 {
            let running = &running;
            scope.spawn(move || write_a_lot(running, writer));
        }
        let by_topics = scope.spawn(|| hear(subscribe(&running, "&start=1h", None), count));
        let by_log = scope.spawn(|| hear(subscribe(&running, "&start=0", None), count));
        let cut = scope.spawn(|| {
            let (mut told, mut last) = (Vec::new(), "0-0".to_owned());
            while told.len() < count {
                let part = (told.len() % 37 + 1).min(count - told.len());
                told.extend(hear(subscribe(&running, "", Some(&last)), part));
                last.clone_from(told.last().unwrap());
            }
            told
        });
        let now = hear(now, count - before);
        [by_topics, by_log, cut]
            .map(|told| told.join().unwrap())
            .into_iter()
            .chain([now])
            .collect::<Vec<_>>()
    });
    let expected = expected();
    assert_eq!(expected.len(), count);
    for (told, which) in told.iter().zip(["by topics", "by log", "cut"]) {
        assert_eq!(told, &expected, "{which}");
    }
    assert_eq!(told[3], expected[before..]);
}
