//! What is too much for one transaction.

use super::{QUEUED, begin, exec};
use crate::running::{Client, Running, Setting, array};
use unison_base::limits::VALUE_MAX;
use unison_engine::EngineOptions;

const ABORTED: &str = "-EXECABORT Transaction discarded because of previous errors.\r\n";

/// Whether a transaction of that many commands is done in time.
fn counts(client: &mut Client, commands: usize) -> bool {
    client.ask(&["MULTI"], "+OK\r\n");
    for _ in 0..10 {
        client.send(array(&["INCR", "n"]).repeat(commands / 10));
        client.expect(QUEUED.repeat(commands / 10));
    }
    client.send(array(&["EXEC"]));
    let head = client.line();
    if head != format!("*{commands}") {
        assert_eq!(head, "-ERR a transaction takes at most 1 second; nothing of it has happened");
        return false;
    }
    let replies: String = (1..=commands).map(|number| format!(":{number}\r\n")).collect();
    client.expect(replies);
    true
}

/// A slow machine may need longer for the most of them than a transaction may take, and a busy one now
/// and then for few.
#[test]
fn many_small_commands_are_one_transaction() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    let numbers = [50_000, 25_000].into_iter().chain([11_000; 60]);
    assert!(numbers.into_iter().any(|commands| counts(client, commands)), "11,000 take too long");
}

#[test]
fn arguments_and_bytes_are_bounded_and_named() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    let words = [["EXISTS"].as_slice(), ["k"; 19_999].as_slice()].concat();
    client.ask(&["MULTI"], "+OK\r\n");
    client.ask(&["SET", "n", "1"], QUEUED);
    (1..50).for_each(|_| client.ask(&words, QUEUED));
    let refusal = "-ERR a transaction has at most 1000000 arguments; send it in parts\r\n";
    client.ask(&words, refusal);
    client.ask(&["EXEC"], ABORTED);
    client.ask(&["EXISTS", "n"], ":0\r\n");
    client.ask(&["MULTI"], "+OK\r\n");
    let value = "v".repeat(VALUE_MAX / 2);
    client.ask(&["SET", "k", &value], QUEUED);
    // Half a segment here.
    client.send(array(&["SET", "l", &value]));
    let refusal = "-ERR a transaction has at most 4194304 bytes of arguments; send it in parts\r\n";
    client.expect(refusal);
    client.ask(&["EXEC"], ABORTED);
}

#[test]
fn a_transaction_of_many_large_commands_goes_through_segments_and_flushes() {
    let engine = EngineOptions {
        segment_bytes: 16 << 20,
        memtable_bytes: 64 << 10,
        ..EngineOptions::default()
    };
    let running = Running::start(Setting { engine, ..Setting::default() });
    let client = &mut running.resp_client();
    let value = "v".repeat(1 << 20);
    for round in 0..12 {
        let keys: Vec<String> = (0..7).map(|key| format!("{round}-{key}")).collect();
        let commands: Vec<[&str; 3]> =
            keys.iter().map(|key| ["SET", key.as_str(), value.as_str()]).collect();
        let commands: Vec<&[&str]> = commands.iter().map(<[&str; 3]>::as_slice).collect();
        exec(client, &commands, &["+OK\r\n"; 7]);
    }
    client.ask(&["DBSIZE"], ":84\r\n");
}

#[test]
fn replies_and_values_made_are_bounded_and_nothing_happens_then() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    let value = "v".repeat(VALUE_MAX - 10);
    client.ask(&["SET", "big", &value], "+OK\r\n");
    let get = ["GET", "big"].as_slice();
    let mut commands = vec![get; 18];
    commands.push(&["SET", "k", "v"]);
    begin(client, &commands);
    let refusal = "-ERR the replies of a transaction have at most 67108864 bytes; nothing of it has \
                   happened\r\n";
    client.ask(&["EXEC"], refusal);
    let append = ["APPEND", "big", "x"].as_slice();
    begin(client, &[append; 4]);
    let refusal = "-ERR values that a transaction makes of those before have at most 8388608 bytes; \
                   nothing of it has happened\r\n";
    client.ask(&["EXEC"], refusal);
    client.ask(&["EXISTS", "k"], ":0\r\n");
    client.ask(&["STRLEN", "big"], format!(":{}\r\n", value.len()));
    exec(client, &[append], &[&format!(":{}\r\n", value.len() + 1)]);
}

#[test]
fn keys_that_are_watched_are_bounded() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    let keys: Vec<String> = (0..10_001).map(|number| format!("k{number}")).collect();
    let words: Vec<&str> = ["WATCH"].into_iter().chain(keys.iter().map(String::as_str)).collect();
    let refusal = "-ERR at most 10000 keys of 1048576 bytes are watched at a time\r\n";
    client.ask(&words, refusal);
    exec(client, &[], &[]);
}

#[test]
fn values_of_one_answer_are_bounded() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    let value = "v".repeat(VALUE_MAX);
    client.ask(&["SET", "big", &value], "+OK\r\n");
    client.ask(&["HSET", "row", "big", &value], ":1\r\n");
    let refusal = "-ERR the values have 71303168 bytes, an answer at most 67108864; ask for fewer at a time\r\n";
    client.ask(&[["MGET"].as_slice(), ["big"; 17].as_slice()].concat(), refusal);
    client.ask(&[["HMGET", "row"].as_slice(), ["big"; 17].as_slice()].concat(), refusal);
}
