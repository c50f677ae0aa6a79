//! A device that fails to sync: nothing is acknowledged after it, the process ends so that somebody
//! notices, and the next one has everything that was acknowledged.

use std::process::Command;
use unison_e2e::node::Node;
use unison_e2e::resp::Answer;

const FREE: &str = "127.0.0.1:0";

fn strace_works() -> bool {
    let traced = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status();
    traced.is_ok_and(|status| status.success())
}

fn key(number: u32) -> Vec<u8> {
    format!("key-{number}").into_bytes()
}

/// Fails the sync calls that `when` names, and returns how many writes were acknowledged before.
fn acknowledged_before_failure(when: &str) -> u32 {
    let root = tempfile::tempdir().unwrap();
    let inject = format!("inject=fdatasync:error=EIO:when={when}");
    let under = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", &inject];
    let arguments = ["serve", "--http", FREE, "--resp", FREE, "--link", FREE];
    let mut hub = Node::start_under(&under, root.path(), "hub", "hub-node", &arguments);
    let mut client = hub.resp();
    let mut acknowledged = 0;
    let ok = Answer::Simple("OK".to_owned());
    while client.call(&[b"SET", &key(acknowledged), b"value"]).is_ok_and(|answer| answer == ok) {
        acknowledged += 1;
        assert!(acknowledged < 1_000, "the failure was not noticed");
    }
    assert_eq!(hub.ended(), 1, "{}", hub.log());
    assert!(hub.log().contains("sync"), "{}", hub.log());

    let hub = Node::hub(root.path());
    let mut client = hub.resp();
    for number in 0..acknowledged {
        let found = client.call(&[b"GET", &key(number)]).unwrap();
        assert_eq!(found, Answer::Bulk(Some(b"value".to_vec())), "key {number}");
    }
    acknowledged
}

#[test]
fn a_failed_sync_ends_the_process_and_loses_nothing_acknowledged() {
    if !strace_works() {
        println!("strace is missing or not allowed: nothing was tested; ci/setup installs it");
        return;
    }
    let once = acknowledged_before_failure("40");
    let for_ever = acknowledged_before_failure("40+");
    println!("{once} writes acknowledged before one failed sync, {for_ever} before all failed");
    assert!(once > 0 && for_ever > 0);
}
