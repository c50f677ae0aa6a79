//! Requests over HTTP.

use super::running::{Client, Running, Setting};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use unison_base::limits::{KEY_MAX, VALUE_MAX};
use unison_engine::EngineOptions;
use unison_serve::config::Address;
use unison_serve::health::{FollowState, Followed};
use unison_serve::node::Role;

/// An answer, taken apart.
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn lsn(&self) -> u64 {
        let lsn = self.json()["lsn"].as_u64().unwrap();
        assert_eq!(self.header("etag").unwrap(), lsn.to_string());
        lsn
    }

    /// The text of an error, which is all that its body holds.
    pub(crate) fn error(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/json"));
        let body = self.json();
        assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
        body["error"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn request(
    running: &Running,
    head: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut client = Client::connect(running.http);
    let headers: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    client.send(format!(
        "{head} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    ));
    answer(&client.rest())
}

pub(crate) fn answer(bytes: &[u8]) -> Answer {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let split = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_lowercase(), value.to_owned())
    };
    Answer { status, headers: lines.map(split).collect(), body: bytes[end + 4..].to_vec() }
}

pub(crate) fn get(running: &Running, path: &str) -> Answer {
    request(running, &format!("GET {path}"), &[], "")
}

fn put(running: &Running, key: &str, value: &[u8], headers: &[(&str, &str)]) -> Answer {
    let body = json!({ "value": STANDARD.encode(value) }).to_string();
    request(running, &format!("PUT /api/v1/default/kv/{key}"), headers, &body)
}

#[test]
fn keys_are_put_read_and_deleted() {
    let running = Running::hub();
    let missing = get(&running, "/api/v1/default/kv/k");
    assert_eq!((missing.status, missing.lsn()), (200, 0));
    assert_eq!(missing.json(), json!({ "value": "", "found": false, "lsn": 0 }));
    let written = put(&running, "k", b"hello\0", &[]);
    assert_eq!((written.status, written.json()["success"].as_bool()), (200, Some(true)));
    let read = get(&running, "/api/v1/default/kv/k");
    assert_eq!(read.json()["value"], STANDARD.encode(b"hello\0"));
    assert_eq!((read.json()["found"].as_bool(), read.lsn()), (Some(true), written.lsn()));
    let deleted = request(&running, "DELETE /api/v1/default/kv/k", &[], "");
    assert_eq!((deleted.status, deleted.lsn()), (200, written.lsn() + 1));
    assert_eq!(get(&running, "/api/v1/default/kv/k").json()["found"], false);
}

#[test]
fn keys_may_hold_any_byte() {
    let running = Running::hub();
    for (path, key) in [
        ("a%2Fb", b"a/b".as_slice()),
        ("a/c", b"a/c"),
        ("%00%FF", b"\x00\xff"),
        ("batch", b"batch"),
        ("with%20space+plus", b"with space+plus"),
        ("%25", b"%"),
    ] {
        assert_eq!(put(&running, path, key, &[]).status, 200, "{path}");
        let namespace = running.store.namespace("default").unwrap();
        assert_eq!(&*namespace.reader().get(key).unwrap().unwrap().bytes().unwrap(), key);
        let read = get(&running, &format!("/api/v1/default/kv/{path}"));
        assert_eq!(read.json()["value"], STANDARD.encode(key));
    }
    assert_eq!(put(&running, "a%4", b"", &[]).status, 400);
    let listed = get(&running, "/api/v1/default/kv?limit=1").json();
    assert_eq!(listed["items"][0]["key"], STANDARD.encode(b"\x00\xff"));
    assert_eq!(listed["items"][0]["keyEncoding"], "base64");
}

#[test]
fn conditions_hold_or_answer_412() {
    let running = Running::hub();
    let absent = [("if-none-match", "*")];
    let first = put(&running, "k", b"1", &absent);
    let version = first.lsn().to_string();
    let conflict = put(&running, "k", b"2", &absent);
    assert_eq!((conflict.status, conflict.header("etag")), (412, Some(version.as_str())));
    assert_eq!(
        conflict.error(),
        format!("the condition does not hold: the key is at version {version}")
    );
    let second = put(&running, "k", b"2", &[("if-match", &version)]);
    assert_eq!(second.status, 200);
    assert_eq!(put(&running, "k", b"3", &[("if-match", &version)]).status, 412);
    let quoted = format!("\"{}\"", second.lsn());
    let delete = |headers: &[(&str, &str)]| {
        request(&running, "DELETE /api/v1/default/kv/k", headers, "").status
    };
    assert_eq!(delete(&[("if-match", &version)]), 412);
    assert_eq!(delete(&[("if-match", &quoted)]), 200);
    assert_eq!(delete(&[("if-match", "*")]), 412);
    assert_eq!(put(&running, "k", b"4", &[("if-match", "0")]).status, 200);
    assert_eq!(put(&running, "k", b"5", &[("if-match", "yesterday")]).status, 400);
}

#[test]
fn batches_are_one_record() {
    let running = Running::hub();
    let post =
        |body: Value| request(&running, "POST /api/v1/default/kv/batch", &[], &body.to_string());
    let done = post(json!({ "operation": "put", "items": [
        { "key": "a", "value": "MQ==" },
        { "key": "/w==", "keyEncoding": "base64", "value": "Mg" },
    ] }));
    assert_eq!(done.json(), json!({ "success": true, "count": 2, "lsn": 1 }));
    assert_eq!(get(&running, "/api/v1/default/kv/%ff").json()["value"], "Mg==");
    let done = post(json!({ "operation": "delete", "keys": ["a", "none"] }));
    assert_eq!(done.json(), json!({ "success": true, "count": 2, "lsn": 2 }));
    for (body, status) in [
        (json!({ "operation": "put", "items": [] }), 400),
        (json!({ "operation": "swap", "keys": ["a"] }), 400),
        (json!({ "operation": "put", "items": [{ "key": "a", "value": "?" }] }), 400),
        (json!({ "operation": "put", "items": [{ "key": "", "value": "" }] }), 400),
        (json!({ "operation": "delete", "keys": ["k".repeat(KEY_MAX + 1)] }), 413),
        (json!({ "operation": "delete", "keys": vec!["k"; 10_001] }), 413),
        (json!([]), 400),
    ] {
        let refused = post(body);
        assert_eq!(refused.status, status, "{}", refused.error());
    }
    assert_eq!(get(&running, "/api/v1/default/offset").status, 200);
    assert_eq!(running.store.namespace("default").unwrap().log().appended().0, 2);
}

#[test]
fn lists_page_through_everything_in_both_directions() {
    let running = Running::hub();
    for key in 0..25 {
        put(&running, &format!("k{key:02}"), &[key], &[]);
    }
    put(&running, "other", b"", &[]);
    for limit in [1, 7, 25, 1000] {
        for reverse in [false, true] {
            let query = format!("prefix=k&limit={limit}&reverse={reverse}");
            let mut expected: Vec<String> = (0..25).map(|key| format!("k{key:02}")).collect();
            if reverse {
                expected.reverse();
            }
            assert_eq!(listed(&running, &query), expected, "{query}");
        }
    }
    assert_eq!(listed(&running, "start=k03&end=k06"), ["k03", "k04", "k05"]);
    assert_eq!(listed(&running, "start=k03&end=k06&reverse&limit=2"), ["k05", "k04", "k03"]);
    assert_eq!(listed(&running, "start=k24"), ["k24", "other"]);
    for query in ["limit=0", "limit=10001", "limit=x", "limits=1", "cursor=*", "reverse=maybe"] {
        let refused = get(&running, &format!("/api/v1/default/kv?{query}"));
        assert_eq!(refused.status, 400, "{query}");
        refused.error();
    }
}

/// The keys of all pages.
fn listed(running: &Running, query: &str) -> Vec<String> {
    let (mut keys, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(running, &format!("/api/v1/default/kv?{query}&cursor={cursor}")).json();
        let items = page["items"].as_array().unwrap().iter();
        keys.extend(items.map(|item| item["key"].as_str().unwrap().to_owned()));
        match page["cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return keys,
        }
    }
}

#[test]
fn limits_are_named_and_errors_are_always_json() {
    let running = Running::hub();
    let large = put(&running, "k", &vec![7; VALUE_MAX], &[]);
    assert_eq!(large.status, 200);
    let read = get(&running, "/api/v1/default/kv/k").json();
    assert!(read["value"] == STANDARD.encode(vec![7; VALUE_MAX]));
    let above = put(&running, "k", &vec![7; VALUE_MAX + 1], &[]);
    assert_eq!((above.status, above.error().contains("4194304")), (413, true));
    let long = "k".repeat(KEY_MAX + 1);
    let above = put(&running, &long, b"", &[]);
    assert_eq!((above.status, above.error().contains("1 to 4096 bytes")), (413, true));
    for (head, body, status) in [
        ("GET /nothing", "", 404),
        ("GET /api/v1/absent/kv/k", "", 404),
        ("GET /api/v1/..%2F/kv/k", "", 404),
        ("POST /api/v1/default/kv/k", "", 405),
        ("DELETE /healthz", "", 405),
        ("PUT /api/v1/default/kv/k", "", 400),
        ("PUT /api/v1/default/kv/k", "{\"value\": 1}", 400),
        ("PUT /api/v1/default/kv/k", "{\"value\": \"%\"}", 400),
        ("PUT /api/v1/default/kv/k", "\u{0}\u{1}", 400),
        ("POST /api/v1/default/wal/backup", "{}", 403),
    ] {
        let refused = request(&running, head, &[], body);
        assert_eq!(refused.status, status, "{head}: {}", refused.error());
        refused.error();
    }
    let announced =
        request(&running, "PUT /api/v1/default/kv/k", &[("x", "y")], &"v".repeat(6_000_000));
    assert_eq!((announced.status, announced.error().contains("limit of 5")), (413, true));
}

#[test]
fn a_node_that_follows_answers_reads_and_is_ready_only_while_it_follows() {
    let role = Role::Edge { hub: Address { host: "hub.example".into(), port: 4003 } };
    let running = Running::start(Setting { role, ..Setting::default() });
    for (head, body) in [
        ("PUT /api/v1/default/kv/k", "{}"),
        ("DELETE /api/v1/default/kv/k", ""),
        ("POST /api/v1/default/kv/batch", "{}"),
        ("PUT /api/v1/default/row/r", "{}"),
        ("DELETE /api/v1/default/row/r", ""),
        ("DELETE /api/v1/default/row/r/columns", "{}"),
        ("POST /api/v1/default/row/batch", "{}"),
        ("POST /api/v1", "{}"),
        ("DELETE /api/v1/default", ""),
    ] {
        let refused = request(&running, head, &[], body);
        assert_eq!(refused.status, 421, "{head}");
        assert_eq!(
            refused.error(),
            "this node only reads; write to the hub whose link is hub.example:4003"
        );
    }
    for path in ["kv/k", "row/r", "row"] {
        assert_eq!(get(&running, &format!("/api/v1/default/{path}")).status, 200);
    }
    let ready = get(&running, "/readyz");
    assert_eq!((ready.status, ready.json()["ready"].as_bool()), (503, Some(false)));
    let follow = |state: FollowState| {
        running.health.update_upstream("hub.example:4003", |upstream| {
            upstream.connected = true;
            let followed = Followed { state, lag_records: 3, ..Followed::default() };
            upstream.namespaces.insert("default".into(), followed);
        });
    };
    follow(FollowState::Following);
    assert_eq!(get(&running, "/readyz").json(), json!({ "ready": true }));
    let status = get(&running, "/status").json();
    assert_eq!(status["upstream"]["namespaces"]["default"]["state"], "following");
    assert_eq!((&status["role"], &status["hub"]), (&json!("edge"), &json!("hub.example:4003")));
    let metrics = String::from_utf8(get(&running, "/metrics").body).unwrap();
    assert!(
        metrics.contains("unison_upstream_lag_records{namespace=\"default\"} 3\n"),
        "{metrics}"
    );
    follow(FollowState::Stopped { reason: "the log is another one".into() });
    let ready = get(&running, "/readyz");
    let reason = "namespace default has stopped following hub.example:4003: the log is another one";
    assert_eq!((ready.status, &ready.json()["reasons"][0]), (503, &json!(reason)));
    assert_eq!(get(&running, "/healthz").json(), json!({ "status": "ok" }));
}

#[test]
fn namespaces_are_made_listed_and_dropped() {
    let running = Running::hub();
    let make =
        |name: &str| request(&running, "POST /api/v1", &[], &json!({ "name": name }).to_string());
    assert_eq!(make("team").json(), json!({ "success": true, "name": "team" }));
    assert_eq!((make("team").status, make("Team").status, make("").status), (409, 400, 400));
    let names = || {
        let list = get(&running, "/api/v1").json();
        let of = |each: &Value| each["name"].as_str().unwrap().to_owned();
        list["namespaces"].as_array().unwrap().iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(names(), ["default", "team"]);
    assert_eq!(request(&running, "PUT /api/v1/team/kv/k", &[], "{\"value\":\"\"}").status, 200);
    let drop = |name: &str| request(&running, &format!("DELETE /api/v1/{name}"), &[], "").status;
    assert_eq!((drop("team"), drop("team"), drop("default"), drop("%ff")), (200, 404, 403, 400));
    assert_eq!(names(), ["default"]);
    assert_eq!(get(&running, "/api/v1/team/kv/k").status, 404);
}

#[test]
fn the_place_of_the_log_and_the_state_are_told() {
    let running = Running::hub();
    for _ in 0..5 {
        put(&running, "k", b"value", &[]);
    }
    let offset = get(&running, "/api/v1/default/offset").json();
    assert_eq!(offset["segmentId"], 1);
    assert!(offset["offset"].as_u64().unwrap() > 5 * 64);
    let stats = get(&running, "/api/v1/default/stats").json();
    assert_eq!(stats["opsReceived"], 5);
    assert_eq!(
        (&stats["namespace"], &stats["currentOffset"]),
        (&json!("default"), &offset["offset"])
    );
    let checkpoint = get(&running, "/api/v1/default/checkpoint").json();
    assert_eq!(checkpoint, json!({ "recordProcessed": 0, "segmentId": 0, "offset": 0 }));
    let status = get(&running, "/status").json();
    let namespace = &status["namespaces"][0];
    assert_eq!((&status["role"], &status["ready"]), (&json!("hub"), &json!(true)));
    assert_eq!((&namespace["appended"], &namespace["applied"]), (&json!(5), &json!(5)));
    assert!(status["memory"]["residentBytes"].as_u64().unwrap() > 1 << 20);
    let metrics = get(&running, "/metrics");
    assert!(metrics.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let page = String::from_utf8(metrics.body).unwrap();
    assert!(page.contains("unison_namespace_appended_lsn{namespace=\"default\"} 5\n"), "{page}");
    assert!(page.contains("unison_http_requests_total ") && page.ends_with("# EOF\n"), "{page}");
}

#[test]
fn sealed_segments_are_backed_up_inside_the_allowed_directory_only() {
    let allowed = tempfile::tempdir().unwrap();
    let running = Running::start(Setting {
        backup_dir: Some(allowed.path().to_owned()),
        engine: EngineOptions { segment_bytes: 64 << 10, ..EngineOptions::default() },
        ..Setting::default()
    });
    for key in 0..20 {
        put(&running, &format!("k{key}"), &[1; 10_000], &[]);
    }
    let backup = |namespace: &str, after: u64, directory: &str| {
        let body = json!({ "afterSegmentId": after, "backupDir": directory }).to_string();
        request(&running, &format!("POST /api/v1/{namespace}/wal/backup"), &[], &body)
    };
    let done = backup("default", 1, "nightly").json();
    let backups = done["backups"].as_array().unwrap();
    let log = running.store.namespace("default").unwrap().log().segments();
    let sealed = log.iter().filter(|segment| segment.sealed && segment.id.0 > 1);
    let sealed: Vec<u64> = sealed.map(|segment| segment.id.0.into()).collect();
    let copied = backups.iter().map(|copied| copied["segmentId"].as_u64().unwrap());
    assert!(sealed.len() >= 2 && copied.eq(sealed), "{done}");
    for copied in backups {
        let path = std::path::Path::new(copied["path"].as_str().unwrap());
        let name = path.file_name().unwrap();
        let original = running.directory.path().join("data/default/wal").join(name);
        let (copy, original) = (std::fs::read(path).unwrap(), std::fs::read(original).unwrap());
        assert!(copy == original && copy.len() == 64 << 10);
    }
    assert_eq!(backup("default", 1, "nightly").status, 200);
    let names: Vec<_> = std::fs::read_dir(allowed.path().join("nightly")).unwrap().collect();
    assert_eq!(names.len(), backups.len() + 1, "the segments and the log's identity");
    for outside in ["/tmp", "../x", ".."] {
        assert_eq!(backup("default", 0, outside).status, 403, "{outside}");
    }
    request(&running, "POST /api/v1", &[], "{\"name\":\"other\"}");
    let mixed = backup("other", 0, "nightly");
    assert!(mixed.status == 409 && mixed.error().contains("use an empty directory"));
}

#[test]
fn a_head_or_a_body_that_comes_too_slowly_is_dropped_within_ten_seconds() {
    let running = Running::hub();
    let began = Instant::now();
    let mut head = Client::connect(running.http);
    head.send("GET /healthz HTTP/1.1\r\nho");
    let mut body = Client::connect(running.http);
    body.send("PUT /api/v1/default/kv/k HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{");
    let silent = Client::connect(running.http);
    for _ in 0..9 {
        std::thread::sleep(Duration::from_secs(1));
        let _ = std::io::Write::write_all(&mut body.0, b" ");
        assert_eq!(get(&running, "/healthz").status, 200);
    }
    let refused = answer(&body.rest());
    assert_eq!((refused.status, refused.error()), (408, "the body came too slowly".to_owned()));
    for mut client in [head, silent] {
        // Nothing, or a 408 of the framework: what counts is that the place is free again.
        client.rest();
    }
    assert!(began.elapsed() < Duration::from_secs(14), "{:?}", began.elapsed());
}

#[test]
fn a_connection_above_the_limit_is_told_so_and_stopping_finishes_what_runs() {
    let running = Running::start(Setting { connections_max: 1, ..Setting::default() });
    let mut held = Client::connect(running.http);
    held.send("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(held.line(), "HTTP/1.1 200 OK");
    let refused = get(&running, "/healthz");
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(refused.error(), "too many connections, the limit is 1");
    assert_eq!(running.stop(), 0);
}
