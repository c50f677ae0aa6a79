//! What commands answer inside, and what is refused.

use super::{QUEUED, begin, exec};
use crate::running::{Running, Setting, array};
use std::time::{Duration, Instant};
use unison_base::Lsn;
use unison_linux::store::Durability;
use unison_serve::config::Address;
use unison_serve::node::Role;

const ABORTED: &str = "-EXECABORT Transaction discarded because of previous errors.\r\n";

#[test]
fn commands_see_the_writes_of_those_before_them() {
    for durability in [Durability::Always, Durability::Never] {
        let running = Running::start(Setting { durability, ..Setting::default() });
        let client = &mut running.resp_client();
        client.ask(&["SET", "old", "1"], "+OK\r\n");
        let commands: [&[&str]; 24] = [
            &["SET", "k", "v"],
            &["GET", "k"],
            &["APPEND", "k", "w"],
            &["GETSET", "k", "x"],
            &["INCRBY", "n", "5"],
            &["DECR", "n"],
            &["MGET", "k", "n", "old", "none"],
            &["DEL", "old", "none"],
            &["EXISTS", "old", "k"],
            &["SET", "k", "y", "NX"],
            &["SET", "k", "z", "XX", "GET"],
            &["HSET", "h", "a", "1", "b", "2"],
            &["HSET", "h", "b", "3", "c", "4"],
            &["HDEL", "h", "a", "none"],
            &["HGETALL", "h"],
            &["HLEN", "h"],
            &["DBSIZE"],
            &["KEYS", "*"],
            &["TYPE", "h"],
            &["EXPIREAT", "k", "99999999999"],
            &["EXPIRETIME", "k"],
            &["PERSIST", "k"],
            &["PUBLISH", "t", "m"],
            &["PING"],
        ];
        let replies = [
            "+OK\r\n",
            "$1\r\nv\r\n",
            ":2\r\n",
            "$2\r\nvw\r\n",
            ":5\r\n",
            ":4\r\n",
            "*4\r\n$1\r\nx\r\n$1\r\n4\r\n$1\r\n1\r\n$-1\r\n",
            ":1\r\n",
            ":1\r\n",
            "$-1\r\n",
            "$1\r\nx\r\n",
            ":2\r\n",
            ":1\r\n",
            ":1\r\n",
            "*4\r\n$1\r\nb\r\n$1\r\n3\r\n$1\r\nc\r\n$1\r\n4\r\n",
            ":2\r\n",
            ":2\r\n",
            "*2\r\n$1\r\nk\r\n$1\r\nn\r\n",
            "+hash\r\n",
            ":1\r\n",
            ":99999999999\r\n",
            ":1\r\n",
            ":0\r\n",
            "+PONG\r\n",
        ];
        exec(client, &commands, &replies);
        client.ask(&["MGET", "k", "n", "old"], "*3\r\n$1\r\nz\r\n$1\r\n4\r\n$-1\r\n");
        client.ask(&["WAIT", "0", "1"], ":0\r\n");
    }
}

#[test]
fn a_command_that_fails_answers_its_error_in_its_place() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    client.ask(&["SET", "text", "a"], "+OK\r\n");
    let long = "k".repeat(5_000);
    let commands: [&[&str]; 5] = [
        &["SET", "a", "1"],
        &["INCR", "text"],
        &["SET", &long, "v"],
        &["SET", "b", "2", "NO", "SUCH"],
        &["SET", "c", "3"],
    ];
    let replies = [
        "+OK\r\n",
        "-ERR value is not an integer or out of range\r\n",
        "-ERR a key has 1 to 4096 bytes, this one has 5000\r\n",
        "-ERR syntax error\r\n",
        "+OK\r\n",
    ];
    exec(client, &commands, &replies);
    client.ask(&["MGET", "a", "b", "c"], "*3\r\n$1\r\n1\r\n$-1\r\n$1\r\n3\r\n");
    // One that would be done by half takes everything back.
    begin(client, &[&["SET", "d", "4"], &["HSET", "h", "f", "v"], &["DEL", "h", &long]]);
    client.ask(&["EXEC"], "-ERR a key has 1 to 4096 bytes, this one has 5000\r\n");
    client.ask(&["EXISTS", "d", "h"], ":0\r\n");
}

#[test]
fn what_is_refused_while_it_is_queued_ends_the_transaction() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    for (words, refusal) in [
        (&["GET"][..], "-ERR wrong number of arguments for 'get' command\r\n"),
        (&["NO"], "-ERR unknown command 'NO', with args beginning with: \r\n"),
        (&["SELECT", "1"], "-ERR 'select' is not allowed inside a transaction\r\n"),
        (&["SUBSCRIBE", "c"], "-ERR 'subscribe' is not allowed inside a transaction\r\n"),
        (&["WAIT", "1", "0"], "-ERR 'wait' is not allowed inside a transaction\r\n"),
        (&["FLUSHALL"], "-ERR 'flushall' is not allowed inside a transaction\r\n"),
    ] {
        begin(client, &[&["SET", "k", "v"]]);
        client.ask(words, refusal);
        client.ask(&["SET", "l", "v"], QUEUED);
        client.ask(&["EXEC"], ABORTED);
        client.ask(&["EXISTS", "k", "l"], ":0\r\n");
    }
    client.ask(&["EXEC"], "-ERR EXEC without MULTI\r\n");
    client.ask(&["DISCARD"], "-ERR DISCARD without MULTI\r\n");
    // As in Redis these two do not end it.
    begin(client, &[&["SET", "k", "v"]]);
    client.ask(&["MULTI"], "-ERR MULTI calls can not be nested\r\n");
    client.ask(&["WATCH", "k"], "-ERR WATCH inside MULTI is not allowed\r\n");
    client.ask(&["EXEC"], "*1\r\n+OK\r\n");
    exec(client, &[], &[]);
    exec(client, &[&["UNWATCH"], &["ECHO", "hi"]], &["+OK\r\n", "$2\r\nhi\r\n"]);
}

#[test]
fn discard_reset_and_going_away_leave_nothing() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    begin(client, &[&["SET", "k", "v"]]);
    client.ask(&["DISCARD"], "+OK\r\n");
    client.ask(&["GET", "k"], "$-1\r\n");
    begin(client, &[&["SET", "k", "v"]]);
    client.ask(&["RESET"], "+RESET\r\n");
    client.ask(&["EXEC"], "-ERR EXEC without MULTI\r\n");
    let mut other = running.resp_client();
    begin(&mut other, &[&["SET", "k", "v"]]);
    drop(other);
    client.ask(&["EXISTS", "k"], ":0\r\n");
}

#[test]
fn a_transaction_that_only_reads_takes_no_lsn_and_one_write_is_that_write() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    let lsn = || running.store.namespace("default").unwrap().reader().applied();
    client.ask(&["SET", "k", "v"], "+OK\r\n");
    exec(client, &[&["GET", "k"], &["DBSIZE"]], &["$1\r\nv\r\n", ":1\r\n"]);
    assert_eq!(lsn(), Lsn(1));
    exec(client, &[&["GET", "k"], &["SET", "k", "w"]], &["$1\r\nv\r\n", "+OK\r\n"]);
    assert_eq!(lsn(), Lsn(2));
    exec(client, &[&["SET", "k", "x"], &["GET", "k"]], &["+OK\r\n", "$1\r\nx\r\n"]);
    assert_eq!(lsn(), Lsn(5), "its begin, the write, its commit");
    exec(
        client,
        &[&["SET", "k", "y", "NX"], &["INCR", "k"]],
        &["$-1\r\n", "-ERR value is not an integer or out of range\r\n"],
    );
    client.ask(&["GET", "k"], "$1\r\nx\r\n");
}

#[test]
fn both_protocols_have_their_null() {
    let running = Running::hub();
    let (client, other) = (&mut running.resp_client(), &mut running.resp_client());
    for (hello, null) in [("2", "*-1\r\n"), ("3", "_\r\n")] {
        client.send(array(&["HELLO", hello, "SETNAME", "x"]));
        client.send(array(&["ECHO", "behind"]));
        while client.line() != "behind" {}
        client.ask(&["WATCH", "k"], "+OK\r\n");
        other.ask(&["SET", "k", hello], "+OK\r\n");
        begin(client, &[&["GET", "k"]]);
        client.ask(&["EXEC"], null);
    }
    exec(
        client,
        &[&["HSET", "h", "a", "1"], &["HGETALL", "h"], &["GET", "none"]],
        &[":1\r\n", "%1\r\n$1\r\na\r\n$1\r\n1\r\n", "_\r\n"],
    );
}

#[test]
fn a_node_that_follows_watches_and_reads_and_refuses_writes_when_they_are_queued() {
    let role = Role::Edge { hub: Address { host: "hub.example".into(), port: 4003 } };
    let running = Running::start(Setting { role, ..Setting::default() });
    let client = &mut running.resp_client();
    client.ask(&["WATCH", "k"], "+OK\r\n");
    exec(client, &[&["GET", "k"], &["DBSIZE"]], &["$-1\r\n", ":0\r\n"]);
    begin(client, &[&["GET", "k"]]);
    let refusal =
        "-READONLY this node only reads; write to the hub whose link is hub.example:4003\r\n";
    client.ask(&["SET", "k", "v"], refusal);
    client.ask(&["EXEC"], ABORTED);
}

#[test]
fn inline_commands_are_queued_too() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    client.send("MULTI\r\nSET k \"a b\"\r\nGET k\r\nEXEC\r\n");
    client.expect("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n$3\r\na b\r\n");
}

#[test]
fn a_listener_hears_what_a_transaction_publishes_once_and_behind_its_end() {
    let running = Running::hub();
    let (client, listener) = (&mut running.resp_client(), &mut running.resp_client());
    listener.ask(&["SUBSCRIBE", "t"], "*3\r\n$9\r\nsubscribe\r\n$1\r\nt\r\n:1\r\n");
    begin(client, &[&["PUBLISH", "t", "one"], &["SET", "k", "v"], &["PUBLISH", "t", "two"]]);
    client.ask(&["EXEC"], "*3\r\n:1\r\n+OK\r\n:1\r\n");
    for word in ["one", "two"] {
        listener.expect(array(&["message", "t", word]));
    }
}

#[test]
fn writers_race_for_a_counter_and_none_is_lost() {
    const CLIENTS: usize = 4;
    const ROUNDS: usize = 50;
    let running = Running::start(Setting { durability: Durability::Always, ..Setting::default() });
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let client = &mut running.resp_client();
                for _ in 0..ROUNDS {
                    begin(client, &[&["INCR", "n"], &["GET", "n"], &["HSET", "h", "f", "v"]]);
                    client.send(array(&["EXEC"]));
                    assert_eq!(client.line(), "*3");
                    let counted = client.line()[1..].to_owned();
                    assert_eq!(client.bulk(), counted, "nothing comes in between");
                    assert!(client.line().starts_with(':'));
                }
            });
        }
    });
    let client = &mut running.resp_client();
    let began = Instant::now();
    client.ask(&["GET", "n"], format!("$3\r\n{}\r\n", CLIENTS * ROUNDS));
    assert!(began.elapsed() < Duration::from_secs(30));
}
