//! Transactions that take long, and everybody else meanwhile.

use super::{QUEUED, begin};
use crate::running::{Client, Running, Setting, array};
use std::pin::pin;
use std::task::{Context, Waker};
use std::thread::sleep;
use std::time::{Duration, Instant};
use unison_base::NamespaceName;
use unison_linux::store::{Durability, Namespace};

const PATIENCE: Duration = Duration::from_secs(60);
const KEYS: usize = 20_000;
/// Enough to look at all keys for longer than a transaction may take.
const LOOKS: usize = 1_000;

/// Whether an `EXEC` holds the writer of a namespace, or waits for it.
fn is_held(namespace: &Namespace) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    pin!(namespace.turn()).poll(&mut context).is_pending()
}

fn fill(client: &mut Client) {
    for first in (0..KEYS).step_by(1_000) {
        let names: Vec<String> = (first..first + 1_000).map(|key| format!("key-{key}")).collect();
        let pairs = names.iter().flat_map(|name| [name.as_str(), "value"]);
        let words: Vec<&str> = ["MSET"].into_iter().chain(pairs).collect();
        client.ask(&words, "+OK\r\n");
    }
}

/// The answer to an `EXEC` of one `SET` and many `KEYS` that find nothing, or that it took too long.
fn expect_exec(client: &mut Client) {
    let head = client.line();
    if head == format!("*{}", LOOKS + 1) {
        client.expect("+OK\r\n".to_owned() + &"*0\r\n".repeat(LOOKS));
    } else {
        assert_eq!(head, "-ERR a transaction takes at most 1 second; nothing of it has happened");
    }
}

/// What has to be answered while an `EXEC` goes on; each of it once is enough, and proves it.
const OTHERS: [fn(&Running); 4] = [
    |running| {
        let client = &mut running.resp_client();
        client.ask(&["PING"], "+PONG\r\n");
        client.ask(&["GET", "key-7"], "$5\r\nvalue\r\n");
    },
    |running| {
        let client = &mut running.resp_client();
        client.ask(&["SELECT", "other"], "+OK\r\n");
        client.ask(&["SET", "k", "v"], "+OK\r\n");
    },
    |running| {
        let client = &mut running.resp_client();
        client.ask(&["SELECT", "other"], "+OK\r\n");
        begin(client, &[&["SET", "k", "w"], &["KEYS", "*"]]);
        client.ask(&["EXEC"], "*2\r\n+OK\r\n*1\r\n$1\r\nk\r\n");
    },
    |running| {
        let http = &mut Client::connect(running.http);
        http.send("GET /healthz HTTP/1.1\r\nHost: node\r\n\r\n");
        assert_eq!(http.line(), "HTTP/1.1 200 OK");
    },
];

#[test]
fn while_one_takes_long_all_but_the_writers_of_its_namespace_are_answered() {
    let running = Running::start(Setting { durability: Durability::Always, ..Setting::default() });
    running.store.create(&NamespaceName::new("other").unwrap()).unwrap();
    let namespace = running.store.namespace("default").unwrap();
    fill(&mut running.resp_client());
    let client = &mut running.resp_client();
    let mut writers: Vec<Client> = (0..4).map(|_| running.resp_client()).collect();
    let (deadline, mut unproved) = (Instant::now() + PATIENCE, OTHERS.to_vec());
    while !unproved.is_empty() {
        assert!(Instant::now() < deadline, "nobody was answered before the transaction ended");
        client.ask(&["MULTI"], "+OK\r\n");
        client.ask(&["SET", "x", "y"], QUEUED);
        client.send(array(&["KEYS", "*zzz"]).repeat(LOOKS));
        client.expect(QUEUED.repeat(LOOKS));
        client.send(array(&["EXEC"]));
        while !is_held(&namespace) && !client.has_answer() {
            sleep(Duration::from_millis(1));
        }
        // Each of these would block a thread that serves all if it waited with one.
        writers.iter_mut().for_each(|writer| writer.send(array(&["INCR", "n"])));
        unproved.retain(|other| {
            other(&running);
            !is_held(&namespace)
        });
        expect_exec(client);
        writers.iter_mut().for_each(|writer| assert!(writer.line().starts_with(':')));
    }
}
