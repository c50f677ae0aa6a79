//! A file system that is really full: writes are refused with a reason, reads go on, and when there
//! is room again writes go on too, without a restart.

use std::process::Command;
use unison_e2e::node::Node;
use unison_e2e::resp::Answer;

/// Writes after there is room again: more than a memtable holds.
const MORE: u32 = 15_000;
const FREE: &str = "127.0.0.1:0";
const DISK: &str = "16m";
const BALLAST_BYTES: &str = "8388608";
/// Small, so that memory fills and is flushed before the disk is full, and again behind it.
const VALUE_BYTES: usize = 200;

fn mount_namespaces_are_allowed() -> bool {
    Command::new("unshare").args(["-rm", "true"]).status().is_ok_and(|status| status.success())
}

fn key(number: u32) -> Vec<u8> {
    format!("key-{number:05}").into_bytes()
}

#[test]
fn a_full_disk_refuses_writes_and_heals_without_a_restart() {
    if !mount_namespaces_are_allowed() {
        println!("this machine allows no mount namespaces: nothing was tested");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("hub").display().to_string();
    let script = format!(
        "mkdir '{data}' && mount -t tmpfs -o size={DISK} tmpfs '{data}' && \
         head -c {BALLAST_BYTES} /dev/zero > '{data}/.ballast' && exec \"$@\""
    );
    let under = ["unshare", "-rm", "sh", "-c", &script, "sh"];
    let sizes = ["--segment-size", "128KiB", "--memtable-size", "1MiB"];
    let arguments =
        [&["serve", "--http", FREE, "--resp", FREE, "--link", FREE], &sizes[..]].concat();
    let hub = Node::start_under(&under, root.path(), "hub", "hub-node", &arguments);
    let mut client = hub.resp();
    let value = vec![7; VALUE_BYTES];
    let ok = Answer::Simple("OK".to_owned());

    let (mut written, mut refusal) = (0, None);
    while refusal.is_none() && written < 100_000 {
        match client.call(&[b"SET", &key(written), &value]).unwrap() {
            Answer::Error(text) => refusal = Some(text),
            answer => {
                assert_eq!(answer, ok);
                written += 1;
            }
        }
    }
    let refusal = refusal.expect("16 MiB do not hold 20 MB of values");
    assert!(refusal.contains("space"), "{refusal}");
    for number in 0..written {
        let found = client.call(&[b"GET", &key(number)]).unwrap();
        assert_eq!(found, Answer::Bulk(Some(value.clone())), "key {number} while full");
    }

    // The node's own view of its mount, from outside of it.
    std::fs::remove_file(format!("/proc/{}/root{data}/.ballast", hub.id())).unwrap();
    for number in written..written + MORE {
        assert_eq!(client.call(&[b"SET", &key(number), &value]).unwrap(), ok, "room again");
    }
    let count = Answer::Number(i64::from(written + MORE));
    assert_eq!(client.call(&[b"DBSIZE"]).unwrap(), count);
    println!("{written} values fitted; then {refusal:?}; {MORE} more after room was made");
}
