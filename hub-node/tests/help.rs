//! Help teaches: every command and flag of the contract is there, with its default.

use std::process::Command;

fn help(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_hub-node")).args(arguments).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_command_explains_itself() {
    let text = help(&["--help"]);
    for word in
        ["serve", "quickstart", "import", "export", "shell", "wal", "check-config", "Exit codes"]
    {
        assert!(text.contains(word), "{word} is not in {text}");
    }
    let text = help(&["serve", "--help"]);
    for flag in [
        "--data-dir",
        "--http",
        "--resp",
        "--link",
        "--ports-file",
        "--config",
        "--durability",
        "--segment-size",
        "--memtable-size",
        "--transactions-size",
        "--log-format",
        "127.0.0.1:4000",
    ] {
        assert!(text.contains(flag), "{flag} is not in {text}");
    }
    assert!(help(&["wal", "inspect", "--help"]).contains("--records"));
    assert!(help(&["quickstart", "--help"]).contains("--check"));
}
