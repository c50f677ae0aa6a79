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
