//! Callers who are too many, too slow, or talk nonsense.

use crate::reply::Reply;
use crate::world::{HTTP, RESP, World};
use unison_bare::board::HeapFigures;
use unison_bare::edge::{Event, ServerKind};
use unison_base::prng::Prng;
use unison_engine::{ColumnValues, Operation, Write};

const RESP_CALLERS: usize = 4;
const HTTP_CALLERS: usize = 2;

fn ready() -> World {
    let mut world = World::new();
    world.hub().put(b"key", b"value");
    world.catch_up();
    world
}

#[test]
fn a_caller_beyond_the_limit_is_told_the_limit() {
    let mut world = ready();
    let mut callers: Vec<_> = (0..RESP_CALLERS).map(|_| world.call(RESP)).collect();
    for caller in &mut callers {
        assert_eq!(caller.ask(&mut world, "PING").text(), "PONG");
    }
    world.events.clear();
    for _ in 0..3 {
        let mut refused = world.call(RESP);
        let said = refused.rest(&mut world, 5_000);
        assert_eq!(said, b"-ERR max number of clients reached, the limit is 4 connections\r\n");
        refused.leave(&mut world);
    }
    let server = ServerKind::Resp;
    assert_eq!(world.events, [Event::CallersRefused { server, limit: 4 }]);
    assert_eq!(world.status()["connectionsRefused"]["resp"], 3);
    callers.pop().unwrap().leave(&mut world);
    assert_eq!(world.ask("PING").text(), "PONG");
    callers.into_iter().for_each(|caller| caller.leave(&mut world));
    for _ in 0..20 {
        assert_eq!(world.ask("PING").text(), "PONG");
    }
}

#[test]
fn callers_who_come_at_once_are_no_more_than_the_limit() {
    let mut world = ready();
    let mut callers: Vec<_> = (0..=RESP_CALLERS).map(|_| world.call(RESP)).collect();
    world.pass(100);
    assert_eq!(world.status()["connections"]["resp"], RESP_CALLERS);
    let over = callers.iter_mut().filter_map(|caller| caller.is_over(&mut world).then_some(()));
    assert_eq!(over.count(), 1);
}

#[test]
fn handshakes_that_nobody_completes_do_not_hold_places() {
    let mut world = ready();
    world.wire.mute_node(true);
    let silent: Vec<_> = (0..=RESP_CALLERS).map(|_| world.call(RESP).socket).collect();
    world.pass(3_000);
    silent.into_iter().for_each(|socket| world.peer.forget(socket));
    world.pass(3_000);
    world.wire.mute_node(false);
    assert_eq!(world.ask("PING").text(), "PONG");
}

#[test]
fn too_many_http_callers_are_told_to_come_back() {
    let mut world = ready();
    let callers: Vec<_> = (0..HTTP_CALLERS).map(|_| world.call(HTTP)).collect();
    world.pass(100);
    let (line, body) = world.http("GET /status");
    assert_eq!(line, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(body, r#"{"error":"too many connections, the limit is 2"}"#);
    callers.into_iter().for_each(|caller| caller.leave(&mut world));
    assert_eq!(world.http("GET /health").0, "HTTP/1.1 200 OK");
}

#[test]
fn a_half_command_that_comes_too_slowly_loses_its_place() {
    let mut world = ready();
    let mut slow: Vec<_> = (0..RESP_CALLERS).map(|_| world.call(RESP)).collect();
    for byte in b"*2\r\n$3\r\nGET\r\n$100\r\nslowly" {
        for caller in &mut slow {
            caller.say(&mut world, &[*byte]);
        }
        world.pass(1_000);
    }
    assert!(slow.iter_mut().all(|caller| caller.is_over(&mut world)));
    assert_eq!(world.ask("GET key"), Reply::Bulk(b"value".to_vec()));
    let mut quiet = world.call(RESP);
    world.pass(300_000);
    assert_eq!(quiet.ask(&mut world, "PING").text(), "PONG", "a quiet caller keeps its place");
}

#[test]
fn a_head_that_comes_too_slowly_is_answered_with_408() {
    let mut world = ready();
    let mut slow = world.call(HTTP);
    for byte in b"GET /sta" {
        slow.say(&mut world, &[*byte]);
        world.pass(1_000);
    }
    let said = slow.rest(&mut world, 10_000);
    assert!(said.starts_with(b"HTTP/1.1 408 "), "{:?}", String::from_utf8_lossy(&said));
    slow.leave(&mut world);
}

#[test]
fn a_caller_that_takes_no_replies_loses_its_place() {
    let mut world = World::with_large_values();
    world.hub().put(b"large", &vec![9; 1 << 20]);
    world.catch_up();
    let mut greedy = world.call(RESP);
    greedy.say(&mut world, b"GET large\r\nGET large\r\n");
    let socket = greedy.socket;
    world.pass(100_000);
    assert_eq!(world.status()["connections"]["resp"], 0);
    assert_eq!(world.ask("STRLEN large"), Reply::Integer(1 << 20));
    world.peer.tcp(socket).abort();
}

#[test]
fn a_large_value_arrives_whole_and_one_beyond_free_memory_is_refused() {
    let mut world = World::with_large_values();
    let value: Vec<u8> = (0..2 << 20_u32).map(|byte: u32| (byte % 251) as u8).collect();
    world.hub().put(b"large", &value);
    world.catch_up();
    assert_eq!(world.ask("GET large"), Reply::Bulk(value));
    world.board.heap.set(HeapFigures { used: 60 << 20, peak: 62 << 20, budget: 64 << 20 });
    let refused = world.ask("GET large");
    let said = "ERR an answer of 2097152 bytes is more than this node's free memory; ask for less";
    assert_eq!(refused.text(), said);
    assert_eq!(world.ask("GETRANGE large 0 3").text(), said);
    assert_eq!(world.ask("STRLEN large"), Reply::Integer(2 << 20));
}

#[test]
fn a_command_that_is_too_large_is_refused_with_the_limit() {
    let mut world = ready();
    let mut caller = world.call(RESP);
    let mut request = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$200000\r\n".to_vec();
    request.extend([b'x'; 200_000]);
    caller.say(&mut world, &request);
    let said = caller.rest(&mut world, 10_000);
    let said = String::from_utf8(said).unwrap();
    assert_eq!(said, "-ERR a command above the limit of 65536 bytes of this node (input)\r\n");
    world.peer.tcp(caller.socket).close();
    let ended = world.until(2_000, |world| !world.peer.tcp(caller.socket).is_active());
    assert!(ended, "what it still sends is read, so that it comes to its end");
}

#[test]
fn a_command_that_names_too_many_keys_is_refused() {
    let mut world = ready();
    let keys = |count: usize| " key".repeat(count);
    assert_eq!(world.ask(&format!("EXISTS{}", keys(1_000))), Reply::Integer(1_000));
    for command in ["EXISTS", "MGET", "HMGET row"] {
        let refused = world.ask(&format!("{command}{}", keys(1_100)));
        let said = "ERR a command names at most 1024 keys or fields on this node; ask for fewer";
        assert_eq!(refused.text(), said, "{command}");
    }
}

#[test]
fn pipelined_commands_are_answered_in_order() {
    let mut world = ready();
    let mut caller = world.call(RESP);
    let requests: String = (0..500).map(|number| format!("ECHO {number}\r\n")).collect();
    caller.say(&mut world, requests.as_bytes());
    for number in 0..500 {
        assert_eq!(caller.hear(&mut world).unwrap().text(), number.to_string());
    }
    caller.say(&mut world, b"PING\r\nQUIT\r\nPING\r\n");
    assert_eq!(caller.rest(&mut world, 5_000), b"+PONG\r\n+OK\r\n");
    caller.leave(&mut world);
}

/// As `nc -N` does it.
#[test]
fn a_caller_that_has_said_everything_hears_all_answers() {
    let mut world = ready();
    for (count, length) in [(1, 10), (64, 5), (65, 5), (150, 10), (60, 600)] {
        let mut caller = world.call(RESP);
        let word = "x".repeat(length);
        caller.say(&mut world, format!("ECHO {word}\r\n").repeat(count).as_bytes());
        world.peer.tcp(caller.socket).close();
        let expected = format!("${length}\r\n{word}\r\n").repeat(count);
        let said = String::from_utf8(caller.rest(&mut world, 30_000)).unwrap();
        assert!(
            said == expected,
            "{count} of {length}: {} bytes of {}",
            said.len(),
            expected.len()
        );
        caller.leave(&mut world);
    }
}

#[test]
fn garbage_on_both_ports_ends_a_connection_at_most() {
    let mut world = ready();
    let mut prng = Prng::new(11);
    for round in 0..60_usize {
        let port = if round % 2 == 0 { RESP } else { HTTP };
        let mut caller = world.call(port);
        let length = 1 + prng.below(3_000) as usize;
        let mut garbage: Vec<u8> = (0..length).map(|_| prng.next_u64() as u8).collect();
        if round % 3 == 0 {
            garbage[0] = b'*';
        }
        caller.say(&mut world, &garbage);
        world.pass(50);
        world.peer.tcp(caller.socket).abort();
        world.pass(10);
        world.peer.forget(caller.socket);
    }
    assert_eq!(world.ask("GET key"), Reply::Bulk(b"value".to_vec()));
    assert_eq!(world.http("GET /health").0, "HTTP/1.1 200 OK");
    assert_eq!(world.status()["upstream"]["connected"], true);
}

#[test]
fn what_clients_say_first_is_understood() {
    let mut world = ready();
    let mut caller = world.call(RESP);
    let hello = caller.ask(&mut world, "HELLO 2 SETNAME tool");
    assert!(hello.items().contains(&Reply::Bulk(b"replica".to_vec())), "{hello:?}");
    for (request, answer) in [
        ("CLIENT GETNAME", "tool"),
        ("CLIENT SETINFO lib-name x", "OK"),
        (
            "CLIENT KILL x",
            "ERR unknown subcommand 'KILL'. CLIENT has GETNAME ID NO-EVICT NO-TOUCH REPLY SETINFO SETNAME.",
        ),
        ("AUTH default secret", "OK"),
        ("AUTH a b c", "ERR syntax error"),
        ("HELLO 9", "NOPROTO unsupported protocol version"),
        ("CONFIG SET a b", "ERR settings are given when the node boots: boot arguments"),
        ("KEYS *", "ERR this node does not look at all keys at once; use SCAN"),
        ("FLUSHALL", "READONLY this node only reads; write to the hub whose link is 10.0.0.1:4003"),
        ("RESET", "RESET"),
    ] {
        assert_eq!(caller.ask(&mut world, request).text(), answer, "{request}");
    }
    assert_eq!(caller.ask(&mut world, "CLIENT GETNAME"), Reply::Null);
    let setting = caller.ask(&mut world, "CONFIG GET maxclients");
    assert_eq!(setting.items(), [Reply::Bulk(b"maxclients".to_vec()), Reply::Bulk(b"4".to_vec())]);
    assert_eq!(caller.ask(&mut world, "WAIT 0 100"), Reply::Integer(0));
    let Reply::Integer(41..) = caller.ask(&mut world, "COMMAND COUNT") else { panic!() };
    let info = caller.ask(&mut world, "INFO");
    for section in ["Server", "Clients", "Memory", "Persistence", "Replication", "Keyspace"] {
        assert!(info.text().contains(&format!("# {section}\r\n")), "{section} in {info:?}");
    }
    assert!(info.text().contains("db0:keys=1,"), "{info:?}");
    caller.say(&mut world, b"HELLO 3\r\nQUIT\r\n");
    assert!(caller.rest(&mut world, 5_000).starts_with(b"%7\r\n$6\r\nserver\r\n"));
    caller.leave(&mut world);
}

#[test]
fn rows_are_answered_as_hashes() {
    let mut world = World::with_large_values();
    let large = vec![5; 1 << 20];
    let columns: [(&str, &[u8]); 3] = [("a", b"1"), ("b", b"22"), ("large", &large)];
    let rows = [ColumnValues { row: b"row", columns: &columns }];
    world.hub().write(&Write::new(Operation::PutColumns(&rows)));
    world.catch_up();
    assert_eq!(world.ask("HGET row a"), Reply::Bulk(b"1".to_vec()));
    assert_eq!(world.ask("HGET row nothing"), Reply::Null);
    assert_eq!(world.ask("HLEN row"), Reply::Integer(3));
    assert_eq!(world.ask("HSTRLEN row b"), Reply::Integer(2));
    assert_eq!(world.ask("HEXISTS row b"), Reply::Integer(1));
    let two = [Reply::Bulk(b"22".to_vec()), Reply::Null];
    assert_eq!(world.ask("HMGET row b x").items(), two);
    let names: Vec<_> = ["a", "b", "large"].map(|name| Reply::Bulk(name.into())).into();
    assert_eq!(world.ask("HKEYS row"), Reply::Array(names.clone()));
    assert_eq!(world.ask("HGETALL row").items().len(), 6);
    assert_eq!(world.ask("TYPE row").text(), "hash");
    let page = world.ask("HSCAN row 0 COUNT 2");
    let [next, first] = page.items() else { panic!("{page:?}") };
    assert_eq!(first.items().len(), 4);
    let page = world.ask(&format!("HSCAN row {} NOVALUES", next.text()));
    assert_eq!(page.items(), [Reply::Bulk(b"0".to_vec()), Reply::Array(names[2..].to_vec())]);
    let refused = world.ask("HSET row a 2");
    assert_eq!(
        refused.text(),
        "READONLY this node only reads; write to the hub whose link is 10.0.0.1:4003"
    );
    world.board.heap.set(HeapFigures { used: 62 << 20, peak: 62 << 20, budget: 64 << 20 });
    for request in ["HGET row large", "HMGET row a large", "HSCAN row 0"] {
        let said = world.ask(request);
        assert!(said.text().contains("more than this node's free memory"), "{request}: {said:?}");
    }
    assert!(world.ask("HGETALL row").text().starts_with("ERR the hash has more than the limit of"));
    assert_eq!(world.ask("HGET row a"), Reply::Bulk(b"1".to_vec()));
}
