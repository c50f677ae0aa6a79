//! `wal inspect` shows the same log from wherever it is asked, and ends well however it is read.

use crate::hub::Hub;
use crate::{hub_node, told};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;

/// A data directory with `count` records, each of one key.
fn data(count: usize) -> TempDir {
    let hub = Hub::start(&[]);
    // An import puts at most 512 KiB into a record.
    let value = "x".repeat(300_000);
    for n in 0..count {
        let line = format!("{{\"key\":\"key-{n}\",\"text\":\"{value}\"}}\n");
        assert_eq!(hub.import(&["--jsonl", "-"], &line).0, Some(0));
    }
    hub.kill()
}

fn inspect(dir: &Path, flags: &[&str]) -> (Option<i32>, String, String) {
    told(hub_node().args(["wal", "inspect"]).arg(dir).args(flags).output().unwrap())
}

fn answer(dir: &Path, flags: &[&str]) -> Value {
    let (code, output, errors) = inspect(dir, &[&["--json"], flags].concat());
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    serde_json::from_str(&output).unwrap()
}

#[test]
fn a_data_directory_a_namespace_and_a_log_show_the_same() {
    let data = data(3);
    let root = data.path().join("data");
    let (namespace, log) = (root.join("default"), root.join("default/wal"));
    let expected = answer(&log, &["--records"]);
    let report = &expected[0];
    assert_eq!(report["recovery"]["opens"]["last_lsn"], 3, "{report}");
    let keys = |n: usize| &report["records"][n]["keys"];
    assert_eq!(
        [keys(0), keys(1), keys(2)],
        [&json!(["key-0"]), &json!(["key-1"]), &json!(["key-2"])]
    );
    assert_eq!(report["records"][3], Value::Null);
    for dir in [root, namespace] {
        assert_eq!(answer(&dir, &["--records"]), expected, "{}", dir.display());
    }
    let (code, output, _) = inspect(&log, &["--records"]);
    assert_eq!(code, Some(0));
    assert!(output.contains("opened by a hub, it would serve LSN 1 to 3"), "{output}");
    assert_eq!(output.matches(": key-").count(), 3, "{output}");
}

#[test]
fn the_directory_says_whose_log_it_is_and_the_flag_overrules_it() {
    let data = data(1);
    let root = data.path().join("data");
    let role = |flags: &[&str]| answer(&root, flags)[0]["role"].clone();
    assert_eq!((role(&[]), role(&["--role", "edge"])), ("hub".into(), "edge".into()));
    std::fs::write(root.join("role"), "edge\n").unwrap();
    assert_eq!((role(&[]), role(&["--role", "hub"])), ("edge".into(), "hub".into()));
    assert_eq!(answer(&root.join("default/wal"), &[])[0]["role"], "edge");
}

/// Rot in the middle: a hub serves what is sound on either side, an edge keeps what lies before it and
/// fetches the rest again.
#[test]
fn a_hub_and_an_edge_open_a_rotten_log_differently() {
    let data = data(3);
    let root = data.path().join("data");
    let records = answer(&root, &["--records"])[0]["records"].clone();
    let segment = records[1]["segment"].as_u64().unwrap();
    let middle = records[1]["offset"].as_u64().unwrap() + 100_000;
    let file = root.join(format!("default/wal/{segment:09}.seg"));
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[usize::try_from(middle).unwrap()] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let last = |role| answer(&root, &["--role", role])[0]["recovery"]["opens"]["last_lsn"].clone();
    assert_eq!((last("hub"), last("edge")), (3.into(), 1.into()));
    let (_, output, _) = inspect(&root, &["--records"]);
    assert!(output.contains(": key-0") && output.contains(": key-2"), "{output}");
    assert!(!output.contains(": key-1"), "{output}");
    assert_eq!(std::fs::read(&file).unwrap(), bytes, "looking has changed the log");
}

#[test]
fn nobody_reads_the_answer() {
    let data = data(1);
    for flags in [&["--records"][..], &["--records", "--json"]] {
        let mut process = hub_node()
            .args(["wal", "inspect"])
            .arg(data.path().join("data"))
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(process.stdout.take());
        let (code, _, errors) = told(process.wait_with_output().unwrap());
        assert_eq!((code, errors.as_str()), (Some(0), ""));
    }
}

#[test]
fn what_cannot_be_inspected_is_an_error_of_its_kind() {
    let empty = tempfile::tempdir().unwrap();
    let (code, _, errors) = inspect(empty.path(), &[]);
    assert_eq!(code, Some(3));
    assert!(errors.contains("holds no log"), "{errors}");
    assert_eq!(inspect(&empty.path().join("nowhere"), &[]).0, Some(3));
    assert_eq!(inspect(empty.path(), &["--role", "king"]).0, Some(2));
    assert_eq!(told(hub_node().args(["wal", "inspect"]).output().unwrap()).0, Some(2));
}
