//! A subscriber that speaks ZMTP by hand; a real one is in `tests/e2e`.

use super::running::{Client, Running, Setting};
use serde_json::{Value, json};
use std::io::Read as _;
use std::time::{Duration, Instant};
use unison_base::NamespaceName;
use unison_engine::Write;
use unison_linux::store::Durability;

struct Subscriber(Client);

fn greeting() -> [u8; 64] {
    let mut bytes = [0; 64];
    (bytes[0], bytes[9], bytes[10]) = (0xFF, 0x7F, 3);
    bytes[12..16].copy_from_slice(b"NULL");
    bytes
}

const READY: &[u8] = b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03SUB";

impl Subscriber {
    fn connect(running: &Running) -> Self {
        let mut client = Client::connect(running.zeromq);
        client.send(greeting());
        client.expect(greeting());
        client.send(READY);
        client.expect(b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03PUB");
        Self(client)
    }

    fn says(&mut self, first: u8, prefix: &str) {
        let length = u8::try_from(prefix.len() + 1).unwrap();
        self.0.send([&[0, length, first], prefix.as_bytes()].concat());
    }

    fn frame(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        self.0.0.read_exact(&mut head).unwrap();
        let mut length = usize::from(head[1]);
        if head[0] & 2 != 0 {
            let mut rest = [0; 8];
            rest[0] = head[1];
            self.0.0.read_exact(&mut rest[1..]).unwrap();
            length = usize::try_from(u64::from_be_bytes(rest)).unwrap();
        }
        let mut body = vec![0; length];
        self.0.0.read_exact(&mut body).unwrap();
        (head[0], body)
    }

    fn message(&mut self) -> (String, Value) {
        let (topic, data) = (self.frame(), self.frame());
        assert_eq!((topic.0 & 1, data.0 & 1), (1, 0));
        (String::from_utf8(topic.1).unwrap(), serde_json::from_slice(&data.1).unwrap())
    }

    /// Writes until a message comes: from then on the subscription is known.
    fn wait_for_subscription(&mut self, running: &Running) -> u64 {
        let namespace = running.store.namespace("default").unwrap();
        let before = namespace.reader().applied().0;
        self.0.0.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let mut byte = [0];
        for _ in 0..500 {
            namespace.write(&Write::put(b"probe", b"")).unwrap();
            if self.0.0.peek(&mut byte).is_ok() {
                break;
            }
        }
        self.0.0.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let last = namespace.write(&Write::put(b"last", b"")).unwrap().lsn.0;
        loop {
            let (_, data) = self.message();
            if data["lsn"] == json!(last) {
                assert!(last > before);
                return last;
            }
        }
    }
}

#[test]
fn a_subscriber_gets_two_frames_an_event_and_only_what_it_asked_for() {
    for durability in [Durability::Always, Durability::Never] {
        let running = Running::start(Setting { durability, ..Setting::default() });
        let namespace = running.store.namespace("default").unwrap();
        let mut subscriber = Subscriber::connect(&running);
        subscriber.says(1, "default.kv");
        let last = subscriber.wait_for_subscription(&running);
        let columns: [(&str, &[u8]); 1] = [("a", b"b")];
        let rows = [unison_engine::ColumnValues { row: b"row", columns: &columns }];
        let row = Write::new(unison_engine::Operation::PutColumns(&rows));
        namespace.write(&row).unwrap();
        namespace.write(&Write::delete(b"\xff")).unwrap();
        let data = json!({"key": "/w==", "key_encoding": "base64", "namespace": "default",
            "operation": "delete", "entry_type": "kv", "lsn": last + 2});
        assert_eq!(subscriber.message(), ("default.kv".to_owned(), data));
        subscriber.says(1, "default.row");
        subscriber.0.send(b"\x04\x09\x04PING\0\0hi");
        assert_eq!(subscriber.frame(), (4, b"\x04PONGhi".to_vec()));
        namespace.write(&row).unwrap();
        let data = json!({"key": "row", "namespace": "default", "operation": "put",
            "entry_type": "row", "lsn": last + 3});
        assert_eq!(subscriber.message(), ("default.row".to_owned(), data));
        assert_eq!(running.stop(), 0);
    }
}

/// All of it and in order, though it reads nothing while thousands are written; and of a namespace
/// that is made meanwhile too, from its first record.
#[test]
fn a_slow_subscriber_gets_everything_and_hears_of_new_namespaces() {
    let running = Running::hub();
    let namespace = running.store.namespace("default").unwrap();
    let mut subscriber = Subscriber::connect(&running);
    subscriber.says(1, "");
    let last = subscriber.wait_for_subscription(&running);
    let key = [b'k'; 4_000];
    for _ in 0..5_000 {
        namespace.write(&Write::put(&key, b"")).unwrap();
    }
    let other = running.store.create(&NamespaceName::new("other").unwrap()).unwrap();
    other.write(&Write::put(b"first", b"")).unwrap();
    let (mut next, mut heard) = (last + 1, false);
    while next <= last + 5_000 || !heard {
        let (topic, data) = subscriber.message();
        if topic == "default.kv" {
            assert_eq!(data["lsn"], json!(next));
            next += 1;
        } else {
            assert_eq!((topic.as_str(), &data["key"]), ("other.kv", &json!("first")));
            heard = true;
        }
    }
    running.store.drop_namespace(other.name()).unwrap();
    let again = running.store.create(&NamespaceName::new("other").unwrap()).unwrap();
    again.write(&Write::put(b"anew", b"")).unwrap();
    assert_eq!(subscriber.message().1["key"], json!("anew"));
}

#[test]
fn peers_that_are_no_subscribers_are_not_served() {
    let running = Running::start(Setting { watchers_max: 1, ..Setting::default() });
    let mut old = Client::connect(running.zeromq);
    old.send([1; 64]);
    assert_eq!(old.rest(), greeting());
    let mut publisher = Client::connect(running.zeromq);
    publisher.send(greeting());
    publisher.send(READY.strip_suffix(b"SUB").unwrap());
    publisher.send(b"PUB");
    assert_eq!(publisher.rest().len(), 64 + 27);
    let mut loud = Subscriber::connect(&running);
    loud.0.send([2, 0, 0, 0, 0, 0, 1, 0, 0]);
    assert!(loud.0.rest().is_empty());
    let mut first = Subscriber::connect(&running);
    first.says(1, "");
    first.wait_for_subscription(&running);
    let mut second = Subscriber::connect(&running);
    second.says(1, "default");
    assert!(second.0.rest().is_empty());
    first.says(0, "");
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let mut third = Subscriber::connect(&running);
        third.says(1, "default.row");
        third.0.send(b"\x04\x07\x04PING\0\0");
        let mut byte = [0];
        if third.0.0.read(&mut byte).is_ok_and(|read| read == 1) {
            break;
        }
        assert!(Instant::now() < deadline, "an unsubscribed namespace keeps its place");
    }
}
