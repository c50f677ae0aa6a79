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

#[test]
fn a_checked_configuration_is_printed_as_the_file_that_leads_to_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("hub.toml");
    std::fs::write(&file, "segment_size = 1048576\nresp = \"off\"\n").unwrap();
    let printed = help(&["check-config", file.to_str().unwrap()]);
    assert!(printed.contains("segment_size = \"1MiB\"\n"), "{printed}");
    assert!(printed.contains("resp = \"off\"\n"), "{printed}");
    std::fs::write(&file, &printed).unwrap();
    assert_eq!(help(&["check-config", file.to_str().unwrap()]), printed);
}
