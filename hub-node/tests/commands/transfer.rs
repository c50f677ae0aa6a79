//! What goes in comes out again, byte for byte, and what does not is named.

use crate::hub::Hub;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Every file below `root`, by its relative path.
fn contents(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let key = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.insert(key, std::fs::read(path).unwrap());
            }
        }
    }
    found
}

fn line(key: &str) -> String {
    format!("{{\"key\":{key:?},\"text\":\"x\"}}\n")
}

#[test]
fn a_directory_comes_back() {
    let hub = Hub::start(&[]);
    let (source, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::create_dir_all(source.path().join("deep/er")).unwrap();
    let binary: Vec<u8> = (0..=u8::MAX).cycle().take(700_000).collect();
    let files: [(&str, &[u8]); 5] = [
        ("empty", b""),
        ("deep/er/binary", &binary),
        ("deep/x.partial", b"1"),
        ("deep/x", b"2"),
        ("grün und blau?&#%", "ü\n".as_bytes()),
    ];
    for (name, value) in files {
        std::fs::write(source.path().join(name), value).unwrap();
    }
    let from = source.path().to_str().unwrap();
    let (code, output, errors) = hub.import(&["--dir", from], "");
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(output.contains("5 keys, 700005 bytes") && output.contains("; 0 skipped"), "{output}");
    let (code, _, errors) = hub.export(&["--dir", target.path().to_str().unwrap()]);
    assert_eq!((code, errors.as_str()), (Some(0), "5 keys exported\n"));
    assert_eq!(contents(target.path()), contents(source.path()));
}

#[test]
fn what_a_directory_holds_besides_is_named() {
    let hub = Hub::start(&[]);
    let source = tempfile::tempdir().unwrap();
    std::fs::write(source.path().join("a"), "1").unwrap();
    std::fs::write(source.path().join(OsStr::from_bytes(b"b\xff")), "2").unwrap();
    std::os::unix::fs::symlink("a", source.path().join("c")).unwrap();
    let (code, output, errors) = hub.import(&["--dir", source.path().to_str().unwrap()], "");
    assert_eq!(code, Some(0));
    assert!(output.starts_with("1 keys, 1 bytes") && output.contains("; 2 skipped"), "{output}");
    assert!(errors.contains("not UTF-8") && errors.contains("\"c\": a symbolic link"), "{errors}");
}

#[test]
fn lines_come_back() {
    let hub = Hub::start(&[]);
    // In key order, as an export writes them.
    let lines = [
        r#"{"key":"../up","text":"1"}"#,
        r#"{"key":"a\"\n","text":"two\nlines"}"#,
        r#"{"key":"empty","text":""}"#,
        r#"{"key":"expiring","text":"1","expires":4000000000000}"#,
        r#"{"key":"expiring too","text":"1","expires":4000000000001}"#,
        r#"{"key":"raw","value":"/wD+"}"#,
        r#"{"key":"ü","text":"ü"}"#,
        r#"{"key":"/wE=","keyEncoding":"base64","text":"no UTF-8"}"#,
        "",
    ]
    .join("\n");
    let (code, output, errors) = hub.import(&["--jsonl", "-"], &lines);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(output.starts_with("8 keys"), "{output}");
    let (code, output, errors) = hub.export(&["--jsonl", "-"]);
    assert_eq!((code, output.as_str(), errors.as_str()), (Some(0), &*lines, "8 keys exported\n"));
    let (_, output, _) = hub.export(&["--jsonl", "-", "--prefix", "em"]);
    assert_eq!(output, "{\"key\":\"empty\",\"text\":\"\"}\n");
}

#[test]
fn a_wrong_line_is_named() {
    let hub = Hub::start(&[]);
    let lines = format!("{}\n{}", line("a"), "{\"key\":\"b\"}");
    let (code, _, errors) = hub.import(&["--jsonl", "-"], &lines);
    assert_eq!(code, Some(1));
    assert!(errors.contains("line 3: give exactly one of"), "{errors}");
}

#[test]
fn keys_that_are_no_paths_of_their_own_are_refused() {
    let hub = Hub::start(&[]);
    let keys = ["../up", "/abs", "a//b", "b/./c", "c/", "d/../e"];
    let lines: String = keys.into_iter().map(line).collect();
    assert_eq!(hub.import(&["--jsonl", "-"], &lines).0, Some(0));
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().join("target");
    for prefix in ["../", "/", "a", "b", "c", "d"] {
        let place = ["--dir", target.to_str().unwrap(), "--prefix", prefix];
        let (code, _, errors) = hub.export(&place);
        assert_eq!(code, Some(1), "{prefix}");
        assert!(errors.contains("the key \"") && errors.contains("no safe path"), "{errors}");
    }
    assert!(contents(outside.path()).is_empty());
}

#[test]
fn a_key_that_is_also_a_directory_is_named() {
    let hub = Hub::start(&[]);
    let lines = line("a") + &line("a/b");
    assert_eq!(hub.import(&["--jsonl", "-"], &lines).0, Some(0));
    let target = tempfile::tempdir().unwrap();
    let (code, _, errors) = hub.export(&["--dir", target.path().to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("the key \"a/b\" needs a file where"), "{errors}");
}

#[test]
fn a_hub_with_small_segments_gets_smaller_batches() {
    let hub = Hub::start(&["--segment-size", "64KiB"]);
    let source = tempfile::tempdir().unwrap();
    for n in 0..40 {
        std::fs::write(source.path().join(format!("{n:02}")), vec![b'x'; 10_000]).unwrap();
    }
    std::fs::write(source.path().join("large"), vec![b'x'; 100_000]).unwrap();
    let (code, output, errors) = hub.import(&["--dir", source.path().to_str().unwrap()], "");
    assert_eq!(code, Some(0), "{errors}");
    assert!(output.starts_with("40 keys, 400000 bytes"), "{output}");
    assert!(output.contains("; 1 skipped"), "{output}");
    assert!(errors.contains("skipped \"large\": the node does not take it: "), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
}
