//! What clients of Redis take for granted, compared with what redis-server 7.0 answers.

use super::running::{Client, Running};
use unison_base::NamespaceName;

#[test]
fn text_that_only_looks_like_a_number_is_none() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    let not_a_number = "-ERR value is not an integer or out of range\r\n";
    for text in ["007", "-0", "+1", " 1", "1 ", "00", "-", "", "1.0"] {
        client.ask(&["SET", "n", text], "+OK\r\n");
        client.ask(&["INCR", "n"], not_a_number);
        client.ask(&["INCRBY", "none", text], not_a_number);
        client.ask(&["GETRANGE", "n", "0", text], not_a_number);
    }
    client.ask(&["SET", "n", "-10"], "+OK\r\n");
    client.ask(&["INCRBY", "n", "10"], ":0\r\n");
}

#[test]
fn subcommands_are_refused_by_name_or_by_their_arguments() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    for (words, why) in [
        (&["CLIENT", "GETNAME", "x"][..], "wrong number of arguments for 'client|getname' command"),
        (&["config", "Get"], "wrong number of arguments for 'config|get' command"),
        (&["CONFIG", "SET", "a"], "wrong number of arguments for 'config|set' command"),
        (&["CONFIG", "FOO"], "unknown subcommand 'FOO'. CONFIG has GET SET."),
        (&["PUBSUB", "FOO"], "unknown subcommand 'FOO'. PUBSUB has CHANNELS NUMPAT NUMSUB."),
        (&["PUBSUB", "NUMPAT", "x"], "wrong number of arguments for 'pubsub|numpat' command"),
        (
            &["COMMAND", "FOO"],
            "unknown subcommand 'FOO'. COMMAND has COUNT DOCS GETKEYS INFO LIST.",
        ),
        (&["CLIENT", "NO-EVICT", "x"], "syntax error"),
        (&["CLIENT", "REPLY", "OFF"], "every command is answered: CLIENT REPLY ON is all there is"),
        (
            &["CLIENT", "TRACKING", "ON"],
            "clients are not told what to forget; SUBSCRIBE to __keyspace@0__:<key> tells them what was written",
        ),
        (&["CLIENT", "TRACKING"], "wrong number of arguments for 'client|tracking' command"),
        (&["HELLO", "x"], "Protocol version is not an integer or out of range"),
        (&["HELLO", "3", "AUTH", "x"], "Syntax error in HELLO option 'AUTH'"),
        (
            &["HELLO", "3", "SETNAME", "a b"],
            "Client names cannot contain spaces, newlines or special characters.",
        ),
        (&["WAIT", "x", "0"], "value is not an integer or out of range"),
        (&["WAIT", "0", "x"], "timeout is not an integer or out of range"),
        (&["WAIT", "0", "-1"], "timeout is negative"),
    ] {
        client.ask(words, format!("-ERR {why}\r\n"));
    }
}

#[test]
fn commands_can_be_listed_by_a_pattern_and_asked_for_their_keys() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    client.ask(&["COMMAND", "LIST", "FILTERBY", "PATTERN", "getd*"], "*1\r\n$6\r\ngetdel\r\n");
    client.ask(&["COMMAND", "LIST", "FILTERBY", "ACLCAT", "read"], "*0\r\n");
    client.ask(&["COMMAND", "LIST", "FILTERBY"], "-ERR syntax error\r\n");
    let keys = |words: &[&'static str]| [&["COMMAND", "GETKEYS"], words].concat();
    client.ask(&keys(&["SET", "a", "b", "EX", "1"]), "*1\r\n$1\r\na\r\n");
    client.ask(&keys(&["MSET", "a", "1", "b", "2"]), "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    client.ask(&keys(&["DEL", "a", "b"]), "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    client.ask(&keys(&["PING"]), "-ERR The command has no key arguments\r\n");
    client.ask(&keys(&["NOSUCH"]), "-ERR Invalid command specified\r\n");
    let too_few = "-ERR Invalid number of arguments specified for command\r\n";
    client.ask(&keys(&["GET"]), too_few);
}

fn client_info(client: &mut Client) -> String {
    client.send("CLIENT INFO\r\n");
    client.bulk()
}

#[test]
fn a_connection_is_shown_as_clients_read_it() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    client.ask(&["CLIENT", "GETNAME"], "$-1\r\n");
    for field in client_info(client).split_whitespace() {
        let (name, value) = field.split_once('=').unwrap();
        match name {
            "id" | "age" | "idle" | "db" | "resp" => _ = value.parse::<i64>().unwrap(),
            "addr" | "name" | "flags" | "user" | "lib-name" | "lib-ver" => {}
            other => panic!("{other} is no field of Redis 7"),
        }
    }
    assert!(client_info(client).contains(" db=0 user=default "));
    running.store.create(&NamespaceName::new("door").unwrap()).unwrap();
    client.ask(&["SELECT", "door"], "+OK\r\n");
    assert!(client_info(client).contains(" db=-1 user=door "));
}
