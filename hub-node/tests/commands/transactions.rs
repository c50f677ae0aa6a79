//! Transactions and watching, as a script has them.

use crate::hub::Hub;
use serde_json::{Value, json};

fn run(hub: &Hub, flags: &[&str], commands: &str) -> (Option<i32>, String, String) {
    let told = hub.shell(&[flags, &["-c", commands]].concat(), "");
    assert!(!told.2.contains("panicked"), "{}", told.2);
    told
}

/// What commands answer that must not fail.
fn answers(hub: &Hub, commands: &str) -> String {
    let (code, output, errors) = run(hub, &["--quiet"], commands);
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{commands}");
    output
}

#[test]
fn writes_of_all_models_wait_for_their_commit() {
    let hub = Hub::start(&[]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("map");
    std::fs::write(&file, vec![5; 300_000]).unwrap();
    answers(&hub, "put old 1; row put door state=open lock=off");
    let seen = "get k; get old; row get door; lob list; messages";
    let writes = format!(
        "put \"k\\xff\" 0; put k v; del old none; row put door state=shut; row del door lock; \
         lob put map {}; publish site/7/door open",
        file.display()
    );
    let commands = format!("begin; {writes}; {seen}; commit; {seen}");
    let output = answers(&hub, &commands);
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[..3], ["1", "lock\toff", "state\topen"], "{output}");
    assert_eq!((lines[3], lines[4]), ("v", "state\tshut"), "{output}");
    assert!(lines[5].starts_with("map\t300000\t") && lines.len() == 7, "{output}");
    assert!(lines[6].ends_with("\tsite/7/door\topen"), "{output}");
    answers(&hub, "begin; lob del map; put k w; abort; get k --required");
    assert_eq!(answers(&hub, "get k"), "v\n");
    answers(&hub, "begin; lob del map; commit");
    assert_eq!(answers(&hub, "lob list"), "");
}

#[test]
fn what_is_not_committed_never_happens_and_is_told() {
    let hub = Hub::start(&[]);
    for (commands, told) in [
        ("begin; put k v", "the transaction was not committed"),
        ("begin; begin", "a transaction is open"),
        ("begin; use default", "a transaction is open"),
        ("begin; put k v; nonsense; commit", "nonsense"),
        ("commit", "no transaction is open"),
        ("abort", "no transaction is open"),
        ("put k old --if-absent; begin; put k v --if-absent; commit", "412"),
        ("begin; del a b --if-version 1", "one key, not with 2"),
        ("begin; lob put a /dev/null --if-absent", "no condition"),
    ] {
        let (code, _, errors) = run(&hub, &[], commands);
        assert_eq!(code, Some(1), "{commands}");
        assert!(errors.contains(told), "{commands}: {errors}");
    }
    let (code, _, errors) =
        run(&hub, &["--keep-going"], "begin; put new 1; put k v --if-absent; commit; put after 1");
    assert_eq!(code, Some(1));
    assert!(errors.contains("a command of the transaction failed"), "{errors}");
    assert_eq!(answers(&hub, "get new; get k; get after"), "old\n1\n");
}

#[test]
fn a_watch_shows_what_happened_and_ends_by_itself() {
    let hub = Hub::start(&[]);
    answers(&hub, r#"put a 1; put "b\xff" 2; row put r c=3; publish t/x hi; del a"#);
    assert_eq!(
        answers(&hub, "watch --since 0 --count 5"),
        "1-0\tkv\tput\ta\n2-0\tkv\tput\tb\\xff\n3-0\trow\tput\tr\t[\"c\"]\n\
         5-0\ttopic\tpublish\tt/x\n6-0\tkv\tdelete\ta\n",
        "a topic is a record of its own, which is no event"
    );
    assert_eq!(
        answers(&hub, "watch --since 0 --models kv --count 1 --values"),
        "1-0\tkv\tput\ta\t1\n"
    );
    assert_eq!(
        answers(&hub, "watch --topic t/+ --since 0 --count 1"),
        "5-0\ttopic\tpublish\tt/x\n"
    );
    let (code, output, _) = run(&hub, &["--json"], "watch a --since 2-0 --count 1");
    let event: Value = serde_json::from_str(&output).unwrap();
    let deleted = json!({"lsn": 6, "index": 0, "model": "kv", "operation": "delete", "key": "a"});
    assert_eq!((code, event), (Some(0), deleted));
    let (code, _, errors) = run(&hub, &[], "watch --since 99 --count 1");
    assert_eq!(code, Some(1));
    assert!(errors.contains("410"), "{errors}");
}

#[test]
fn a_quota_is_set_shown_and_ended() {
    let hub = Hub::start(&[]);
    let quota = |commands: &str| {
        let output = answers(&hub, commands);
        output.trim_end().split('\t').nth(3).unwrap().to_owned()
    };
    assert_eq!(quota("quota default 1GiB; namespaces"), "1073741824");
    assert_eq!(quota("quota default none; namespaces"), "none");
    assert_eq!(run(&hub, &[], "quota default much").0, Some(1));
}
