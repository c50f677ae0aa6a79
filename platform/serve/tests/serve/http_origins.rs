//! Pages of other origins: what a browser is told about an answer, and before a request.

use super::http::{Answer, request};
use super::running::{Running, Setting};

const PAGE: &str = "https://app.example";
const OURS: &str = "access-control-allow-origin";

fn start(origins: &str) -> Running {
    let allow_origin = origins.parse().unwrap();
    Running::start(Setting { allow_origin, ..Setting::default() })
}

fn from_page(running: &Running, head: &str, origin: &str) -> Answer {
    request(running, head, &[("origin", origin)], "")
}

#[test]
fn nobodys_pages_may_read_unless_it_is_said() {
    let running = start("off");
    let answer = from_page(&running, "GET /api/v1", PAGE);
    assert_eq!((answer.status, answer.header(OURS), answer.header("vary")), (200, None, None));
    let asked = [("origin", PAGE), ("access-control-request-method", "PUT")];
    let answer = request(&running, "OPTIONS /api/v1/default/kv/a", &asked, "");
    assert_eq!((answer.status, answer.header(OURS)), (405, None));
}

#[test]
fn pages_of_the_origins_that_are_named_may_read_errors_too() {
    let running = start("https://app.example,null");
    for (origin, allowed) in [(PAGE, true), ("null", true), ("https://b.example", false)] {
        for (path, status) in [("/api/v1", 200), ("/api/v1/none/kv", 404), ("/nowhere", 404)] {
            let answer = from_page(&running, &format!("GET {path}"), origin);
            assert_eq!(answer.status, status, "{path}");
            assert_eq!(answer.header(OURS), allowed.then_some(origin), "{path}");
            assert_eq!(answer.header("access-control-expose-headers"), allowed.then_some("*"));
            assert_eq!(answer.header("vary"), Some("Origin"), "a cache must not mix them up");
        }
    }
    let answer = request(&running, "GET /api/v1", &[], "");
    assert_eq!((answer.header(OURS), answer.header("vary")), (None, Some("Origin")));
}

#[test]
fn a_browser_that_asks_first_is_answered() {
    let running = start("*");
    let asked = [
        ("origin", PAGE),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "content-type,if-match"),
    ];
    let answer = request(&running, "OPTIONS /api/v1/default/kv/a", &asked, "");
    assert_eq!((answer.status, answer.header(OURS)), (204, Some("*")));
    assert_eq!(answer.header("access-control-allow-headers"), Some("*"));
    let methods = answer.header("access-control-allow-methods").unwrap();
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE"] {
        assert!(methods.split(", ").any(|known| known == method), "{methods}");
    }
    let plain = request(&running, "OPTIONS /api/v1/default/kv/a", &[("origin", PAGE)], "");
    assert_eq!(plain.status, 405, "no question, so nothing special");
}

/// A browser sends a page's form or text to anywhere without asking first.
#[test]
fn pages_that_are_not_named_write_nothing() {
    for (origins, named) in
        [("off", false), ("https://b.example", false), (PAGE, true), ("*", true)]
    {
        let running = start(origins);
        let send = |head: &str, headers: &[(&str, &str)]| {
            let body = r#"{"operation":"put","items":[{"key":"a","value":"MQ=="}]}"#;
            request(&running, head, headers, body).status
        };
        let head = "POST /api/v1/default/kv/batch";
        let status = if named { 200 } else { 403 };
        let page = [("origin", PAGE), ("content-type", "text/plain")];
        assert_eq!(send(head, &page), status, "{origins}");
        assert_eq!(send("DELETE /api/v1/default/kv/a", &page), status, "{origins}");
        // One origin that is named does not speak for another one.
        let two = [("origin", PAGE), ("origin", "https://c.example")];
        assert_eq!(send(head, &two) == 200, origins == "*", "{origins}");
        assert_eq!(from_page(&running, "GET /api/v1/default/kv/a", PAGE).status, 200);
        assert_eq!(send(head, &[]), 200, "what is no browser says no origin");
    }
}
