//! Topics and large objects over HTTP.

use crate::hub::WALL_MS;
use crate::reply::Reply;
use crate::world::{DISK_BYTES, HTTP, World, boot_line};
use serde_json::{Value, json};
use std::sync::Arc;
use unison_bare::board::HeapFigures;
use unison_base::prng::Prng;
use unison_base::{NamespaceName, TxnId};
use unison_engine::{
    Compression, Encryption, Keyring, MasterKey, NewMessage, Operation, TopicFilter, TopicRule,
    TopicSettings, Write,
};
use unison_ports::Entropy;
use unison_sim::blocks::CrashBlocks;

/// Memory for records, and none for answers that are not small.
const SHORT: HeapFigures = HeapFigures { used: 48 << 20, peak: 48 << 20, budget: 64 << 20 };

fn message<'a>(topic: &'a str, payload: &'a [u8]) -> NewMessage<'a> {
    NewMessage { topic, payload, headers: &[], ttl_ms: None, retain: false }
}

fn publish(world: &mut World, message: NewMessage<'_>) -> u64 {
    world.hub().write(&Write::new(Operation::Publish(&[message]))).0
}

fn set(world: &mut World, settings: &TopicSettings) {
    world.hub().write(&Write::new(Operation::SetTopics(settings)));
}

/// A transaction that makes an object of these chunks.
fn put_object(world: &mut World, number: u8, object: &[u8], chunks: &[&[u8]]) {
    let transaction = TxnId([number; 16]);
    let mut write = |operation| world.hub().write(&Write::new(operation).within(transaction));
    write(Operation::Begin);
    for chunk in chunks {
        write(Operation::PutChunk { object, chunk });
    }
    write(Operation::Commit(&[]));
}

fn get(world: &mut World, path: &str) -> (u16, Value) {
    let (line, body) = world.http(&format!("GET /api/v1/default/{path}"));
    let status = line.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(&body).unwrap())
}

fn items(world: &mut World, path: &str) -> Vec<Value> {
    let (status, page) = get(world, path);
    let error = &page["error"];
    assert_eq!((status, &page["cursor"]), (200, &Value::Null), "{path}: {error}");
    page["items"].as_array().unwrap().clone()
}

/// All items, by pages of one.
fn by_ones(world: &mut World, path: &str, field: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let (status, page) = get(world, &format!("{path}&limit=1&cursor={cursor}"));
        let items = page[field].as_array().unwrap();
        assert!(status == 200 && items.len() <= 1, "{status}, {} items", items.len());
        all.extend_from_slice(items);
        match page["cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return all,
        }
    }
}

#[test]
fn messages_are_answered_as_on_linux() {
    let mut world = World::new();
    let filter = TopicFilter::new("site/2/#").unwrap();
    let rule = TopicRule { filter, ttl_ms: None, keep_last: Some(2) };
    set(&mut world, &TopicSettings { rules: vec![rule], ..TopicSettings::default() });
    let headers: [(&str, &[u8]); 1] = [("unit", b"C")];
    let first = NewMessage { headers: &headers, retain: true, ..message("site/1/door", b"open") };
    let first = publish(&mut world, first);
    let expiring = NewMessage { ttl_ms: Some(60_000), ..message("site/1/door", b"") };
    let second = publish(&mut world, expiring);
    for payload in [b"1", b"2", b"3"] {
        publish(&mut world, message("site/2/door", payload));
    }
    let pattern = message("site/+/door", b"all");
    world.hub().write(&Write::new(Operation::PublishPattern(&[pattern])));
    world.catch_up();

    let door = items(&mut world, "topics/messages?filter=site%2F1/door");
    let expected = json!({
        "id": format!("{first}-0"), "topic": "site/1/door", "time": WALL_MS, "retained": true,
        "headers": { "unit": "Qw==" }, "payload": "b3Blbg==",
    });
    assert_eq!(door[0], expected);
    assert_eq!(door[1]["id"], format!("{second}-0"));
    assert_eq!((&door[1]["expires"], &door[1]["payload"]), (&json!(WALL_MS + 60_000), &json!("")));
    assert_eq!(
        (&door[2]["topic"], &door[2]["pattern"]),
        (&json!("site/1/door"), &json!("site/+/door"))
    );
    let kept = items(&mut world, "topics/messages?filter=site/2/door");
    let payloads: Vec<_> = kept.iter().map(|item| item["payload"].as_str().unwrap()).collect();
    assert_eq!(payloads, ["Mg==", "Mw==", "YWxs"], "the two newest, and the pattern's");

    let mut all = items(&mut world, "topics/messages");
    assert_eq!(all.len(), 5);
    assert_eq!(by_ones(&mut world, "topics/messages?", "items"), all);
    all.reverse();
    assert_eq!(items(&mut world, "topics/messages?order=newest"), all);
    assert_eq!(by_ones(&mut world, "topics/messages?order=newest", "items"), all);
    assert_eq!(items(&mut world, "topics/retained?filter=%23"), [expected]);
    let topics = by_ones(&mut world, "topics?filter=site/%2B/door", "topics");
    assert_eq!(topics, ["site/1/door", "site/2/door"]);

    // Its time comes, by the hub's clock.
    world.pass(61_000);
    assert_eq!(items(&mut world, "topics/messages?filter=site/1/door").len(), 2);
}

#[test]
fn what_means_nothing_is_refused() {
    let mut world = World::new();
    publish(&mut world, message("a", b"1"));
    world.catch_up();
    for (path, said) in [
        (
            "topics/messages?last=3",
            "on this node the query knows only filter, order, limit, cursor",
        ),
        ("topics?order=newest", "on this node the query knows only filter, limit, cursor"),
        ("topics/messages?limit=0", "`limit` is a whole number from 1 to 100"),
        ("topics/messages?limit=101", "`limit` is a whole number from 1 to 100"),
        ("topics/messages?order=up", "`order` is newest or oldest"),
        ("topics/messages?cursor=abc", "`cursor` is of no earlier answer"),
        ("topics/retained?cursor=%2B", "`cursor` is of no earlier answer"),
        ("topics/messages?filter=%4", "a `%` has no two hexadecimal digits behind it"),
        ("topics/messages?filter=%ff", "what is asked for is no UTF-8"),
    ] {
        assert_eq!(get(&mut world, path), (400, json!({ "error": said })), "{path}");
    }
    let (status, refused) = get(&mut world, "topics/messages?filter=a%23");
    assert!(status == 400 && refused["error"].as_str().unwrap().contains('#'), "{refused}");
    for path in ["kv/a", "topics/settings", "lob/none"] {
        assert_eq!(get(&mut world, path).0, 404, "{path}");
    }
    let (line, body) = world.http("GET /api/v1/other/topics");
    assert_eq!(line, "HTTP/1.1 404 Not Found");
    assert!(body.contains("does not follow such a namespace"), "{body}");
    let (line, _) = world.http("POST /api/v1/default/topics/publish");
    assert_eq!(line, "HTTP/1.1 421 Misdirected Request");
    let mut world = World::with_disk(None, &crate::world::boot_line());
    world.pass(1_000);
    let (status, closed) = get(&mut world, "topics");
    assert_eq!(status, 503);
    let said = "namespace default cannot be read: no disk; attach one and start again";
    assert_eq!(closed["error"], said);
}

#[test]
fn one_answer_looks_at_a_bounded_number_of_topics() {
    let mut world = World::new();
    let names: Vec<_> = (0..1_100).map(|number| format!("t/{number:04}/x")).collect();
    for names in names.chunks(100) {
        let messages: Vec<_> = names.iter().map(|name| message(name, b"1")).collect();
        world.hub().write(&Write::new(Operation::Publish(&messages)));
    }
    world.catch_up();
    let streams = "a read merges the messages of at most 64 topics and patterns; narrow the filter";
    let all = get(&mut world, "topics/messages");
    assert_eq!(all, (413, json!({ "error": streams })));
    let looked = "a read looks at no more than 1024 names of topics; narrow the filter";
    for path in ["topics/messages", "topics/retained", "topics"] {
        let refused = get(&mut world, &format!("{path}?filter=t/%2B/none"));
        assert_eq!(refused, (413, json!({ "error": looked })), "{path}");
    }
    assert_eq!(items(&mut world, "topics/messages?filter=t/1099/x").len(), 1);
    let (mut listed, mut cursor) = (Vec::new(), String::new());
    while listed.len() < names.len() {
        let (status, page) = get(&mut world, &format!("topics?cursor={cursor}"));
        let topics = page["topics"].as_array().unwrap();
        assert!(status == 200 && topics.len() == 100, "{page}");
        listed.extend(topics.iter().map(|topic| topic.as_str().unwrap().to_owned()));
        cursor = page["cursor"].as_str().unwrap_or_default().to_owned();
    }
    assert_eq!((listed, cursor.as_str()), (names, ""));
}

/// Topics that keep less than they have, all of them published to by turns.
fn long_topics(world: &mut World, topics: usize, messages: usize, keep: u32) {
    let filter = TopicFilter::new("#").unwrap();
    let rule = TopicRule { filter, ttl_ms: None, keep_last: Some(keep) };
    set(world, &TopicSettings { rules: vec![rule], ..TopicSettings::default() });
    let names: Vec<_> = (0..topics).map(|number| format!("t/{number}")).collect();
    let all: Vec<_> =
        (0..topics * messages).map(|number| message(&names[number % topics], b"")).collect();
    for messages in all.chunks(900) {
        world.hub().write(&Write::new(Operation::Publish(messages)));
    }
    world.catch_up();
}

#[test]
fn one_answer_looks_at_a_bounded_number_of_messages() {
    let disk = CrashBlocks::new(4 * DISK_BYTES);
    let mut world = World::with_disk(Some(disk), &boot_line());
    long_topics(&mut world, 17, 4_000, 3_990);
    let looked = "a read of messages looks at no more than 65637 of them; narrow the filter";
    let all = get(&mut world, "topics/messages");
    assert_eq!(all, (413, json!({ "error": looked })));
    // The newest ones are counted while they are shown; behind a cursor each topic is counted anew.
    let (status, page) = get(&mut world, "topics/messages?order=newest");
    assert_eq!((status, page["items"].as_array().unwrap().len()), (200, 100));
    let cursor = page["cursor"].as_str().unwrap();
    let (status, page) = get(&mut world, &format!("topics/messages?order=newest&cursor={cursor}"));
    assert!(status == 200 && page["cursor"].is_string(), "{page}");
    assert_eq!(page["items"].as_array().unwrap().len(), 16, "as far as the looks went");
    let (status, page) = get(&mut world, "topics/messages?filter=t/3");
    assert_eq!((status, page["items"].as_array().unwrap().len()), (200, 100));
}

#[test]
fn a_message_that_memory_may_not_hold_is_refused() {
    let mut world = World::with_large_values();
    let large = vec![0; 2 << 20];
    publish(&mut world, message("plain", &large));
    let lz4 = TopicSettings { compression: Compression::Lz4, ..TopicSettings::default() };
    set(&mut world, &lz4);
    publish(&mut world, message("small", b"1"));
    publish(&mut world, message("folded", &large));
    world.catch_up();
    for topic in ["plain", "folded"] {
        let path = format!("topics/messages?filter={topic}");
        let payload = items(&mut world, &path)[0]["payload"].as_str().unwrap().len();
        assert_eq!(payload, large.len().div_ceil(3) * 4, "{topic}");
    }
    let plenty = world.board.heap.replace(SHORT);
    for topic in ["plain", "folded"] {
        let (status, refused) = get(&mut world, &format!("topics/messages?filter={topic}"));
        let said = refused["error"].as_str().unwrap();
        assert!(status == 413 && said.contains("that can be answered now"), "{topic}: {said}");
    }
    assert_eq!(items(&mut world, "topics/messages?filter=small").len(), 1);
    // A page ends before it, and says that there is more.
    let (status, page) = get(&mut world, "topics/messages?order=newest&filter=%23");
    assert_eq!(status, 413, "{page}");
    publish(&mut world, message("newest", b"1"));
    world.catch_up();
    let (status, page) = get(&mut world, "topics/messages?order=newest&filter=%23");
    assert!(status == 200 && page["cursor"].is_string(), "{page}");
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    world.board.heap.set(plenty);
    // Each of these is a page.
    assert_eq!(by_ones(&mut world, "topics/messages?", "items").len(), 4);
}

struct Dice;

impl Entropy for Dice {
    fn fill(&self, bytes: &mut [u8]) {
        Prng::new(5).fill(bytes);
    }
}

#[test]
fn without_keys_sealed_messages_are_refused_and_all_else_is_read() {
    let mut world = World::new();
    let name = NamespaceName::new("default").unwrap();
    let keys = Keyring::new(name, vec![MasterKey::new(&[9; 32])], Arc::new(Dice));
    world.hub().log.engine.set_keys(keys);
    publish(&mut world, message("clear", b"1"));
    let sealed = Encryption::ChaCha20Poly1305;
    set(&mut world, &TopicSettings { encryption: sealed, ..TopicSettings::default() });
    publish(&mut world, NewMessage { retain: true, ..message("sealed", b"secret") });
    world.hub().put(b"key", b"value");
    world.catch_up();
    for path in ["topics/messages?filter=sealed", "topics/retained?filter=sealed"] {
        let (status, refused) = get(&mut world, path);
        let said = refused["error"].as_str().unwrap();
        assert!(status == 503 && said.starts_with("no key for epoch 1 of the namespace"), "{said}");
    }
    assert_eq!(items(&mut world, "topics/messages?filter=clear").len(), 1);
    assert_eq!(get(&mut world, "topics").1["topics"], json!(["clear", "sealed"]));
    assert_eq!(world.ask("GET key"), Reply::Bulk(b"value".to_vec()));
    assert_eq!(world.status()["ready"], true);
}

/// Three chunks, the middle one the largest there can be.
fn chunks() -> [Vec<u8>; 3] {
    let mut prng = Prng::new(1);
    [100_000, 256 << 10, 7].map(|bytes| {
        let mut chunk = vec![0; bytes];
        prng.fill(&mut chunk);
        chunk
    })
}

#[test]
fn an_object_is_answered_chunk_by_chunk() {
    let mut world = World::with_large_values();
    let chunks = chunks();
    put_object(&mut world, 1, b"maps/a b", &chunks.each_ref().map(Vec::as_slice));
    put_object(&mut world, 2, b"empty", &[b""]);
    world.catch_up();
    let (head, body) = world.fetch("GET /api/v1/default/lob/maps%2Fa%20b");
    let whole = chunks.concat();
    assert!(body == whole, "{} bytes of {}", body.len(), whole.len());
    let length = format!("content-length: {}\r\n", whole.len());
    let checksum = unison_base::checksum::crc32(&whole);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains(&length), "{head}");
    assert!(head.contains(&format!("x-checksum-crc32: {checksum}\r\n")), "{head}");
    assert_eq!(world.fetch("HEAD /api/v1/default/lob/maps/a%20b"), (head, vec![]));
    assert_eq!(world.fetch("GET /api/v1/default/lob/empty").1, b"");
    let (line, body) = world.http("GET /api/v1/default/lob/other");
    assert_eq!(line, "HTTP/1.1 404 Not Found");
    assert_eq!(body, "{\"error\":\"there is no such large object\"}");
    world.board.heap.set(SHORT);
    let (head, body) = world.fetch("GET /api/v1/default/lob/maps/a%20b");
    let refused = head.starts_with("HTTP/1.1 503 ") && head.contains("retry-after: 1\r\n");
    let said = String::from_utf8(body).unwrap();
    assert!(refused && said.contains("more than this node's free memory"), "{head} {said}");
    assert_eq!(world.fetch("GET /api/v1/default/lob/empty").1, b"");
}

/// Whoever takes an object as slowly as can be leaves a place to those who ask how the node is.
#[test]
fn one_object_is_taken_at_a_time() {
    let mut world = World::with_large_values();
    put_object(&mut world, 1, b"map", &chunks().each_ref().map(Vec::as_slice));
    world.catch_up();
    let path = "GET /api/v1/default/lob/map";
    world.peer.receive_bytes = 1 << 10;
    let mut slow = world.call(HTTP);
    slow.say(&mut world, format!("{path} HTTP/1.1\r\n\r\n").as_bytes());
    world.pass(100);
    world.peer.receive_bytes = 256 << 10;
    let (head, body) = world.fetch(path);
    let refused = head.starts_with("HTTP/1.1 503 ") && head.contains("retry-after: 1\r\n");
    let said = "{\"error\":\"too many objects are being taken, the limit is 1 at a time\"}";
    assert!(refused && body == said.as_bytes(), "{head}");
    assert!(world.fetch(&path.replace("GET", "HEAD")).0.starts_with("HTTP/1.1 200 "));
    assert_eq!(world.http("GET /healthz").0, "HTTP/1.1 200 OK");
    let taken = slow.rest(&mut world, 600_000);
    assert!(taken.ends_with(&chunks().concat()), "{} bytes", taken.len());
    slow.leave(&mut world);
    assert!(world.fetch(path).1 == chunks().concat());
}

/// Bytes of another object than the one that was announced are never given.
#[test]
fn an_object_that_is_replaced_meanwhile_ends_the_answer() {
    let mut world = World::with_large_values();
    let chunks = chunks();
    put_object(&mut world, 1, b"map", &chunks.each_ref().map(Vec::as_slice));
    world.catch_up();
    let mut caller = world.call(HTTP);
    caller.say(&mut world, b"GET /api/v1/default/lob/map HTTP/1.1\r\n\r\n");
    put_object(&mut world, 2, b"map", &[&[0; 200_000], &[0; 200_000]]);
    let durable = world.hub().log.engine.durable().0;
    assert!(world.until(60_000, |world| world.durable() == Some(durable)));
    let said = caller.rest(&mut world, 30_000);
    caller.leave(&mut world);
    let at = said.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let whole = chunks.concat();
    assert!(said.len() - at < whole.len() && whole.starts_with(&said[at..]), "{}", said.len());
    let (_, body) = world.fetch("GET /api/v1/default/lob/map");
    assert!(body == [0; 400_000], "{} bytes", body.len());
}
