//! What cannot work is refused with a reason, an exit code, and nothing lost.

use std::process::{Command, Output};
use unison_e2e::node::{Node, program, run};
use unison_e2e::resp::Answer;

const FREE: &str = "127.0.0.1:0";

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn assert_refused(output: &Output, code: i32, says: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    for word in says {
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
    assert!(!text.contains("panicked"), "{text}");
}

fn serve(data_dir: &str) -> Output {
    run(
        "hub-node",
        &["serve", "--data-dir", data_dir, "--http", FREE, "--resp", FREE, "--link", FREE],
    )
}

#[test]
fn an_unknown_key_in_the_configuration_names_the_nearest_one() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hub.toml");
    std::fs::write(&file, "htttp = \"127.0.0.1:1\"\n").unwrap();
    let file = file.display().to_string();
    assert_refused(&run("hub-node", &["check-config", &file]), 2, &["htttp", "http"]);
    assert_refused(&run("edge-node", &["--config", &file, "--hub", "h:1"]), 2, &["htttp", "http"]);
    assert_refused(&run("hub-node", &["serve", "--config", "/nonexistent"]), 2, &["/nonexistent"]);
}

#[test]
fn an_edge_without_a_hub_says_so() {
    assert_refused(&run("edge-node", &[]), 2, &["hub"]);
}

#[test]
fn a_port_in_use_names_flag_and_address() {
    let taken = std::net::TcpListener::bind(FREE).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().display().to_string();
    let output = run("hub-node", &["serve", "--data-dir", &dir, "--http", &address]);
    assert_refused(&output, 2, &["--http", &address]);
}

#[test]
fn two_processes_never_share_a_data_directory() {
    let root = tempfile::tempdir().unwrap();
    let hub = Node::hub(root.path());
    let dir = root.path().join("hub").display().to_string();
    assert_refused(&serve(&dir), 3, &[&dir]);
    let ok = Answer::Simple("OK".to_owned());
    assert_eq!(hub.resp().call(&[b"SET", b"still", b"here"]).unwrap(), ok);
}

#[test]
fn data_of_another_version_is_left_as_it_is() {
    let root = tempfile::tempdir().unwrap();
    let mut hub = Node::hub(root.path());
    let ok = Answer::Simple("OK".to_owned());
    assert_eq!(hub.resp().call(&[b"SET", b"a", b"b"]).unwrap(), ok);
    hub.stop();
    let dir = root.path().join("hub");
    let segment = dir.join("default/wal/000000001.seg");
    let good = std::fs::read(&segment).unwrap();

    let format = dir.join("format");
    let format_text = std::fs::read(&format).unwrap();
    std::fs::write(&format, "unisondb-data 2\n").unwrap();
    assert_refused(&serve(&dir.display().to_string()), 3, &["format 2"]);
    std::fs::write(&format, format_text).unwrap();
    assert!(std::fs::read(&segment).unwrap() == good, "the segment was touched");
}

#[test]
fn a_read_only_disk_is_said_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().display().to_string();
    let script = format!(
        "mount --bind '{dir}' '{dir}' && mount -o remount,ro,bind '{dir}' && \
         exec {} serve --data-dir '{dir}' --http {FREE} --resp {FREE} --link {FREE}",
        program("hub-node").join(" ")
    );
    let allowed = Command::new("unshare").args(["-rm", "true"]).status();
    if !allowed.is_ok_and(|status| status.success()) {
        println!("this machine allows no mount namespaces: nothing was tested");
        return;
    }
    let output = Command::new("unshare").args(["-rm", "sh", "-c", &script]).output().unwrap();
    assert_refused(&output, 3, &["read-only", &dir]);
}

#[test]
fn hostile_resp_costs_its_sender_the_connection_and_nobody_else_anything() {
    let root = tempfile::tempdir().unwrap();
    let hub = Node::hub(root.path());
    let mut honest = hub.resp();
    for (bytes, says) in [
        (&b"*2\r\n$3\r\nGET\r\n$104857600\r\n"[..], "limit"),
        (b"*99999999\r\n", "limit"),
        (b"*1\r\n$-5\r\n", "Protocol error"),
        (b"*1\r\n:5\r\n", "Protocol error"),
    ] {
        let mut hostile = hub.resp();
        hostile.send_raw(bytes).unwrap();
        let answer = hostile.answer().unwrap();
        let Answer::Error(text) = &answer else { panic!("{answer:?}") };
        assert!(text.contains(says), "{text}");
        assert!(hostile.answer().is_err(), "the connection stays open after {bytes:?}");
    }
    let mut cut = hub.resp();
    cut.send_raw(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5\r\nhal").unwrap();
    drop(cut);
    assert_eq!(honest.call(&[b"GET", b"a"]).unwrap(), Answer::Bulk(None));
}

#[test]
fn http_garbage_is_answered_with_400() {
    use std::io::{Read, Write};
    let root = tempfile::tempdir().unwrap();
    let hub = Node::hub(root.path());
    for garbage in ["\x16\x03\x01\x02\x00\x01\x00\x01", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"] {
        let mut stream = std::net::TcpStream::connect(hub.address("http")).unwrap();
        stream.write_all(garbage.as_bytes()).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        assert!(answer.is_empty() || answer.contains(" 400 "), "{garbage:?}: {answer}");
    }
    assert_eq!(hub.resp().call(&[b"PING"]).unwrap(), Answer::Simple("PONG".to_owned()));
}

#[test]
fn a_hub_and_an_edge_never_take_each_others_data() {
    let root = tempfile::tempdir().unwrap();
    let mut hub = Node::hub(root.path());
    let link = hub.address("link");
    assert_eq!(hub.stop(), 0);
    let dir = root.path().join("hub").display().to_string();
    let edge =
        run("edge-node", &["--hub", &link, "--data-dir", &dir, "--http", FREE, "--resp", FREE]);
    assert_refused(&edge, 3, &[&dir, "hub", "role"]);
}
