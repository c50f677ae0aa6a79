//! Help teaches: every flag of the contract is there, with its default.

use std::process::Command;

#[test]
fn every_flag_explains_itself() {
    let output = Command::new(env!("CARGO_BIN_EXE_edge-node")).arg("--help").output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for flag in [
        "--hub",
        "--namespace",
        "--data-dir",
        "--http",
        "--resp",
        "--ports-file",
        "--config",
        "--memtable-size",
        "check-config",
        "127.0.0.1:4100",
        "Exit codes",
    ] {
        assert!(text.contains(flag), "{flag} is not in {text}");
    }
}

#[test]
fn a_checked_configuration_is_printed_as_a_file() {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("edge.toml");
    std::fs::write(&file, "hub = \"h:1\"\nnamespace = \"a,b\"\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_edge-node"));
    let output = command.arg("check-config").arg(&file).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("namespace = [\"a\", \"b\"]\n"), "{text}");
}
