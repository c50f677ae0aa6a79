//! Large objects over HTTP.

use super::http::{Answer, answer, request};
use super::running::{Client, Running, Setting};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use unison_base::NamespaceName;
use unison_engine::EngineOptions;

/// More than two chunks, and no two chunks the same.
fn octets(length: usize) -> Vec<u8> {
    let octet = |n: usize| u8::try_from((n.wrapping_mul(2_654_435_761) >> 13) & 0xff).unwrap();
    (0..length).map(octet).collect()
}

/// A request with a body of any octets.
pub(crate) fn send(running: &Running, head: &str, headers: &str, body: &[u8]) -> Answer {
    let mut client = Client::connect(running.http);
    let length = body.len();
    client.send(format!(
        "{head} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
    ));
    client.send(body);
    answer(&client.rest())
}

/// CRC-32 (IEEE), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    })
}

const PATH: &str = "/api/v1/default/lob/maps/7";

#[test]
fn what_goes_in_comes_out_and_can_be_taken_in_parts() {
    let running = Running::hub();
    let whole = octets(600_001);
    let put = send(&running, &format!("PUT {PATH}"), "", &whole);
    let told = put.json();
    assert_eq!(
        (put.status, &told["bytes"], &told["checksum"]),
        (200, &json!(600_001), &json!(crc32(&whole)))
    );
    let lsn = put.lsn().to_string();
    let got = request(&running, &format!("GET {PATH}"), &[], "");
    assert_eq!(
        (got.status, got.body == whole, got.header("etag")),
        (200, true, Some(lsn.as_str()))
    );
    assert_eq!(got.header("x-checksum-crc32").unwrap(), crc32(&whole).to_string());
    let head = request(&running, &format!("HEAD {PATH}"), &[], "");
    assert_eq!(
        (head.status, head.header("content-length"), head.body.len()),
        (200, Some("600001"), 0)
    );
    for (range, first, end) in [
        ("0-9", 0, 10),
        ("262143-262144", 262_143, 262_145),
        ("599999-", 599_999, 600_001),
        ("-3", 599_998, 600_001),
    ] {
        let part =
            request(&running, &format!("GET {PATH}"), &[("range", &format!("bytes={range}"))], "");
        assert_eq!((part.status, part.body == whole[first..end]), (206, true), "{range}");
        let named = format!("bytes {first}-{}/600001", end - 1);
        assert_eq!(part.header("content-range"), Some(named.as_str()));
    }
    let beyond = request(&running, &format!("GET {PATH}"), &[("range", "bytes=600001-")], "");
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some("bytes */600001")));
    let other = [("range", "bytes=0-9"), ("if-range", "1")];
    assert_eq!(request(&running, &format!("GET {PATH}"), &other, "").status, 200);
}

#[test]
fn objects_are_listed_replaced_on_conditions_and_deleted() {
    let running = Running::hub();
    for (key, body) in [("a", "1"), ("b%2F1", "22"), ("b%2F2", "")] {
        assert_eq!(
            send(&running, &format!("PUT /api/v1/default/lob/{key}"), "", body.as_bytes()).status,
            200
        );
    }
    let list = |query: &str| {
        request(&running, &format!("GET /api/v1/default/lob?{query}"), &[], "").json()
    };
    let keys = |page: &Value| -> Vec<String> {
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["key"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(keys(&list("")), ["a", "b/1", "b/2"]);
    assert_eq!(list("prefix=b")["items"][1]["bytes"], 0);
    let first = list("limit=2");
    assert_eq!(keys(&first), ["a", "b/1"]);
    assert_eq!(
        keys(&list(&format!("limit=2&cursor={}", first["cursor"].as_str().unwrap()))),
        ["b/2"]
    );
    let path = "/api/v1/default/lob/a";
    let lsn = request(&running, &format!("GET {path}"), &[], "").header("etag").unwrap().to_owned();
    assert_eq!(send(&running, &format!("PUT {path}"), "if-none-match: *\r\n", b"x").status, 412);
    assert_eq!(send(&running, &format!("PUT {path}"), "if-match: 1\r\n", b"x").status, 412);
    assert_eq!(
        send(&running, &format!("PUT {path}"), &format!("if-match: {lsn}\r\n"), b"new").status,
        200
    );
    assert_eq!(request(&running, &format!("GET {path}"), &[], "").body, b"new");
    assert_eq!(request(&running, &format!("DELETE {path}"), &[("if-match", &lsn)], "").status, 412);
    assert_eq!(request(&running, &format!("DELETE {path}"), &[], "").status, 200);
    let missing = request(&running, &format!("GET {path}"), &[], "");
    assert_eq!((missing.status, missing.error().as_str()), (404, "there is no such large object"));
    assert_eq!(open_transactions(&running), 0);
}

fn open_transactions(running: &Running) -> usize {
    let namespace = running.store.namespace("default").unwrap();
    namespace.with_engine(|engine| engine.open_transactions()).unwrap()
}

#[test]
fn an_upload_that_is_cut_off_leaves_nothing() {
    let running = Running::hub();
    let mut client = Client::connect(running.http);
    client.send(format!("PUT {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: 900000\r\n\r\n"));
    client.send(octets(700_000));
    let deadline = Instant::now() + Duration::from_secs(10);
    while open_transactions(&running) == 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(open_transactions(&running), 1);
    drop(client);
    while open_transactions(&running) > 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(open_transactions(&running), 0);
    assert_eq!(request(&running, &format!("GET {PATH}"), &[], "").status, 404);
}

#[test]
fn an_upload_goes_on_behind_a_broken_connection() {
    let running = Running::hub();
    let whole = octets(1_000_000);
    let begun = request(&running, "POST /api/v1/default/tx/begin", &[], "").json();
    let path = format!("/api/v1/default/tx/{}/lob?key=maps/7", begun["txnId"].as_str().unwrap());
    let mut client = Client::connect(running.http);
    client.send(format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n"));
    client.send(&whole[..600_000]);
    let progress =
        || request(&running, &format!("GET {path}"), &[], "").json()["bytes"].as_u64().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while progress() < 524_288 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(client);
    let bytes = usize::try_from(progress()).unwrap();
    assert_eq!(bytes, 524_288);
    let wrong = send(&running, &format!("POST {path}&offset=600000"), "", &whole[600_000..]);
    assert_eq!((wrong.status, wrong.header("upload-offset")), (409, Some("524288")));
    let rest = send(&running, &format!("POST {path}&offset={bytes}"), "", &whole[bytes..]);
    assert_eq!((rest.status, rest.json()["bytes"].as_u64()), (200, Some(1_000_000)));
    assert_eq!(request(&running, &format!("GET {PATH}"), &[], "").status, 404);
    let commit = path.replace("lob?key=maps/7", "commit");
    let told = request(&running, &format!("POST {commit}"), &[], "").json();
    assert_eq!(told["checksum"], crc32(&whole));
    assert!(request(&running, &format!("GET {PATH}"), &[], "").body == whole);
}

#[test]
fn segments_smaller_than_a_chunk_take_objects_too() {
    let engine = EngineOptions { segment_bytes: 64 << 10, ..EngineOptions::default() };
    let running = Running::start(Setting { engine, ..Setting::default() });
    let whole = octets(500_000);
    assert_eq!(send(&running, &format!("PUT {PATH}"), "", &whole).status, 200);
    assert!(request(&running, &format!("GET {PATH}"), &[], "").body == whole);
    let part = request(&running, &format!("GET {PATH}"), &[("range", "bytes=100000-299999")], "");
    assert!(part.body == whole[100_000..300_000]);
}

/// A connection that seems dead, and whose rest comes when another one has gone on in its place.
#[test]
fn an_upload_that_goes_on_elsewhere_takes_nothing_from_the_connection_before() {
    let running = Running::hub();
    let whole = octets(1_500_000);
    let begun = request(&running, "POST /api/v1/default/tx/begin", &[], "").json();
    let path = format!("/api/v1/default/tx/{}/lob?key=o", begun["txnId"].as_str().unwrap());
    let uploaded = || request(&running, &format!("GET {path}"), &[], "").json()["bytes"].as_u64();
    let mut before = Client::connect(running.http);
    before.send(format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1500000\r\n\r\n"
    ));
    before.send(&whole[..600_000]);
    let deadline = Instant::now() + Duration::from_secs(60);
    while uploaded() != Some(524_288) {
        assert!(Instant::now() < deadline, "two chunks of it have come");
        std::thread::sleep(Duration::from_millis(5));
    }
    let rest = &whole[524_288..];
    let mut after = Client::connect(running.http);
    after.send(format!(
        "POST {path}&offset=524288 HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        rest.len()
    ));
    after.send(&rest[..300_000]);
    while uploaded() != Some(786_432) {
        assert!(Instant::now() < deadline, "a chunk has come from the second connection");
        std::thread::sleep(Duration::from_millis(5));
    }
    before.send(&whole[600_000..1_100_000]);
    let refused = answer(&before.rest());
    assert_eq!(
        (refused.status, refused.error().as_str()),
        (409, "another request has gone on with the upload")
    );
    after.send(&rest[300_000..]);
    let done = answer(&after.rest());
    assert_eq!((done.status, done.json()["bytes"].as_u64()), (200, Some(1_500_000)));
    let commit = path.replace("/lob?key=o", "/commit");
    assert_eq!(request(&running, &format!("POST {commit}"), &[], "").status, 200);
    let got = request(&running, "GET /api/v1/default/lob/o", &[], "");
    assert_eq!((got.status, got.body == whole), (200, true));
}

#[test]
fn a_request_that_is_refused_does_not_stop_the_upload_that_goes_on() {
    let running = Running::hub();
    running.store.create(&NamespaceName::new("other").unwrap()).unwrap();
    let whole = octets(600_000);
    let begun = request(&running, "POST /api/v1/default/tx/begin", &[], "").json();
    let path = format!("/api/v1/default/tx/{}/lob?key=o", begun["txnId"].as_str().unwrap());
    let mut client = Client::connect(running.http);
    client.send(format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 600000\r\n\r\n"
    ));
    client.send(&whole[..300_000]);
    let uploaded = || request(&running, &format!("GET {path}"), &[], "").json()["bytes"].as_u64();
    let deadline = Instant::now() + Duration::from_secs(60);
    while uploaded() != Some(262_144) {
        assert!(Instant::now() < deadline, "a chunk of it has come");
        std::thread::sleep(Duration::from_millis(5));
    }
    let elsewhere = path.replace("/default/", "/other/");
    for (head, status) in [
        (format!("POST {path}&offset=7"), 409),
        (format!("POST {elsewhere}"), 404),
        (format!("POST {elsewhere}&offset=262144"), 404),
        (format!("DELETE {elsewhere}"), 404),
    ] {
        assert_eq!(send(&running, &head, "", b"").status, status, "{head}");
    }
    client.send(&whole[300_000..]);
    let done = answer(&client.rest());
    assert_eq!((done.status, done.json()["bytes"].as_u64()), (200, Some(600_000)));
}

#[test]
fn what_cannot_be_stored_is_refused_before_it_is_sent() {
    let running = Running::hub();
    assert_eq!(send(&running, &format!("PUT {PATH}"), "", b"1").status, 200);
    let begun = request(&running, "POST /api/v1/default/tx/begin", &[], "").json();
    let part = format!("/api/v1/default/tx/{}/lob?key=o", begun["txnId"].as_str().unwrap());
    for (head, header, bytes, status) in [
        (format!("PUT {PATH}"), "if-none-match: *", 1 << 30, 412),
        (format!("PUT {PATH}"), "if-match: 999", 1 << 30, 412),
        (format!("PUT {PATH}none"), "if-match: *", 1 << 30, 412),
        (format!("PUT {PATH}"), "x: y", (16_u64 << 30) + 1, 413),
        (format!("POST {part}"), "x: y", (16_u64 << 30) + 1, 413),
    ] {
        let mut client = Client::connect(running.http);
        client.send(format!(
            "{head} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nexpect: 100-continue\r\n\
             content-length: {bytes}\r\n{header}\r\n\r\n"
        ));
        let refused = answer(&client.rest());
        assert_eq!(refused.status, status, "{head} {header}");
    }
    assert_eq!(open_transactions(&running), 1, "the one that was begun by hand");
}
