//! Hashes in RESP, which are rows.

use super::running::{Running, Setting, array};
use unison_serve::config::Address;
use unison_serve::node::Role;

const NULL: &str = "$-1\r\n";

#[test]
fn fields_are_set_read_and_deleted() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    client.ask(&["HGET", "h", "a"], NULL);
    client.ask(&["HSET", "h", "a", "1", "b", "2"], ":2\r\n");
    client.ask(&["HSET", "h", "b", "3", "c", "4", "c", "5"], ":1\r\n");
    client.ask(&["HGET", "h", "c"], "$1\r\n5\r\n");
    client.ask(&["HMGET", "h", "a", "none", "b"], "*3\r\n$1\r\n1\r\n$-1\r\n$1\r\n3\r\n");
    client.ask(&["HMGET", "none", "a"], "*1\r\n$-1\r\n");
    let all = "*6\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\n3\r\n$1\r\nc\r\n$1\r\n5\r\n";
    client.ask(&["HGETALL", "h"], all);
    client.ask(&["HGETALL", "none"], "*0\r\n");
    client.ask(&["HKEYS", "h"], "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
    client.ask(&["HVALS", "h"], "*3\r\n$1\r\n1\r\n$1\r\n3\r\n$1\r\n5\r\n");
    client.ask(&["HLEN", "h"], ":3\r\n");
    client.ask(&["HLEN", "none"], ":0\r\n");
    client.ask(&["HEXISTS", "h", "a"], ":1\r\n");
    client.ask(&["HEXISTS", "h", "none"], ":0\r\n");
    client.ask(&["HSTRLEN", "h", "a"], ":1\r\n");
    client.ask(&["HSTRLEN", "none", "a"], ":0\r\n");
    client.ask(&["HMSET", "h", "d", "", "a", "x"], "+OK\r\n");
    client.ask(&["HGET", "h", "d"], "$0\r\n\r\n");
    client.ask(&["HDEL", "h", "a", "a", "none", "d"], ":2\r\n");
    client.ask(&["HDEL", "none", "a"], ":0\r\n");
    client.ask(&["HDEL", "h", "b", "c"], ":2\r\n");
    client.ask(&["EXISTS", "h"], ":0\r\n");
    client.ask(&["HLEN", "h"], ":0\r\n");
    client.ask(&["HSET", "h", "a"], "-ERR wrong number of arguments for 'hset' command\r\n");
    let odd = "-ERR wrong number of arguments for 'hset' command\r\n";
    client.ask(&["HSET", "h", "a", "1", "b"], odd);
    let limit = "-ERR a key has 1 to 4096 bytes, this one has 0\r\n";
    client.ask(&["HGET", "", "a"], limit);
    client.ask(&["HSET", "", "a", "1"], limit);
}

#[test]
fn keys_and_hashes_of_the_same_name_do_not_meet() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    client.ask(&["HSET", "n", "f", "v"], ":1\r\n");
    client.ask(&["TYPE", "n"], "+hash\r\n");
    client.ask(&["TTL", "n"], ":-1\r\n");
    client.ask(&["GET", "n"], NULL);
    client.ask(&["EXISTS", "n", "none"], ":1\r\n");
    client.ask(&["DBSIZE"], ":0\r\n");
    client.ask(&["SET", "n", "string"], "+OK\r\n");
    client.ask(&["TYPE", "n"], "+string\r\n");
    client.ask(&["EXISTS", "n"], ":2\r\n");
    client.ask(&["HGET", "n", "f"], "$1\r\nv\r\n");
    client.ask(&["GET", "n"], "$6\r\nstring\r\n");
    client.ask(&["SCAN", "0"], "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nn\r\n");
    client.ask(&["DEL", "n"], ":2\r\n");
    client.ask(&["DEL", "n"], ":0\r\n");
    client.ask(&["TYPE", "n"], "+none\r\n");
    client.ask(&["HSET", "a", "f", "v"], ":1\r\n");
    client.ask(&["SET", "b", "v"], "+OK\r\n");
    client.ask(&["UNLINK", "a", "b", "a", "none"], ":2\r\n");
    client.ask(&["HLEN", "a"], ":0\r\n");
}

#[test]
fn a_pipeline_of_hashes_is_answered_in_order_and_reads_its_own_writes() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    let (mut sent, mut expected) = (Vec::new(), String::new());
    for round in 0..200 {
        let value = format!("{round:03}");
        sent.extend(array(&["HSET", "h", "f", &value, "g", "x"]));
        sent.extend(array(&["SET", "k", &value]));
        sent.extend(array(&["HSET", "h", "f", &value]));
        sent.extend(array(&["HDEL", "h", "g", ""]));
        sent.extend(array(&["HDEL", "h", ""]));
        sent.extend(array(&["HGETALL", "h"]));
        sent.extend(array(&["DEL", "h", "k"]));
        expected += ":2\r\n+OK\r\n:0\r\n:1\r\n:0\r\n";
        expected += &format!("*2\r\n$1\r\nf\r\n$3\r\n{value}\r\n:2\r\n");
    }
    client.send(&sent);
    client.expect(&expected);
}

#[test]
fn a_field_is_text_and_a_value_is_not() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    client.send(b"*4\r\n$4\r\nHSET\r\n$1\r\nh\r\n$1\r\nf\r\n$3\r\n\x00\xff\n\r\n");
    client.expect(":1\r\n");
    client.ask(&["HGET", "h", "f"], b"$3\r\n\x00\xff\n\r\n");
    let refusal = "-ERR a field's name is UTF-8 text of 1 to 255 bytes\r\n";
    client.send(b"*4\r\n$4\r\nHSET\r\n$1\r\nh\r\n$1\r\n\xff\r\n$1\r\nv\r\n");
    client.expect(refusal);
    let long = "n".repeat(256);
    client.ask(&["HSET", "h", &long, "v"], refusal);
    client.ask(&["HSET", "h", "", "v"], refusal);
    client.ask(&["HGET", "h", &long], NULL);
    client.send(b"*3\r\n$7\r\nHEXISTS\r\n$1\r\nh\r\n$1\r\n\xff\r\n");
    client.expect(":0\r\n");
    client.ask(&["HLEN", "h"], ":1\r\n");
    let mut many = vec!["HSET".to_owned(), "h".to_owned()];
    (0..4_097).for_each(|field| many.extend([field.to_string(), String::new()]));
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let refusal = "-ERR an update of a row names 1 to 4096 columns, this one names 4097\r\n";
    client.ask(&many, refusal);
}

#[test]
fn hscan_sees_every_field_once_with_any_count_and_pattern() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    for field in 0..57 {
        client.ask(&["HSET", "h", &format!("f{field:02}"), &format!("{field}")], ":1\r\n");
    }
    for (count, pattern, expected) in [("1", "*", 57), ("7", "f1*", 10), ("100", "*5", 6)] {
        let (mut fields, mut cursor) = (Vec::new(), "0".to_owned());
        loop {
            client.send(array(&["HSCAN", "h", &cursor, "MATCH", pattern, "COUNT", count]));
            assert_eq!(client.line(), "*2");
            cursor = client.bulk();
            let parts: usize = client.line()[1..].parse().unwrap();
            for _ in 0..parts / 2 {
                let (field, value) = (client.bulk(), client.bulk());
                assert_eq!(field, format!("f{:02}", value.parse::<u32>().unwrap()));
                fields.push(field);
            }
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(fields.len(), expected, "{count} {pattern}");
        assert!(fields.windows(2).all(|pair| pair[0] < pair[1]));
    }
    client.send(array(&["HSCAN", "h", "0", "COUNT", "5"]));
    assert_eq!(client.line(), "*2");
    let cursor = client.bulk();
    assert_eq!(client.line(), "*10");
    (0..10).for_each(|_| drop(client.bulk()));
    let unknown = "-ERR this cursor is unknown or too old; begin again with SCAN 0\r\n";
    client.ask(&["HSCAN", "other", &cursor], unknown);
    client.ask(&["HSCAN", "h", "7"], unknown);
    client.ask(&["HSCAN", "h", "x"], "-ERR invalid cursor\r\n");
    client.ask(&["HSCAN", "h", "0", "COUNT", "0"], "-ERR syntax error\r\n");
    client.ask(&["HSCAN", "h", "0", "COUNT"], "-ERR syntax error\r\n");
    client.ask(&["HSCAN", "none", "0"], "*2\r\n$1\r\n0\r\n*0\r\n");
    let bare = "*2\r\n$1\r\n0\r\n*1\r\n$3\r\nf07\r\n";
    client.ask(&["HSCAN", "h", "0", "NOVALUES", "COUNT", "100", "MATCH", "f07"], bare);
}

#[test]
fn a_hash_in_the_third_protocol_is_a_map() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    client.ask(&["HSET", "h", "f", "v"], ":1\r\n");
    client.send(array(&["HELLO", "3"]));
    while client.line() != "*0" {}
    client.ask(&["HGETALL", "h"], "%1\r\n$1\r\nf\r\n$1\r\nv\r\n");
    client.ask(&["HGET", "h", "none"], "_\r\n");
}

#[test]
fn a_node_that_follows_reads_hashes_and_refuses_to_change_them() {
    let role = Role::Edge { hub: Address { host: "hub.example".into(), port: 4003 } };
    let running = Running::start(Setting { role, ..Setting::default() });
    let client = &mut running.resp_client();
    let refusal =
        "-READONLY this node only reads; write to the hub whose link is hub.example:4003\r\n";
    client.ask(&["HSET", "h", "f", "v"], refusal);
    client.ask(&["HMSET", "h", "f", "v"], refusal);
    client.ask(&["HDEL", "h", "f"], refusal);
    client.ask(&["HGET", "h", "f"], NULL);
    client.ask(&["HGETALL", "h"], "*0\r\n");
}
