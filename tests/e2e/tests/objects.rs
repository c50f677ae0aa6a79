//! Large objects, at real processes.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};
use unison_e2e::curl::{curl, send};
use unison_e2e::node::Node;

const SOON: Duration = Duration::from_secs(60);
/// Bytes of the object; `UNISON_OBJECT_BYTES` names another number.
const BYTES: usize = 64 << 20;
/// Of the first upload, before its line is cut.
const BEFORE_THE_CUT: usize = 20 << 20;

/// Octets that differ from place to place.
fn octets(bytes: usize) -> Vec<u8> {
    let words = (0_u64..).flat_map(|word| word.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
    words.take(bytes).collect()
}

/// Begins an upload over a line that ends in the middle of it.
fn upload_cut_off(hub: &Node, path: &str, octets: &[u8]) {
    let address = hub.address("http");
    let mut line = TcpStream::connect(&address).unwrap();
    let length = octets.len();
    let head =
        format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\n\r\n");
    line.write_all(head.as_bytes()).unwrap();
    line.write_all(&octets[..BEFORE_THE_CUT]).unwrap();
}

/// Bytes that a transaction has of an object, once they are as many twice.
fn uploaded(hub: &Node, path: &str) -> usize {
    let ask = || usize::try_from(curl(hub, &[], path).done().number("bytes")).unwrap();
    let mut last = ask();
    loop {
        std::thread::sleep(Duration::from_millis(300));
        let now = ask();
        if now == last && now > 0 {
            return now;
        }
        last = now;
    }
}

#[test]
fn an_upload_goes_on_behind_a_cut_and_an_edge_has_the_object() {
    let bytes = std::env::var("UNISON_OBJECT_BYTES").ok().and_then(|text| text.parse().ok());
    let octets = octets(bytes.unwrap_or(BYTES));
    let root = tempfile::tempdir().unwrap();
    let hub = Node::hub(root.path());
    let edge = Node::edge(root.path(), "edge", &hub.address("link"));
    let begun = send(&hub, "POST", "tx/begin", "{}").done().json();
    let lob = format!("tx/{}/lob?key=maps%2Fcity", begun["txnId"].as_str().unwrap());

    upload_cut_off(&hub, &format!("/api/v1/default/{lob}"), &octets);
    let there = uploaded(&hub, &lob);
    assert!(there <= BEFORE_THE_CUT && there.is_multiple_of(256 << 10), "{there}");
    let rest = root.path().join("rest");
    std::fs::write(&rest, &octets[there..]).unwrap();
    let upload = ["--request", "POST", "--upload-file", rest.to_str().unwrap()];
    let elsewhere = curl(&hub, &upload, &format!("{lob}&offset={}", there - 1));
    assert_eq!(elsewhere.status, 409);
    let sent = curl(&hub, &upload, &format!("{lob}&offset={there}")).done();
    assert_eq!(sent.number("bytes"), octets.len() as u64);
    assert_eq!(curl(&hub, &[], "lob/maps%2Fcity").status, 404, "not before its commit");
    let commit = lob.replace("lob?key=maps%2Fcity", "commit");
    let version = send(&hub, "POST", &commit, "").done().number("lsn");

    let deadline = Instant::now() + SOON;
    while curl(&edge, &["--head"], "lob/maps%2Fcity").status != 200 {
        assert!(Instant::now() < deadline, "{}", edge.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    for node in [&hub, &edge] {
        let whole = curl(node, &[], "lob/maps%2Fcity").done();
        assert!(whole.body == octets, "{} bytes", whole.body.len());
        ranges(node, &octets);
        let head = curl(node, &["--head"], "lob/maps%2Fcity").done().body;
        let head = String::from_utf8(head).unwrap().to_lowercase();
        assert!(head.contains(&format!("etag: {version}\r\n")), "{head}");
    }
}

/// The first, the last and some of the bytes between, across the ends of chunks.
fn ranges(node: &Node, octets: &[u8]) {
    let end = octets.len();
    for (asked, expected) in [
        ("0-0".to_owned(), 0..1),
        ("262143-262144".to_owned(), 262_143..262_145),
        ("1000000-3000000".to_owned(), 1_000_000..3_000_001),
        ("-5".to_owned(), end - 5..end),
        (format!("{}-", end - 300_000), end - 300_000..end),
    ] {
        let part = curl(node, &["--range", &asked], "lob/maps%2Fcity");
        assert!(part.status == 206 && part.body == octets[expected], "{asked}: {}", part.status);
    }
    let behind = curl(node, &["--range", &format!("{end}-")], "lob/maps%2Fcity");
    assert_eq!(behind.status, 416);
}
