//! Server-Sent Events: what a browser's `EventSource` would make of them.

use super::http::request;
use super::running::{Running, Setting};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use unison_base::NamespaceName;
use unison_engine::{EngineOptions, Operation, Write};
use unison_linux::store::{Durability, Namespace};
use unison_serve::config::Address;
use unison_serve::health::{FollowState, Followed};
use unison_serve::node::Role;

/// A client of one stream. Without chunks, as HTTP/1.0 has it: the body is what follows the head.
pub(crate) struct Events {
    lines: BufReader<TcpStream>,
    /// What it would come back with.
    pub(crate) last_id: String,
}

/// One event: its name and its data.
pub(crate) type Event = (String, Value);

impl Events {
    fn open(address: SocketAddr, query: &str, last_id: Option<&str>) -> Self {
        Self::of(address, &format!("watch{query}"), last_id)
    }

    /// A stream of a namespace.
    pub(crate) fn of(address: SocketAddr, path: &str, last_id: Option<&str>) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let seen = last_id.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let head = format!("GET /api/v1/default/{path} HTTP/1.0\r\nhost: x\r\n{seen}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut events = Self { lines: BufReader::new(stream), last_id: String::new() };
        assert!(events.line().unwrap().contains("200 OK"));
        while !events.line().unwrap().is_empty() {}
        events
    }

    pub(crate) fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line).unwrap();
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// The next event that has data; `None` when the stream has ended.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let (mut name, mut data) = ("message".to_owned(), None);
        loop {
            let line = self.line()?;
            match line.split_once(": ") {
                Some(("id", id)) => self.last_id = id.to_owned(),
                Some(("event", event)) => name = event.to_owned(),
                Some(("data", text)) => data = Some(serde_json::from_str(text).unwrap()),
                _ if line.is_empty() => {
                    if let Some(data) = data.take() {
                        return Some((name, data));
                    }
                }
                Some(("retry", _)) => {}
                _ => assert!(line.starts_with(':'), "{line}"),
            }
        }
    }

    pub(crate) fn data(&mut self) -> Value {
        let (name, data) = self.next().expect("an event");
        assert_eq!(name, "message", "{data}");
        data
    }
}

fn put(namespace: &Namespace, key: &[u8], value: &[u8]) -> u64 {
    namespace.write(&Write::put(key, value)).unwrap().lsn.0
}

#[test]
fn events_come_as_they_happen_and_a_client_that_comes_back_misses_and_repeats_nothing() {
    for durability in [Durability::Always, Durability::Never] {
        let running = Running::start(Setting { durability, ..Setting::default() });
        let namespace = running.store.namespace("default").unwrap();
        put(&namespace, b"before", b"");
        let mut events = Events::open(running.http, "", None);
        put(&namespace, b"a", b"1");
        let first = events.data();
        assert_eq!(
            first,
            json!({"lsn": 2, "index": 0, "model": "kv", "operation": "put", "key": "a"})
        );
        let batch: Vec<Vec<u8>> = (0..2_000).map(|n: u32| n.to_be_bytes().to_vec()).collect();
        let pairs: Vec<(&[u8], &[u8])> = batch.iter().map(|key| (&**key, &b"v"[..])).collect();
        namespace.write(&Write::new(Operation::PutBatch(&pairs))).unwrap();
        put(&namespace, b"z", b"");
        // Killed in the middle of a record, and again and again.
        let mut seen = Vec::new();
        let mut last = events.last_id.clone();
        while seen.len() < batch.len() + 1 {
            let mut events = Events::open(running.http, "", Some(&last));
            for _ in 0..(seen.len() % 700 + 1).min(batch.len() + 1 - seen.len()) {
                let data = events.data();
                seen.push((data["lsn"].as_u64().unwrap(), data["index"].as_u64().unwrap()));
            }
            last = events.last_id;
        }
        let due: Vec<_> = (0..2_000).map(|index| (3, index)).chain([(4, 0)]).collect();
        assert_eq!(seen, due);
    }
}

/// Watchers who want the same are told the same bytes while they keep up, and read for themselves when
/// they do not.
#[test]
fn each_of_many_watchers_is_told_everything_it_wants() {
    let running = Running::start(Setting { watchers_max: 64, ..Setting::default() });
    let namespace = running.store.namespace("default").unwrap();
    let queries = ["", "?values=true", "?prefix=1", "?models=row", "?models=kv&prefix=1"];
    let mut reading = Vec::new();
    for number in 0..40_usize {
        let query = queries[number % queries.len()];
        let mut events = Events::open(running.http, query, None);
        let due = if query.contains("row") {
            0
        } else if query.contains("prefix") {
            400
        } else {
            4_000
        };
        reading.push(std::thread::spawn(move || {
            for seen in 0..due {
                if seen % 97 == number {
                    // Falls behind, far enough to be at a place of its own.
                    std::thread::sleep(Duration::from_millis(20));
                }
                let data = events.data();
                let lsn = if due == 400 { 10 * seen + 2 } else { seen + 1 };
                assert_eq!(data["lsn"], json!(lsn), "{query}");
                assert_eq!(data["key"], json!(format!("{}:{lsn}", (lsn - 1) % 10)), "{query}");
                assert_eq!(data.get("value").is_some(), query.contains("values"), "{query}");
            }
            events
        }));
    }
    for number in 0..4_000_u32 {
        put(&namespace, format!("{}:{}", number % 10, number + 1).as_bytes(), b"v");
        if number % 50 == 0 {
            std::thread::sleep(Duration::from_millis(3));
        }
    }
    let told: Vec<_> = reading.into_iter().map(|one| one.join().unwrap()).collect();
    running.store.drop_namespace(&NamespaceName::new("default").unwrap()).unwrap();
    for mut events in told {
        let (name, data) = events.next().expect("a last event");
        assert_eq!(name, "end", "{data}");
    }
}

#[test]
fn a_filter_lets_through_what_it_names_and_the_place_moves_on_all_the_same() {
    let running = Running::hub();
    let namespace = running.store.namespace("default").unwrap();
    put(&namespace, b"door:1", b"open");
    put(&namespace, b"\xff", b"x");
    let head = "PUT /api/v1/default/row/door:2";
    let columns = r#"{"columns":{"state":"b3Blbg==","lock":"b2Zm"}}"#;
    assert_eq!(request(&running, head, &[], columns).status, 200);
    namespace.write(&Write::new(Operation::DeleteRows(&[b"door:2"]))).unwrap();
    namespace.write(&Write::delete(b"door:1")).unwrap();

    let mut rows = Events::open(running.http, "?since=0&models=row&prefix=door", None);
    assert_eq!(rows.data()["columns"], json!(["lock", "state"]));
    assert_eq!(rows.data()["operation"], json!("delete_row"));
    let mut values = Events::open(running.http, "?since=0&values=true", None);
    let data = values.data();
    assert_eq!((&data["value"], &data["key"]), (&json!("b3Blbg=="), &json!("door:1")));
    let data = values.data();
    assert_eq!((&data["key"], &data["keyEncoding"]), (&json!("/w=="), &json!("base64")));
    assert_eq!(values.data()["columns"], json!({"lock": "b2Zm", "state": "b3Blbg=="}));
    let mut keys = Events::open(running.http, "?since=2-0&models=kv", None);
    assert_eq!(keys.data()["operation"], json!("delete"));
    // An id from the last time beats the address, as a browser opens the same one again.
    let mut again = Events::open(running.http, "?since=0", Some("4"));
    assert_eq!(again.data()["lsn"], json!(5));
}

#[test]
fn what_is_not_there_is_refused_with_a_reason() {
    let running = Running::hub();
    let namespace = running.store.namespace("default").unwrap();
    put(&namespace, b"a", b"1");
    let ask = |query: &str, headers: &[(&str, &str)]| {
        request(&running, &format!("GET /api/v1/default/watch{query}"), headers, "")
    };
    for (query, status, why) in [
        ("?since=x", 400, "`since` is <lsn> or <lsn>-<index>"),
        ("?models=kv,tables", 400, "`models` are of kv, row, lob, topic"),
        ("?since=9", 410, "the log's history is another one"),
        ("?after=9", 400, "the query knows no `after`"),
    ] {
        let answer = ask(query, &[]);
        assert_eq!(answer.status, status, "{query}");
        assert!(answer.error().contains(why), "{}", answer.error());
    }
    assert_eq!(ask("", &[("Last-Event-ID", "1-1-1")]).status, 400);
    let watchers: Vec<_> = (0..8).map(|_| Events::open(running.http, "", None)).collect();
    let refused = ask("", &[]);
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(refused.error(), "too many watchers, the limit is 8 (watchers-max)");
    drop(watchers);
    let deadline = Instant::now() + Duration::from_secs(20);
    while metric(&running, "unison_watchers ") > 0 {
        assert!(Instant::now() < deadline, "watchers that are gone keep their places");
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(Events::open(running.http, "", None));
}

fn metric(running: &Running, name: &str) -> u64 {
    let page = request(running, "GET /metrics", &[], "").text();
    let line = page.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
    line.trim().parse().unwrap()
}

#[test]
fn a_stream_ends_with_its_namespace_and_with_the_node_and_says_why() {
    let running = Running::hub();
    let other = running.store.create(&NamespaceName::new("other").unwrap()).unwrap();
    let path = |name: &str| format!("GET /api/v1/{name}/watch HTTP/1.0\r\nhost: x\r\n\r\n");
    let mut dropped = TcpStream::connect(running.http).unwrap();
    dropped.write_all(path("other").as_bytes()).unwrap();
    let mut stopped = Events::open(running.http, "", None);
    let mut greeting = [0; 15];
    dropped.read_exact(&mut greeting).unwrap();
    running.store.drop_namespace(other.name()).unwrap();
    let mut rest = String::new();
    dropped.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("event: end") && rest.contains("dropped or began anew"), "{rest}");
    assert_eq!(running.stop(), 0);
    assert_eq!(stopped.next().unwrap(), ("end".into(), json!({"error": "the node stops"})));
    assert_eq!(stopped.next(), None);
}

/// A client that reads nothing holds up nobody; what it missed meanwhile it reads later.
#[test]
fn a_client_that_does_not_read_costs_no_memory_and_no_writer_waits_for_it() {
    let engine = EngineOptions { segment_bytes: 1 << 20, ..EngineOptions::default() };
    let running = Running::start(Setting { engine, ..Setting::default() });
    let namespace = running.store.namespace("default").unwrap();
    let (mut slow, mut quick) =
        (Events::open(running.http, "?values=true", None), Events::open(running.http, "", None));
    let value = vec![7; 60_000];
    for number in 1..=400_u64 {
        assert_eq!(put(&namespace, b"key", &value), number);
        assert_eq!(quick.data()["lsn"], json!(number));
    }
    for number in 1..=400_u64 {
        assert_eq!(slow.data()["lsn"], json!(number));
    }
    assert!(metric(&running, "unison_watch_events_total ") >= 800);
}

/// An edge says in its streams that it does not hear from its hub, and when it does again.
#[test]
fn a_stream_of_an_edge_says_when_the_edge_follows_and_when_not() {
    let role = Role::Edge { hub: Address::loopback(1) };
    let running = Running::start(Setting { role, ..Setting::default() });
    let set = |state: FollowState, durable: u64| {
        running.health.update_upstream("hub:1", |upstream| {
            let followed = Followed { state, upstream_durable: durable, ..Followed::default() };
            upstream.namespaces.insert("default".into(), followed);
        });
    };
    let mut early = Events::open(running.http, "", None);
    let (name, data) = early.next().unwrap();
    assert_eq!((&*name, &data["following"]), ("link", &json!(false)));
    set(FollowState::Following, 7);
    let streams = ["watch", "topics/subscribe"].map(|path| Events::of(running.http, path, None));
    let followed = || ("link".to_owned(), json!({ "following": true, "upstreamDurable": 7 }));
    assert_eq!(early.next(), Some(followed()));
    set(FollowState::Connecting, 9);
    for mut events in streams {
        let reason = "namespace default is not connected to hub:1 yet";
        let lost = json!({ "following": false, "upstreamDurable": 9, "reason": reason });
        assert_eq!(events.next(), Some(("link".to_owned(), lost)), "one that follows says nothing");
        assert!(!events.last_id.contains("link"));
    }
    assert_eq!(early.next().unwrap().1["following"], json!(false));
    let namespace = running.store.namespace("default").unwrap();
    put(&namespace, b"late", b"");
    set(FollowState::Following, 7);
    let mut told = [early.next().unwrap(), early.next().unwrap()];
    told.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!((&told[0], &told[1].1["key"]), (&followed(), &json!("late")));
    let hub = Running::hub();
    let mut events = Events::open(hub.http, "", None);
    put(&hub.store.namespace("default").unwrap(), b"a", b"");
    assert_eq!(events.data()["key"], json!("a"), "a hub has no line to lose");
}
