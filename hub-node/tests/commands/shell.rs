//! Commands as a script gives them: what they answer, and how they end.

use crate::hub::Hub;
use serde_json::{Value, json};

/// Exit code, answers and errors of commands.
fn run(hub: &Hub, flags: &[&str], commands: &str) -> (Option<i32>, String, String) {
    let told = hub.shell(&[flags, &["-c", commands]].concat(), "");
    assert!(!told.2.contains("panicked"), "{}", told.2);
    told
}

fn answers(hub: &Hub, commands: &str) -> String {
    let (code, output, errors) = run(hub, &[], commands);
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{commands}");
    output
}

#[test]
fn keys_and_values() {
    let hub = Hub::start(&[]);
    assert_eq!(answers(&hub, "put k v; get k"), "1\nv\n");
    assert_eq!(
        answers(&hub, r#"put "\xff;" "two\nlines"; get "\xff;"; get absent"#),
        "2\ntwo\nlines\n"
    );
    assert_eq!(
        answers(&hub, "put k -5 --if-version 1; scan"),
        "3\nk\t-5\t3\n\\xff;\ttwo\\nlines\t2\n"
    );
    assert_eq!(answers(&hub, "scan --reverse --limit 1"), "\\xff;\ttwo\\nlines\t2\n");
    assert_eq!(
        answers(&hub, "scan k; scan --start l --limit 0"),
        "k\t-5\t3\n\\xff;\ttwo\\nlines\t2\n"
    );
    assert_eq!(answers(&hub, r#"del k "\xff;"; scan"#), "4\n");
    assert_eq!(
        answers(&hub, "put .. dots; put a/b slash; put batch b; scan"),
        "5\n6\n7\n..\tdots\t5\na/b\tslash\t6\nbatch\tb\t7\n"
    );
}

#[test]
fn rows() {
    let hub = Hub::start(&[]);
    assert_eq!(answers(&hub, "row put door state=open lock=off; row put door lock=on"), "1\n2\n");
    assert_eq!(
        answers(&hub, "row get door; row get door lock; row get none"),
        "lock\ton\nstate\topen\nlock\ton\n"
    );
    assert_eq!(
        answers(&hub, "row put e a=1; row scan"),
        "3\ndoor\tlock\ton\t2\ndoor\tstate\topen\t2\ne\ta\t1\t3\n"
    );
    assert_eq!(
        answers(&hub, "row del door state --if-version 2; row del e; row scan"),
        "4\n5\ndoor\tlock\ton\t4\n"
    );
}

#[test]
fn listings_longer_than_a_page_are_whole() {
    let hub = Hub::start(&[]);
    let lines: String =
        (0..2_500).map(|n| format!("put {n:05} x\nrow put {n:05} a=1 b=2\n")).collect();
    let (code, _, errors) = hub.shell(&["--quiet"], &lines);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert_eq!(answers(&hub, "scan --limit 0").lines().count(), 2_500);
    assert_eq!(answers(&hub, "scan --limit 1500").lines().count(), 1_500);
    assert_eq!(answers(&hub, "row scan --limit 0").lines().count(), 5_000);
    assert_eq!(answers(&hub, "row scan --limit 1001").lines().count(), 2_002);
}

#[test]
fn programs_get_an_object_a_line() {
    let hub = Hub::start(&[]);
    let commands = r#"put k v; get k; get none; put b "\xff"; scan; row put r c=1; row get r; namespaces; status"#;
    let (code, output, _) = run(&hub, &["--json"], commands);
    assert_eq!(code, Some(0));
    let objects: Vec<Value> =
        output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected = [
        json!({"lsn": 1}),
        json!({"key": "k", "value": "v", "lsn": 1, "found": true}),
        json!({"key": "none", "found": false}),
        json!({"lsn": 2}),
        json!({"key": "b", "value": "/w==", "valueEncoding": "base64", "lsn": 2}),
        json!({"key": "k", "value": "v", "lsn": 1}),
        json!({"lsn": 3}),
        json!({"column": "c", "value": "1"}),
    ];
    assert_eq!(objects[..8], expected);
    assert_eq!((&objects[8]["namespace"], &objects[9]["role"]), (&json!("default"), &json!("hub")));
}

#[test]
fn namespaces_are_made_used_and_dropped() {
    let hub = Hub::start(&[]);
    let commands = "create other; use other; put k v; use default; get k; use other; get k";
    assert_eq!(answers(&hub, commands), "other\n1\nv\n");
    let (code, output, errors) =
        run(&hub, &["--namespace", "other"], "get k; drop other --yes; get k");
    assert_eq!((code, output.as_str()), (Some(1), "v\nother\n"));
    assert!(
        errors.contains("there is no namespace other") && errors.contains("`create NAME`"),
        "{errors}"
    );
}

#[test]
fn a_script_stops_at_its_first_failure_and_says_where() {
    let hub = Hub::start(&[]);
    let script = "# makes a\nput a 1\n\nput a 2 --if-absent\nput a 3\n";
    let (code, output, errors) = hub.shell(&[], script);
    assert_eq!((code, output.as_str()), (Some(1), "1\n"));
    assert!(errors.starts_with("hub-node: line 4: the node answered 412"), "{errors}");
    assert!(errors.contains("--if-version"), "{errors}");
    let (code, output, errors) = hub.shell(&["--keep-going"], script);
    assert_eq!((code, output.as_str()), (Some(1), "2\n3\n"));
    assert!(errors.contains("line 2") || errors.contains("line 4"), "{errors}");
    assert!(errors.ends_with("a command failed\n"), "{errors}");
    let (code, output, _) = hub.shell(&[], "get a\nexit\nget none --required\n");
    assert_eq!((code, output.as_str()), (Some(0), "3\n"));
}

#[test]
fn failures_say_what_to_do() {
    let hub = Hub::start(&[]);
    for (commands, told) in [
        ("gett k", "get"),
        ("put k", "<VALUE>"),
        ("put 'k", "a quote is not closed"),
        ("get k --required", "there is no key \"k\""),
        ("del a b --if-absent", "a condition goes with one key"),
        ("use none", "`create NAME` makes one"),
        ("create default", "exists already"),
        ("connect 127.0.0.1:1", "`hub-node serve`"),
        ("scan --limit 1 --start", "--start"),
    ] {
        let (code, output, errors) = run(&hub, &[], commands);
        assert_eq!((code, output.as_str()), (Some(1), ""), "{commands}");
        assert!(errors.contains(told), "{commands}: {errors}");
    }
    let told = crate::told(
        crate::hub_node().args(["shell", "--to", "127.0.0.1:1", "-c", "get k"]).output().unwrap(),
    );
    assert_eq!(told.0, Some(1));
    assert!(
        told.2.contains("cannot reach the node") && told.2.contains("connect http://"),
        "{}",
        told.2
    );
}

#[test]
fn help_teaches() {
    let hub = Hub::start(&[]);
    let text = answers(&hub, "help");
    for word in ["put", "scan", "row", "namespaces", "status", "A first look", "sensor:1"] {
        assert!(text.contains(word), "{word} is not in {text}");
    }
    assert!(answers(&hub, "help put").contains("put sensor:1 22 --if-version 17"));
    assert!(answers(&hub, "help row put").contains("row put door-7"));
}

#[test]
fn files_go_in_as_large_objects_and_come_out() {
    let hub = Hub::start(&[]);
    let directory = tempfile::tempdir().unwrap();
    let (source, target) = (directory.path().join("in put"), directory.path().join("out"));
    let octets: Vec<u8> = (0..=u8::MAX).cycle().take(700_001).collect();
    std::fs::write(&source, &octets).unwrap();
    let (source, target) = (source.to_str().unwrap(), target.to_str().unwrap());
    let commands = format!("lob put maps/7 '{source}'; lob get maps/7 {target}; lob list maps/");
    let output = answers(&hub, &commands);
    let lines: Vec<Vec<&str>> = output.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(
        (lines[0][0], lines[1][0], lines[2][..2].to_vec()),
        ("700001", "700001", vec!["maps/7", "700001"])
    );
    assert!(std::fs::read(target).unwrap() == octets);
    assert!(answers(&hub, "lob del maps/7; lob list").lines().count() == 1);
    let (code, _, errors) = run(&hub, &[], &format!("lob get maps/7 {target}2"));
    assert!(code == Some(1) && errors.contains(r#"no large object "maps/7""#), "{errors}");
    assert!(!std::path::Path::new(&format!("{target}2.partial")).exists());
}

#[test]
fn messages_are_published_and_listed() {
    let hub = Hub::start(&[]);
    let ids = answers(&hub, "publish site/3/door open; publish site/4/door shut --ttl 1h");
    // A topic is defined by a record of its own, before its first message.
    assert_eq!(ids, "2-0\n4-0\n");
    let output = answers(&hub, "messages site/+/door");
    let fields = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        (fields[0].to_owned(), fields[2].to_owned(), fields[3].to_owned())
    };
    let expected = [("2-0", "site/3/door", "open"), ("4-0", "site/4/door", "shut")];
    let expected = expected.map(|(id, topic, text)| (id.into(), topic.into(), text.into()));
    assert_eq!(output.lines().map(fields).collect::<Vec<_>>(), expected);
    assert_eq!(
        answers(&hub, "topics; messages --limit 1"),
        answers(&hub, "topics '#'; messages --limit 1")
    );
    assert_eq!(answers(&hub, "topics"), "site/3/door\nsite/4/door\n");
}

#[test]
fn settings_of_topics_are_shown_and_changed_one_by_one() {
    let hub = Hub::start(&[]);
    let none = "ttl\tnever\ncompression\tnone\nencryption\tnone\n";
    assert_eq!(answers(&hub, "settings show"), none);
    let changes = "settings ttl 7d; settings compression lz4; \
                   settings rule site/7/# --ttl 1h --keep-last 2; \
                   settings rule site/+/log --keep-last all; settings rule site/7/# --ttl never";
    assert_eq!(answers(&hub, changes), "1\n2\n3\n4\n5\n");
    assert_eq!(
        answers(&hub, "settings show"),
        "ttl\t7d\ncompression\tlz4\nencryption\tnone\n\
         site/7/#\tnever\t2\nsite/+/log\t-\tall\n"
    );
    let publish = "publish site/7/a 1; publish site/7/a 2; publish site/7/a 3";
    answers(&hub, publish);
    assert_eq!(answers(&hub, "messages site/7/a").lines().count(), 2);
    let (code, output, _) = run(&hub, &["--json"], "settings show");
    let shown: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((code, &shown["rules"][0]["keepLast"]), (Some(0), &json!(2)));
    answers(&hub, "settings rule site/7/# --remove; settings rule site/+/log --remove");
    answers(&hub, "settings ttl never; settings compression none");
    assert_eq!(answers(&hub, "settings show"), none);
}

#[test]
fn settings_that_cannot_be_say_what_to_do() {
    let hub = Hub::start(&[]);
    for (commands, told) in [
        ("settings encryption chacha20poly1305", "keys file"),
        ("settings encryption aes", "chacha20poly1305"),
        ("settings rule a", "--keep-last"),
        ("settings rule a --remove", "there is no rule for \"a\""),
        ("settings rule a --remove --ttl 1h", "--ttl"),
        ("settings rule a --keep-last many", "a number of messages, or `all`"),
        ("settings rule a --keep-last 0", "65536"),
        ("settings ttl soon", "ttl"),
    ] {
        let (code, output, errors) = run(&hub, &[], commands);
        assert_eq!((code, output.as_str()), (Some(1), ""), "{commands}");
        assert!(errors.contains(told), "{commands}: {errors}");
    }
    assert!(answers(&hub, "help settings rule").contains("--keep-last 100"));
}

#[test]
fn a_value_lives_as_long_as_it_is_given() {
    let hub = Hub::start(&[]);
    assert_eq!(answers(&hub, "put k v --ttl 1h; get k"), "1\nv\n");
    assert_eq!(answers(&hub, "put k v --ttl 20ms"), "2\n");
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(answers(&hub, "get k"), "");
    let (code, _, errors) = run(&hub, &[], "put k v --ttl soon");
    assert!(code == Some(1) && errors.contains("ttl"), "{errors}");
}
