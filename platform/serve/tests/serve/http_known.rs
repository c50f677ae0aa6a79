//! Reads by a client that has something already: the version, or part of an object.

use super::http::{Answer, get, request};
use super::http_objects::send;
use super::running::Running;

/// A key, a row and an object of that name, and the version of each.
fn written(running: &Running) -> [(&'static str, String); 3] {
    let put = |path: &'static str, body: &str| {
        let written = send(running, &format!("PUT {path}"), "", body.as_bytes());
        assert_eq!(written.status, 200, "{path}");
        (path, written.lsn().to_string())
    };
    [
        put("/api/v1/default/kv/k", r#"{"value":"MQ=="}"#),
        put("/api/v1/default/row/k", r#"{"columns":{"c":"MQ=="}}"#),
        put("/api/v1/default/lob/k", "0123456789"),
    ]
}

fn status(running: &Running, path: &str, headers: &[(&str, &str)]) -> u16 {
    request(running, &format!("GET {path}"), headers, "").status
}

#[test]
fn who_has_the_version_gets_no_more_than_that_it_still_is_one() {
    let running = Running::hub();
    for (path, version) in written(&running) {
        for tags in [version.clone(), format!("\"1000\", W/\"{version}\""), "*".to_owned()] {
            for method in ["GET", "HEAD"] {
                let none = [("if-none-match", tags.as_str())];
                let known = request(&running, &format!("{method} {path}"), &none, "");
                assert_eq!((known.status, known.body.len()), (304, 0), "{method} {path} {tags}");
                assert_eq!(known.header("etag"), Some(version.as_str()));
            }
        }
        assert_eq!(status(&running, path, &[("if-none-match", "\"1000\"")]), 200);
        let quoted = format!("\"1000\",\"{version}\"");
        assert_eq!(status(&running, path, &[("if-match", &quoted)]), 200);
        assert_eq!(status(&running, path, &[("if-match", "*")]), 200);
        let other = request(&running, &format!("GET {path}"), &[("if-match", "1000")], "");
        assert_eq!((other.status, other.header("etag")), (412, Some(version.as_str())));
    }
    // What is not there has version 0, and is not there for `*`.
    let absent = "/api/v1/default/kv/absent";
    assert_eq!(status(&running, absent, &[("if-none-match", "*")]), 200);
    assert_eq!(status(&running, absent, &[("if-none-match", "0")]), 304);
    assert_eq!(status(&running, absent, &[("if-match", "*")]), 412);
    assert_eq!(status(&running, "/api/v1/default/lob/absent", &[("if-match", "*")]), 404);
}

/// Status, range and length.
fn part(answer: &Answer) -> (u16, Option<&str>, Option<&str>) {
    (answer.status, answer.header("content-range"), answer.header("content-length"))
}

#[test]
fn ranges_are_read_as_http_writes_them_and_only_of_what_is_got() {
    let running = Running::hub();
    written(&running);
    let ranged = |method: &str, range: &str| {
        request(&running, &format!("{method} /api/v1/default/lob/k"), &[("range", range)], "")
    };
    for (range, expected) in [
        ("Bytes=2-3", (206, Some("bytes 2-3/10"), Some("2"))),
        ("bytes=,2-3,", (206, Some("bytes 2-3/10"), Some("2"))),
        ("bytes=8-99999999999999999999", (206, Some("bytes 8-9/10"), Some("2"))),
        ("bytes=99999999999999999999-", (416, Some("bytes */10"), Some("68"))),
        ("bytes=0-1,4-5", (200, None, Some("10"))),
    ] {
        assert_eq!(part(&ranged("GET", range)), expected, "{range}");
    }
    // A HEAD has no range: it says what a GET without one would.
    assert_eq!(part(&ranged("HEAD", "bytes=2-3")), (200, None, Some("10")));
    assert_eq!(part(&ranged("HEAD", "bytes=99-")), (200, None, Some("10")));
    assert_eq!(get(&running, "/api/v1/default/lob/k").body, b"0123456789");
}
