//! Keys that must not change before `EXEC`.

use super::{begin, exec};
use crate::running::{Client, Running};
use std::time::Duration;
use unison_base::NamespaceName;

/// Watches `k` and the row `h`, has `change` done by another client, and says whether EXEC is carried out.
#[track_caller]
fn survives(running: &Running, change: impl FnOnce(&mut Client)) -> bool {
    let (client, other) = (&mut running.resp_client(), &mut running.resp_client());
    other.ask(&["SET", "k", "1"], "+OK\r\n");
    other.ask(&["HSET", "h", "f", "1"], ":1\r\n");
    client.ask(&["WATCH", "k", "h", "none"], "+OK\r\n");
    change(other);
    begin(client, &[&["SET", "done", "1"]]);
    client.send(crate::running::array(&["EXEC"]));
    let carried_out = match client.line().as_str() {
        "*-1" => false,
        "*1" => client.line() == "+OK",
        other => panic!("{other}"),
    };
    other.ask(&["DEL", "h", "none"], format!(":{}\r\n", count(client, &["h", "none"])));
    let done = i32::from(carried_out);
    other.ask(&["DEL", "done"], format!(":{done}\r\n"));
    // It watches nothing any more.
    other.ask(&["SET", "k", "2"], "+OK\r\n");
    exec(client, &[&["SET", "k", "3"]], &["+OK\r\n"]);
    carried_out
}

fn count(client: &mut Client, keys: &[&str]) -> String {
    let words: Vec<&str> = ["EXISTS"].iter().chain(keys).copied().collect();
    client.send(crate::running::array(&words));
    client.line()[1..].to_owned()
}

#[test]
fn any_change_of_a_watched_key_or_row_is_seen() {
    let running = Running::hub();
    assert!(survives(&running, |_| {}));
    assert!(survives(&running, |other| other.ask(&["SET", "other", "1"], "+OK\r\n")));
    assert!(survives(&running, |other| other.ask(&["GET", "k"], "$1\r\n1\r\n")));
    for (words, reply) in [
        (&["SET", "k", "1"][..], "+OK\r\n"),
        (&["DEL", "k"], ":1\r\n"),
        (&["EXPIRE", "k", "100"], ":1\r\n"),
        (&["HSET", "h", "g", "1"], ":1\r\n"),
        (&["HDEL", "h", "f"], ":1\r\n"),
        (&["SET", "none", "1"], "+OK\r\n"),
        (&["HSET", "none", "f", "1"], ":1\r\n"),
    ] {
        assert!(!survives(&running, |other| other.ask(words, reply)), "{words:?}");
    }
    assert!(!survives(&running, |other| {
        other.ask(&["DEL", "k"], ":1\r\n");
        other.ask(&["SET", "k", "1"], "+OK\r\n");
    }));
    // As absent as it was, but not all the time.
    for (words, reply) in
        [(&["SET", "none", "1"][..], "+OK\r\n"), (&["HSET", "none", "f", "1"], ":1\r\n")]
    {
        assert!(!survives(&running, |other| {
            other.ask(words, reply);
            other.ask(&["DEL", "none"], ":1\r\n");
        }));
    }
    // Nothing was there to delete.
    assert!(survives(&running, |other| other.ask(&["DEL", "none"], ":0\r\n")));
    assert!(survives(&running, |other| other.ask(&["DEL", "none", "nor this"], ":0\r\n")));
}

#[test]
fn a_key_that_expires_has_changed() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    client.ask(&["SET", "k", "1", "PX", "3000"], "+OK\r\n");
    client.ask(&["WATCH", "k"], "+OK\r\n");
    std::thread::sleep(Duration::from_millis(3_100));
    begin(client, &[&["GET", "k"]]);
    client.ask(&["EXEC"], "*-1\r\n");
    client.ask(&["WATCH", "k"], "+OK\r\n");
    exec(client, &[&["GET", "k"]], &["$-1\r\n"]);
}

#[test]
fn its_own_writes_count_and_unwatch_and_discard_forget() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    client.ask(&["WATCH", "k"], "+OK\r\n");
    client.ask(&["SET", "k", "1"], "+OK\r\n");
    begin(client, &[&["GET", "k"]]);
    client.ask(&["EXEC"], "*-1\r\n");
    client.ask(&["WATCH", "k"], "+OK\r\n");
    client.ask(&["SET", "k", "2"], "+OK\r\n");
    client.ask(&["UNWATCH"], "+OK\r\n");
    exec(client, &[&["GET", "k"]], &["$1\r\n2\r\n"]);
    client.ask(&["WATCH", "k"], "+OK\r\n");
    client.ask(&["SET", "k", "3"], "+OK\r\n");
    begin(client, &[&["GET", "k"]]);
    client.ask(&["DISCARD"], "+OK\r\n");
    exec(client, &[&["GET", "k"]], &["$1\r\n3\r\n"]);
}

#[test]
fn a_namespace_that_was_dropped_or_made_anew_has_changed() {
    let running = Running::hub();
    let name = NamespaceName::new("7").unwrap();
    let create = || drop(running.store.create(&name).unwrap());
    let client = &mut running.resp_client();
    for again in [true, false] {
        create();
        client.ask(&["SELECT", "7"], "+OK\r\n");
        client.ask(&["WATCH", "k"], "+OK\r\n");
        let refusal = "-ERR UNWATCH first: keys are watched in the namespace chosen\r\n";
        client.ask(&["SELECT", "0"], refusal);
        begin(client, &[&["GET", "k"]]);
        running.store.drop_namespace(&name).unwrap();
        if again {
            create();
        }
        client.ask(&["EXEC"], "*-1\r\n");
        client.ask(&["SELECT", "0"], "+OK\r\n");
        if again {
            running.store.drop_namespace(&name).unwrap();
        }
    }
    create();
    client.ask(&["SELECT", "7"], "+OK\r\n");
    begin(client, &[&["SET", "k", "v"]]);
    running.store.drop_namespace(&name).unwrap();
    client.ask(&["EXEC"], "-ERR namespace 7 was dropped\r\n");
}
