//! Redis' transactions, by the clients that people have, and under SIGKILL.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use unison_base::prng::Prng;
use unison_e2e::clients;
use unison_e2e::node::Node;
use unison_e2e::resp::{Answer, Client};

const KILLS: u64 = 12;
/// Long runs are for machines with time; set the number of kills here.
const KILLS_VARIABLE: &str = "UNISON_TEST_EXEC_KILLS";
/// Threads of writers, each with keys of its own, which are always equal.
const WRITERS: u64 = 3;

#[test]
fn redis_py_has_its_transactions() {
    let root = tempfile::tempdir().unwrap();
    let hub = Node::hub(root.path());
    let edge = Node::edge(root.path(), "edge", &hub.address("link"));
    let _ = clients::run("redis_transactions.py", &[&hub.address("resp"), &edge.address("resp")]);
}

#[test]
fn redis_cli_has_its_transactions() {
    let root = tempfile::tempdir().unwrap();
    let hub = Node::hub(root.path());
    let address = hub.address("resp");
    let (host, port) = address.rsplit_once(':').unwrap();
    let mut cli = Command::new("redis-cli");
    cli.args(["-h", host, "-p", port]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut cli = cli.spawn().expect("redis-cli is installed");
    let said =
        "WATCH k\nMULTI\nSET k v\nINCR k\nGET k\nEXEC\nEXEC\nMULTI\nSET k w\nDISCARD\nGET k\n";
    cli.stdin.take().unwrap().write_all(said.as_bytes()).unwrap();
    let heard = String::from_utf8(cli.wait_with_output().unwrap().stdout).unwrap();
    let heard: Vec<&str> = heard.lines().filter(|line| !line.is_empty()).collect();
    let wanted = [
        "OK",
        "OK",
        "QUEUED",
        "QUEUED",
        "QUEUED",
        "OK",
        "ERR value is not an integer or out of range",
        "v",
        "ERR EXEC without MULTI",
        "OK",
        "QUEUED",
        "OK",
        "v",
    ];
    assert_eq!(heard, wanted);
}

fn words(text: &str) -> Vec<&[u8]> {
    text.split(' ').map(str::as_bytes).collect()
}

/// What one transaction says everywhere, or `None` when the node has gone.
fn exec(client: &mut Client, commands: &[String]) -> Option<Vec<Answer>> {
    client.send(&[b"MULTI"]).ok()?;
    commands.iter().try_for_each(|command| client.send(&words(command))).ok()?;
    client.send(&[b"EXEC"]).ok()?;
    for _ in 0..=commands.len() {
        client.answer().ok()?;
    }
    match client.answer().ok()? {
        Answer::Array(answers) => Some(answers),
        other => panic!("{other:?}"),
    }
}

/// Writes the same number under two keys and into a row, each time the next one.
fn write(address: &str, writer: u64, acknowledged: &AtomicU64, stop: &AtomicBool) {
    let Ok(mut client) = Client::connect(address) else { return };
    let mut number = acknowledged.load(Ordering::Relaxed) + 1;
    while !stop.load(Ordering::Relaxed) {
        let commands = [
            format!("SET left:{writer} {number}"),
            format!("GET left:{writer}"),
            format!("HSET row:{writer} left {number} n:{} 1", number % 50),
            format!("SET right:{writer} {number}"),
        ];
        let Some(answers) = exec(&mut client, &commands) else { return };
        assert_eq!(answers[1], Answer::Bulk(Some(number.to_string().into_bytes())));
        acknowledged.store(number, Ordering::Relaxed);
        number += 1;
    }
}

/// The number that is under both keys and in the row, which must be one.
fn read(client: &mut Client, writer: u64) -> Option<u64> {
    let commands =
        [format!("MGET left:{writer} right:{writer}"), format!("HGET row:{writer} left")];
    let answers = exec(client, &commands)?;
    let Answer::Array(both) = &answers[0] else { panic!("{answers:?}") };
    assert!(both[0] == both[1] && both[0] == answers[1], "half a transaction: {answers:?}");
    let Answer::Bulk(number) = &answers[1] else { panic!("{answers:?}") };
    let number = number.as_ref().map_or("0", |number| std::str::from_utf8(number).unwrap());
    Some(number.parse().unwrap())
}

fn read_all(node: &Node) -> Vec<u64> {
    let mut client = node.resp();
    (0..WRITERS).map(|writer| read(&mut client, writer).unwrap()).collect()
}

#[test]
fn an_exec_is_there_whole_or_not_at_all_after_a_kill() {
    let kills = std::env::var(KILLS_VARIABLE).map_or(KILLS, |text| text.parse().expect("a number"));
    let root = tempfile::tempdir().unwrap();
    let mut hub = Node::hub(root.path());
    let mut edge = Node::edge(root.path(), "edge", &hub.address("link"));
    let acknowledged: Vec<AtomicU64> = (0..WRITERS).map(|_| AtomicU64::new(0)).collect();
    let mut prng = Prng::new(7_001);
    for round in 0..kills {
        let stop = AtomicBool::new(false);
        let (hub_address, edge_address) = (hub.address("resp"), edge.address("resp"));
        std::thread::scope(|scope| {
            for (writer, acknowledged) in (0..).zip(&acknowledged) {
                let (address, stop) = (&hub_address, &stop);
                scope.spawn(move || write(address, writer, acknowledged, stop));
            }
            scope.spawn(|| {
                let Ok(mut client) = Client::connect(&edge_address) else { return };
                while !stop.load(Ordering::Relaxed) {
                    if (0..WRITERS).any(|writer| read(&mut client, writer).is_none()) {
                        return;
                    }
                }
            });
            std::thread::sleep(Duration::from_millis(prng.between(50, 400)));
            if round % 3 == 2 {
                edge.kill()
            } else {
                hub.kill()
            }
            stop.store(true, Ordering::Relaxed);
        });
        if round % 3 == 2 {
            edge.kill_and_restart()
        } else {
            hub.kill_and_restart()
        }
        for (found, acknowledged) in read_all(&hub).into_iter().zip(&acknowledged) {
            let before = acknowledged.swap(found, Ordering::Relaxed);
            assert!(found == before || found == before + 1, "{before} became {found}");
        }
        let _ = read_all(&edge);
    }
    let written: u64 = acknowledged.iter().map(|number| number.load(Ordering::Relaxed)).sum();
    println!("{kills} kills among {written} transactions");
    assert!(written > 10 * kills, "too few transactions between the kills to mean anything");
}
