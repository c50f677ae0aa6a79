//! What a hostile or unlucky client meets.

use super::running::{Client, Running, Setting, array};
use std::time::{Duration, Instant};
use unison_base::limits::{KEY_MAX, VALUE_MAX};

#[test]
fn the_largest_value_goes_in_and_out_and_one_byte_more_is_refused_by_name() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    let value = "v".repeat(VALUE_MAX);
    client.ask(&["SET", "k", &value], "+OK\r\n");
    client.ask(&["GET", "k"], format!("${VALUE_MAX}\r\n{value}\r\n"));
    let pipelined = 20;
    client.send(array(&["GET", "k"]).repeat(pipelined));
    client.expect(format!("${VALUE_MAX}\r\n{value}\r\n").repeat(pipelined));
    client.send(format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n", VALUE_MAX + 1));
    let refusal = "-ERR value of 4194305 bytes is above the limit of 4194304 (value)\r\n";
    assert_eq!(client.rest(), refusal.as_bytes());
}

#[test]
fn a_key_of_a_hundred_megabytes_is_refused_from_its_header() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    client.send("*2\r\n$3\r\nGET\r\n$104857600\r\n");
    // A client that goes on sending still gets to read why.
    client.send(vec![b'k'; 3 << 20]);
    let refusal = "-ERR value of 104857600 bytes is above the limit of 4194304 (value)\r\n";
    client.expect(refusal);
    assert_eq!(client.rest(), b"");
    running.resp_client().ask(&["PING"], "+PONG\r\n");
}

#[test]
fn keys_and_batches_above_their_limits_are_refused_and_the_connection_lives() {
    let running = Running::hub();
    let client = &mut running.resp_client();
    let key = "k".repeat(KEY_MAX);
    client.ask(&["SET", &key, "v"], "+OK\r\n");
    client.ask(&["GET", &key], "$1\r\nv\r\n");
    let long = "k".repeat(KEY_MAX + 1);
    let refusal = "-ERR a key has 1 to 4096 bytes, this one has 4097\r\n";
    client.ask(&["SET", &long, "v"], refusal);
    client.ask(&["GET", &long], refusal);
    client.ask(&["SET", "", "v"], "-ERR a key has 1 to 4096 bytes, this one has 0\r\n");
    let half = "v".repeat(VALUE_MAX / 2 + 1);
    client.send(array(&["MSET", "a", &half, "b", &half]));
    assert!(client.line().starts_with("-ERR a batch has at most 4194304 bytes"));
    client.ask(&["SET", "big", &half], "+OK\r\n");
    client.send(array(&["APPEND", "big", &half]));
    assert!(client.line().starts_with("-ERR the value would be above the limit of 4194304"));
    client.ask(&["EXISTS", "a", "b"], ":0\r\n");
}

#[test]
fn protocol_errors_answer_everything_before_them_and_end_the_connection() {
    let running = Running::hub();
    for (sent, error) in [
        ("*1\r\n:1\r\n", "-ERR Protocol error: expected '$', got ':'\r\n"),
        (
            "*999999999\r\n",
            "-ERR Protocol error: 999999999 arguments are above the limit of 20001\r\n",
        ),
        ("*1\r\n$-5\r\n", "-ERR Protocol error: invalid bulk length\r\n"),
        ("GET \"\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"),
    ] {
        let client = &mut running.resp_client();
        client.send([array(&["SET", "k", "v"]), sent.into()].concat());
        assert_eq!(client.rest(), format!("+OK\r\n{error}").into_bytes(), "{sent}");
    }
    let browser = &mut running.resp_client();
    browser.send("POST / HTTP/1.1\r\nHost: x\r\n\r\nSET k evil\r\n");
    assert_eq!(String::from_utf8(browser.rest()).unwrap().lines().count(), 1);
    running.resp_client().ask(&["GET", "k"], "$1\r\nv\r\n");
}

#[test]
fn a_connection_above_the_limit_is_told_the_limit() {
    let running = Running::start(Setting { connections_max: 2, ..Setting::default() });
    let mut held: Vec<Client> = (0..2).map(|_| running.resp_client()).collect();
    held.iter_mut().for_each(|client| client.ask(&["PING"], "+PONG\r\n"));
    let refusal = b"-ERR max number of clients reached, the limit is 2 connections\r\n";
    assert_eq!(running.resp_client().rest(), refusal);
    drop(held.pop());
    let began = Instant::now();
    loop {
        let mut client = running.resp_client();
        client.send(array(&["PING"]));
        if client.line() == "+PONG" {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30));
    }
}

#[test]
fn a_command_a_byte_at_a_time_is_dropped_in_time_when_places_are_scarce() {
    let running = Running::start(Setting { connections_max: 5, ..Setting::default() });
    let _idle = [running.resp_client(), running.resp_client()];
    let mut slow = [running.resp_client(), running.resp_client()];
    let began = Instant::now();
    let command = array(&["SET", "k", &"v".repeat(100_000)]);
    let mut sent = 0;
    while began.elapsed() < Duration::from_secs(9) {
        slow[0].send(&command[sent..=sent]);
        sent += 1;
        if sent == 1 {
            slow[1].send("*1");
        }
        // Whoever is quick is served all the while.
        running.resp_client().ask(&["PING"], "+PONG\r\n");
        std::thread::sleep(Duration::from_millis(100));
    }
    std::thread::sleep(Duration::from_millis(1_500));
    let _ = std::io::Write::write_all(&mut slow[0].0, &command[sent..=sent]);
    for client in &mut slow {
        assert_eq!(client.rest(), b"");
    }
    assert!(began.elapsed() < Duration::from_secs(14), "{:?}", began.elapsed());
}

#[test]
fn stopping_answers_what_was_asked_and_ends_idle_connections() {
    let running = Running::hub();
    let idle = &mut running.resp_client();
    idle.ask(&["PING"], "+PONG\r\n");
    let half = &mut running.resp_client();
    half.send("*1\r\n$4\r\nPI");
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(running.stop(), 0);
    assert_eq!((idle.rest(), half.rest()), (Vec::new(), Vec::new()));
    assert!(std::net::TcpStream::connect(running.resp).is_err());
}
