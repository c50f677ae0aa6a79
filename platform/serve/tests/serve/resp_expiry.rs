//! Keys and hashes that expire, in RESP.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::running::{Client, Running, array};

const NULL: &str = "$-1\r\n";

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn number(client: &mut Client, words: &[&str]) -> i64 {
    client.send(array(words));
    let line = client.line();
    line.trim_start_matches(':').trim().parse().unwrap_or_else(|_| panic!("{words:?}: {line}"))
}

/// It lives for this many seconds, less what a slow machine took to ask.
fn nearly(client: &mut Client, name: &str, seconds: i64) {
    let left = number(client, &["TTL", name]);
    assert!((seconds - 30..=seconds).contains(&left), "{name}: {left} of {seconds}");
}

/// Waits until the answer is this one; what expires does so within moments.
fn soon(client: &mut Client, words: &[&str], wanted: i64) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while number(client, words) != wanted {
        assert!(Instant::now() < deadline, "{words:?} is not {wanted}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn set_takes_times_and_ttl_tells_them() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    client.ask(&["SET", "a", "1", "EX", "100"], "+OK\r\n");
    nearly(client, "a", 100);
    assert!((70_000..=100_000).contains(&number(client, &["PTTL", "a"])));
    let end = number(client, &["EXPIRETIME", "a"]) - i64::try_from(now_s()).unwrap();
    assert!((70..=101).contains(&end), "{end}");
    assert!(number(client, &["PEXPIRETIME", "a"]) > 1_700_000_000_000);
    client.ask(&["SET", "a", "2"], "+OK\r\n");
    client.ask(&["TTL", "a"], ":-1\r\n");
    client.ask(&["TTL", "none"], ":-2\r\n");
    client.ask(&["EXPIRETIME", "none"], ":-2\r\n");
    client.ask(&["SETEX", "b", "50", "x"], "+OK\r\n");
    client.ask(&["SET", "b", "y", "KEEPTTL"], "+OK\r\n");
    nearly(client, "b", 50);
    client.ask(&["SET", "b", "z", "KEEPTTL", "GET"], "$1\r\ny\r\n");
    client.ask(&["SET", "none", "z", "XX", "KEEPTTL"], NULL);
    client.ask(&["SET", "b", "z", "NX", "GET", "EX", "55"], "$1\r\nz\r\n");
    client.ask(&["SET", "n", "z", "NX", "GET", "EX", "55"], NULL);
    nearly(client, "n", 55);
    client.ask(&["PSETEX", "c", "60000", "7"], "+OK\r\n");
    client.ask(&["INCR", "c"], ":8\r\n");
    nearly(client, "c", 60); // INCR keeps it
    client.ask(&["SET", "d", "1", "EXAT", "1"], "+OK\r\n");
    client.ask(&["GET", "d"], NULL);
    client.ask(&["GETSET", "c", "1"], "$1\r\n8\r\n");
    client.ask(&["TTL", "c"], ":-1\r\n");
}

#[test]
fn expire_and_persist_change_keys_and_hashes() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    client.ask(&["EXPIRE", "none", "10"], ":0\r\n");
    client.ask(&["SET", "a", "1"], "+OK\r\n");
    client.ask(&["HSET", "h", "f", "v"], ":1\r\n");
    for name in ["a", "h"] {
        client.ask(&["PERSIST", name], ":0\r\n");
        client.ask(&["EXPIRE", name, "10", "XX"], ":0\r\n");
        client.ask(&["EXPIRE", name, "10", "GT"], ":0\r\n");
        client.ask(&["EXPIRE", name, "100", "NX"], ":1\r\n");
        client.ask(&["EXPIRE", name, "10", "NX"], ":0\r\n");
        client.ask(&["PEXPIRE", name, "200000", "LT"], ":0\r\n");
        client.ask(&["PEXPIRE", name, "200000", "GT"], ":1\r\n");
        nearly(client, name, 200);
        client.ask(&["EXPIREAT", name, &(now_s() + 50).to_string(), "XX", "LT"], ":1\r\n");
        nearly(client, name, 50);
        client.ask(&["PERSIST", name], ":1\r\n");
        client.ask(&["TTL", name], ":-1\r\n");
        client.ask(&["EXPIRE", name, "-1"], ":1\r\n");
        client.ask(&["EXISTS", name], ":0\r\n");
    }
    client.ask(&["HSET", "h", "f", "v"], ":1\r\n");
    client.ask(&["EXPIRE", "h", "100"], ":1\r\n");
    client.ask(&["HSET", "h", "g", "w"], ":1\r\n");
    nearly(client, "h", 100); // HSET keeps it
    client.ask(&["GETEX", "h"], NULL);
    client.ask(&["SET", "a", "1"], "+OK\r\n");
    client.ask(&["GETEX", "a", "EX", "70"], "$1\r\n1\r\n");
    nearly(client, "a", 70);
    client.ask(&["GETEX", "a"], "$1\r\n1\r\n");
    client.ask(&["GETEX", "a", "PERSIST"], "$1\r\n1\r\n");
    client.ask(&["TTL", "a"], ":-1\r\n");
    client.ask(&["GETEX", "none", "EX", "70"], NULL);
}

#[test]
fn what_has_expired_is_gone_for_every_command() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    client.ask(&["SET", "stays", "1"], "+OK\r\n");
    client.ask(&["SET", "a", "1", "EX", "300"], "+OK\r\n");
    client.ask(&["HSET", "h", "f", "v", "g", "w"], ":2\r\n");
    client.ask(&["DBSIZE"], ":2\r\n");
    client.ask(&["PEXPIRE", "a", "20"], ":1\r\n");
    client.ask(&["PEXPIRE", "h", "20"], ":1\r\n");
    soon(client, &["EXISTS", "a", "h"], 0);
    client.ask(&["GET", "a"], NULL);
    client.ask(&["MGET", "a", "stays"], "*2\r\n$-1\r\n$1\r\n1\r\n");
    client.ask(&["STRLEN", "a"], ":0\r\n");
    client.ask(&["TYPE", "a"], "+none\r\n");
    client.ask(&["TTL", "a"], ":-2\r\n");
    client.ask(&["DBSIZE"], ":1\r\n");
    client.ask(&["KEYS", "*"], "*1\r\n$5\r\nstays\r\n");
    client.ask(&["SCAN", "0"], "*2\r\n$1\r\n0\r\n*1\r\n$5\r\nstays\r\n");
    client.ask(&["HGET", "h", "f"], NULL);
    client.ask(&["HGETALL", "h"], "*0\r\n");
    client.ask(&["HLEN", "h"], ":0\r\n");
    client.ask(&["DEL", "a", "h"], ":0\r\n");
    client.ask(&["PERSIST", "a"], ":0\r\n");
    client.ask(&["SET", "a", "2", "XX"], NULL);
    client.ask(&["SET", "a", "2", "NX"], "+OK\r\n");
    client.ask(&["HSET", "h", "f", "x"], ":1\r\n");
    client.ask(&["HGETALL", "h"], "*2\r\n$1\r\nf\r\n$1\r\nx\r\n");
    client.ask(&["TTL", "h"], ":-1\r\n");
    // The watermark follows by itself, so that replicas without a clock know too.
    client.ask(&["SET", "b", "1", "PX", "100"], "+OK\r\n");
    let namespace = running.store.namespace("default").unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while namespace.reader().at(0).get(b"b").unwrap().is_some() {
        assert!(Instant::now() < deadline, "the watermark was not raised");
        std::thread::sleep(Duration::from_millis(20));
    }
    let newest = namespace.reader().applied();
    std::thread::sleep(Duration::from_millis(4_500));
    assert_eq!(namespace.reader().applied(), newest, "nothing is due, nothing is written");
}

#[test]
fn refusals_are_worded_as_redis_words_them() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    for (words, why) in [
        (&["SET", "a", "1", "EX", "0"][..], "invalid expire time in 'set' command"),
        (&["SET", "a", "1", "PX", "-5"], "invalid expire time in 'set' command"),
        (&["SET", "a", "1", "EX", "9223372036854775807"], "invalid expire time in 'set' command"),
        (&["SET", "a", "1", "EX", "ten"], "value is not an integer or out of range"),
        (&["SET", "a", "1", "EX"], "syntax error"),
        (&["SET", "a", "1", "EX", "1", "PX", "1"], "syntax error"),
        (&["SET", "a", "1", "KEEPTTL", "EX", "1"], "syntax error"),
        (&["SETEX", "a", "0", "1"], "invalid expire time in 'setex' command"),
        (&["PSETEX", "a", "0", "1"], "invalid expire time in 'psetex' command"),
        (&["SETEX", "a", "x", "1"], "value is not an integer or out of range"),
        (&["EXPIRE", "a", "x"], "value is not an integer or out of range"),
        (&["EXPIRE", "a", "9223372036854775807"], "invalid expire time in 'expire' command"),
        (&["SET", "a", "1", "EX", "ten", "PX", "1"], "syntax error"),
        (&["PSETEX", "a", "9223372036854775807", "1"], "invalid expire time in 'psetex' command"),
        (&["PEXPIRE", "a", "9223372036854775807"], "invalid expire time in 'pexpire' command"),
        (&["EXPIRE", "a", "007"], "value is not an integer or out of range"),
        (&["EXPIRE", "a", "1", "ZZ"], "Unsupported option ZZ"),
        (&["EXPIRE", "a", "ten", "ZZ"], "Unsupported option ZZ"),
        (
            &["EXPIRE", "a", "1", "NX", "GT"],
            "NX and XX, GT or LT options at the same time are not compatible",
        ),
        (
            &["EXPIRE", "a", "1", "GT", "LT"],
            "GT and LT options at the same time are not compatible",
        ),
        (&["GETEX", "a", "EX"], "syntax error"),
        (&["GETEX", "a", "PERSIST", "x"], "syntax error"),
        (&["EXPIRE", "a"], "wrong number of arguments for 'expire' command"),
    ] {
        client.ask(words, format!("-ERR {why}\r\n"));
    }
}

#[test]
fn a_time_given_twice_counts_the_second_time_and_is_looked_at_when_there_is_a_key() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    client.ask(&["GETEX", "a", "EX", "0"], "$-1\r\n");
    client.ask(&["SET", "a", "1", "EX", "ten", "EX", "99999999999"], "+OK\r\n");
    client.ask(&["GETEX", "a", "EX", "0"], "-ERR invalid expire time in 'getex' command\r\n");
}

#[test]
fn info_counts_what_expires() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    let line = |client: &mut Client| {
        client.send(array(&["INFO", "keyspace"]));
        client.bulk().lines().find(|line| line.starts_with("db0:")).map(str::to_owned)
    };
    assert_eq!(line(client), None);
    client.ask(&["MSET", "a", "1", "b", "1", "c", "1"], "+OK\r\n");
    assert_eq!(line(client).unwrap(), "db0:keys=3,expires=0,avg_ttl=0");
    assert_eq!(number(client, &["EXPIRE", "a", "100"]), 1);
    assert_eq!(number(client, &["EXPIRE", "b", "300"]), 1);
    assert_eq!(number(client, &["HSET", "row", "f", "1"]), 1);
    assert_eq!(number(client, &["EXPIRE", "row", "300"]), 1);
    let told = line(client).unwrap();
    let average = told.strip_prefix("db0:keys=3,expires=2,avg_ttl=").unwrap();
    assert!((140_000..=200_000).contains(&average.parse::<u64>().unwrap()), "{told}");
    assert_eq!(number(client, &["PERSIST", "a"]), 1);
    assert_eq!(number(client, &["DEL", "b"]), 1);
    assert_eq!(line(client).unwrap(), "db0:keys=2,expires=0,avg_ttl=0");
}
