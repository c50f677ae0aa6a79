//! A browser's `EventSource`, through cut lines and a killed hub.

use std::net::TcpListener;
use std::time::Duration;
use unison_e2e::clients;
use unison_e2e::node::Node;
use unison_e2e::process::Chatty;
use unison_e2e::relay::Relay;
use unison_e2e::resp::{Answer, Client};

const FREE: &str = "127.0.0.1:0";
const ROUNDS: usize = 5;
const WRITES: usize = 60;

/// What the page said about its two streams.
#[derive(Default)]
struct Page {
    keys: Vec<String>,
    messages: Vec<String>,
    opened: usize,
    stranger: Option<String>,
}

impl Page {
    /// Takes one line of the page.
    fn hear(&mut self, browser: &mut Chatty) {
        let line = browser.line().expect("the page says something");
        match line.split_once(' ').expect("two words") {
            (_, "open") => self.opened += 1,
            ("stranger", told) => self.stranger = Some(told.to_owned()),
            ("watch", event) => self.keys.push(event.to_owned()),
            ("subscribe", event) => self.messages.push(event.to_owned()),
            _ => panic!("{line}"),
        }
    }

    fn hear_until(&mut self, browser: &mut Chatty, enough: impl Fn(&Self) -> bool) {
        while !enough(self) {
            self.hear(browser);
        }
    }
}

/// A key and a message; returns what is to be heard of each.
fn write(client: &mut Client, number: usize) {
    let (key, payload) = (format!("key:{number}"), number.to_string());
    let ok = client.call(&[b"SET", key.as_bytes(), b"v"]).unwrap();
    assert_eq!(ok, Answer::Simple("OK".to_owned()));
    let published = client.call(&[b"PUBLISH", b"page", payload.as_bytes()]).unwrap();
    assert!(matches!(published, Answer::Number(_)), "{published:?}");
}

/// Each event once and in order, whatever happened to the line.
fn check(page: &Page, writes: usize) {
    let event = |line: &String| -> (u64, serde_json::Value) {
        let (id, data) = line.split_once(' ').expect("an id and data");
        let lsn = id.strip_suffix("-0").expect("one event a record").parse().unwrap();
        (lsn, serde_json::from_str(data).unwrap())
    };
    let mut last = 0;
    for (number, line) in page.keys.iter().enumerate() {
        let (lsn, data) = event(line);
        assert_eq!((&data["key"], &data["lsn"]), (&format!("key:{number}").into(), &lsn.into()));
        assert!(lsn > last, "{line} behind {last}");
        last = lsn;
    }
    let payloads = page.messages.iter().map(|line| event(line).1["payload"].clone());
    let payloads: Vec<_> = payloads.map(|payload| payload.as_str().unwrap().to_owned()).collect();
    let due: Vec<_> = (0..writes).map(|number| base64(&number.to_string())).collect();
    assert_eq!(payloads, due);
    assert_eq!(page.keys.len(), writes);
}

fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |three: &[u8]| {
        let bits = three.iter().fold(0, |bits, &byte| bits << 8 | usize::from(byte));
        let bits = bits << (8 * (3 - three.len()));
        let digit = |at: usize| char::from(DIGITS[bits >> (18 - 6 * at) & 63]);
        let shown = (0..4).map(|at| if at <= three.len() { digit(at) } else { '=' });
        shown.collect::<String>()
    };
    text.as_bytes().chunks(3).map(group).collect()
}

#[test]
fn a_page_hears_of_everything_once_through_cut_lines_and_a_killed_hub() {
    let root = tempfile::tempdir().unwrap();
    let port = TcpListener::bind(FREE).unwrap().local_addr().unwrap().port().to_string();
    let origin = format!("http://127.0.0.1:{port}");
    let arguments = [
        &["serve", "--http", FREE, "--resp", FREE, "--link", FREE][..],
        &["--http-allow-origin", &origin],
    ];
    let mut hub = Node::start(root.path(), "hub", "hub-node", &arguments.concat());
    let relay = Relay::to(hub.address("http"));
    let profile = root.path().join("browser").display().to_string();
    let mut browser = clients::start("event_source.py", &[&port, relay.address(), &profile]);
    let mut page = Page::default();
    page.hear_until(&mut browser, |page| page.opened == 2 && page.stranger.is_some());
    assert_eq!(page.stranger.as_deref(), Some("refused"), "of an origin that nobody named");

    // Cut before the first event: from now on means from then on.
    relay.cut();
    let mut written = 0;
    for round in 0..ROUNDS {
        let mut client = hub.resp();
        for _ in 0..WRITES {
            write(&mut client, written);
            written += 1;
            if written % 23 == 0 {
                relay.cut();
            }
        }
        if round % 2 == 1 {
            hub.kill_and_restart();
        }
        let all = |page: &Page| page.keys.len() >= written && page.messages.len() >= written;
        page.hear_until(&mut browser, all);
        check(&page, written);
    }
    // What is told twice would come now.
    std::thread::sleep(Duration::from_millis(300));
    write(&mut hub.resp(), written);
    page.hear_until(&mut browser, |page| {
        page.keys.len() > written && page.messages.len() > written
    });
    check(&page, written + 1);
    assert!(page.opened > 2 * ROUNDS, "{} openings: nothing was cut", page.opened);
}
