//! Channels over RESP: keyspace notifications.

use super::running::{Client, Running, Setting, array};
use std::time::Duration;
use unison_base::NamespaceName;
use unison_linux::store::Durability;
use unison_serve::config::Address;
use unison_serve::node::Role;

/// An array, or a push, of bulk strings.
fn message(kind: char, words: &[&str]) -> Vec<u8> {
    let mut bytes = array(words);
    bytes[0] = u8::try_from(kind).unwrap();
    bytes
}

/// The answer to a change of subscriptions.
fn answer(kind: char, word: &str, channel: &str, count: usize) -> String {
    let (words, channels) = (word.len(), channel.len());
    format!("{kind}3\r\n${words}\r\n{word}\r\n${channels}\r\n{channel}\r\n:{count}\r\n")
}

#[test]
fn keys_and_rows_are_heard_of_on_their_channels() {
    for durability in [Durability::Always, Durability::Never] {
        let running = Running::start(Setting { durability, ..Setting::default() });
        let (writer, listener) = (&mut running.resp_client(), &mut running.resp_client());
        writer.ask(&["SET", "k", "before"], "+OK\r\n");
        let (key, event) = ("__keyspace@0__:k", "__keyevent@0__:hset");
        listener.send(array(&["SUBSCRIBE", key, event]));
        listener.expect(answer('*', "subscribe", key, 1) + &answer('*', "subscribe", event, 2));
        listener.ask(&["PSUBSCRIBE", "__key*__:d*"], answer('*', "psubscribe", "__key*__:d*", 3));
        writer.ask(&["SET", "k", "v"], "+OK\r\n");
        writer.ask(&["HSET", "door", "state", "open"], ":1\r\n");
        writer.ask(&["HDEL", "door", "state"], ":1\r\n");
        writer.ask(&["SET", "elsewhere", "v"], "+OK\r\n");
        writer.ask(&["DEL", "k"], ":1\r\n");
        listener.expect(message('*', &["message", key, "set"]));
        let pattern = |channel, what| message('*', &["pmessage", "__key*__:d*", channel, what]);
        listener.expect(pattern("__keyspace@0__:door", "hset"));
        listener.expect(message('*', &["message", event, "door"]));
        listener.expect(pattern("__keyspace@0__:door", "hdel"));
        listener.expect(message('*', &["message", key, "del"]));
        listener.expect(pattern("__keyevent@0__:del", "k"));
        listener.ask(&["PING"], "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
        let refusal = "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / \
                       QUIT / RESET are allowed in this context\r\n";
        listener.ask(&["GET", "k"], refusal);
        writer.ask(
            &["PUBSUB", "NUMSUB", key, "none"],
            format!("*4\r\n$16\r\n{key}\r\n:1\r\n$4\r\nnone\r\n:0\r\n"),
        );
        writer.ask(&["PUBSUB", "NUMPAT"], ":1\r\n");
        writer.ask(&["PUBSUB", "CHANNELS", "*space*"], format!("*1\r\n$16\r\n{key}\r\n"));
        listener.ask(&["UNSUBSCRIBE", key], answer('*', "unsubscribe", key, 2));
        listener.ask(&["UNSUBSCRIBE"], answer('*', "unsubscribe", event, 1));
        listener.ask(&["UNSUBSCRIBE"], "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:1\r\n");
        listener.ask(&["PUNSUBSCRIBE"], answer('*', "punsubscribe", "__key*__:d*", 0));
        listener.ask(&["GET", "elsewhere"], "$1\r\nv\r\n");
        writer.ask(&["PUBSUB", "CHANNELS"], "*0\r\n");
    }
}

#[test]
fn in_resp3_messages_come_as_pushes_between_answers() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    client.send(array(&["HELLO", "3"]));
    while client.line() != "modules" {}
    client.expect("*0\r\n");
    let channel = "__keyspace@0__:k";
    client.ask(&["SUBSCRIBE", channel], answer('>', "subscribe", channel, 1));
    client.ask(&["SET", "k", "v"], "+OK\r\n");
    client.expect(message('>', &["message", channel, "set"]));
    client.ask(&["GET", "k"], "$1\r\nv\r\n");
    running.store.create(&NamespaceName::new("other").unwrap()).unwrap();
    client.ask(
        &["SELECT", "other"],
        "-ERR unsubscribe first: channels are of the namespace chosen\r\n",
    );
    client.ask(&["RESET"], "+RESET\r\n");
    client.ask(&["SELECT", "other"], "+OK\r\n");
    client.ask(&["CONFIG", "SET", "notify-keyspace-events", "KEA"], "+OK\r\n");
}

/// A pipeline that subscribes and writes hears of what it wrote behind its subscription, and of
/// nothing before it.
#[test]
fn a_subscription_begins_where_it_stands_among_the_commands() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    let writer = &mut running.resp_client();
    client.ask(&["SUBSCRIBE", "none"], answer('*', "subscribe", "none", 1));
    for number in 0..200 {
        let (before, behind) = (format!("before:{number}"), format!("behind:{number}"));
        let channel = format!("__keyspace@0__:b*:{number}");
        writer.ask(&["SET", &before, "v"], "+OK\r\n");
        client.ask(&["PSUBSCRIBE", &channel], answer('*', "psubscribe", &channel, 2));
        writer.ask(&["SET", &behind, "v"], "+OK\r\n");
        let heard = format!("__keyspace@0__:{behind}");
        client.expect(message('*', &["pmessage", &channel, &heard, "set"]));
        client.ask(&["PUNSUBSCRIBE", &channel], answer('*', "punsubscribe", &channel, 1));
    }
}

#[test]
fn limits_are_named_and_the_end_of_a_namespace_is_told() {
    let running = Running::start(Setting { watchers_max: 1, ..Setting::default() });
    let client = &mut running.resp_client();
    running.store.create(&NamespaceName::new("other").unwrap()).unwrap();
    client.ask(&["SELECT", "other"], "+OK\r\n");
    let long = "x".repeat(8_193);
    client
        .ask(&["SUBSCRIBE", &long], "-ERR a channel has at most 8192 bytes, this one has 8193\r\n");
    client.ask(&["DBSIZE"], ":0\r\n");
    for number in 1..=1_024 {
        let channel = number.to_string();
        client.ask(&["SUBSCRIBE", &channel], answer('*', "subscribe", &channel, number));
    }
    let many = "-ERR a connection has at most 1024 channels and patterns\r\n";
    client.ask(&["PSUBSCRIBE", "*"], many);
    client.ask(&["SUBSCRIBE", "1"], answer('*', "subscribe", "1", 1_024));
    let refused = "-ERR too many watchers, the limit is 1 (watchers-max)\r\n";
    running.resp_client().ask(&["SUBSCRIBE", "a"], refused);
    running.store.drop_namespace(&NamespaceName::new("other").unwrap()).unwrap();
    client.expect("-ERR the namespace was dropped or began anew\r\n");
    assert!(client.rest().is_empty());
    let next = &mut running.resp_client();
    next.ask(&["SUBSCRIBE", "a"], answer('*', "subscribe", "a", 1));
    assert_eq!(running.stop(), 0);
    assert!(next.rest().is_empty());
}

/// A topic is a channel: of every message to it, whoever publishes it and how.
#[test]
fn messages_of_topics_are_heard_on_the_channels_of_their_names() {
    let running = Running::hub();
    let (writer, listener) = (&mut running.resp_client(), &mut running.resp_client());
    listener.ask(&["SUBSCRIBE", "site/7/door"], answer('*', "subscribe", "site/7/door", 1));
    listener.ask(&["PSUBSCRIBE", "site/*"], answer('*', "psubscribe", "site/*", 2));
    writer.ask(&["PUBLISH", "site/7/door", "open"], ":2\r\n");
    listener.expect(message('*', &["message", "site/7/door", "open"]));
    listener.expect(message('*', &["pmessage", "site/*", "site/7/door", "open"]));
    writer.ask(&["PUBLISH", "site/8/door", ""], ":1\r\n");
    listener.expect(message('*', &["pmessage", "site/*", "site/8/door", ""]));
    let namespace = running.store.namespace("default").unwrap();
    let to_doors = unison_engine::NewMessage {
        topic: "site/+/door",
        payload: b"close",
        headers: &[],
        ttl_ms: None,
        retain: false,
    };
    let write = unison_engine::Operation::PublishPattern(&[to_doors]);
    namespace.write(&unison_engine::Write::new(write)).unwrap();
    listener.expect(message('*', &["message", "site/7/door", "close"]));
    let refusal = "-ERR the name of a topic has no `+` and no `#`\r\n";
    writer.ask(&["PUBLISH", "site/+", "x"], refusal);
    writer.ask(&["PUBLISH", "elsewhere", "x"], ":0\r\n");
}

#[test]
fn a_node_that_follows_has_channels_too() {
    let role = Role::Edge { hub: Address::loopback(1) };
    let running = Running::start(Setting { role, ..Setting::default() });
    let client = &mut running.resp_client();
    client.ask(&["PSUBSCRIBE", "*"], answer('*', "psubscribe", "*", 1));
    let namespace = running.store.namespace("default").unwrap();
    namespace.write(&unison_engine::Write::put(b"\xff\r\n", b"")).unwrap();
    client.expect(
        b"*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$18\r\n__keyspace@0__:\xff\r\n\r\n$3\r\nset\r\n",
    );
}

/// Messages wait in the log for a client that does not read, and come all and in order.
#[test]
fn a_slow_listener_hears_everything_in_order() {
    let running = Running::hub();
    let namespace = running.store.namespace("default").unwrap();
    let client = &mut Client::connect(running.resp);
    client.ask(
        &["SUBSCRIBE", "__keyevent@0__:set"],
        answer('*', "subscribe", "__keyevent@0__:set", 1),
    );
    let key = |number: u32| format!("{number:0>4000}");
    for number in 0..6_000 {
        namespace.write(&unison_engine::Write::put(key(number).as_bytes(), b"")).unwrap();
    }
    client.0.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    for number in 0..6_000 {
        client.expect(message('*', &["message", "__keyevent@0__:set", &key(number)]));
    }
}
