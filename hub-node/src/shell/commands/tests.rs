use super::{Bytes, Command, Line, RowCommand, parse};
use crate::client::Condition;
use crate::shell::words::split;
use clap::CommandFactory as _;

fn parsed(text: &str) -> Result<Command, clap::Error> {
    parse(split(text.as_bytes()).unwrap().pop().unwrap())
}

fn examples_of(command: &clap::Command, found: &mut Vec<String>) {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    found.extend(help.lines().filter_map(|line| line.strip_prefix("  ")).map(str::to_owned));
    command.get_subcommands().for_each(|command| examples_of(command, found));
}

#[test]
fn every_example_in_the_help_is_understood() {
    let mut examples = Vec::new();
    examples_of(&Line::command(), &mut examples);
    assert!(examples.len() > 20, "{examples:?}");
    for example in examples {
        parsed(&example).unwrap_or_else(|error| panic!("{example}: {error}"));
    }
}

#[test]
fn every_command_is_explained_and_those_that_take_something_have_examples() {
    fn check(command: &clap::Command) {
        for command in command.get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            let takes = command.get_positionals().next().is_some();
            assert!(!takes || command.get_after_help().is_some(), "{}", command.get_name());
            check(command);
        }
    }
    check(&Line::command());
}

#[test]
fn values_may_look_like_flags_and_be_any_bytes() {
    let Command::Put { key, value, when, .. } = parsed(r#"put "\xff" -5 --if-absent"#).unwrap()
    else {
        panic!("another command")
    };
    assert_eq!((key, value), (Bytes(vec![0xff]), Bytes(b"-5".to_vec())));
    assert_eq!(when.condition(), Condition::Absent);
    let Command::Row(RowCommand::Put { columns, .. }) =
        parsed(r#"row put r "a=\x00=" b="#).unwrap()
    else {
        panic!("another command")
    };
    assert_eq!(columns, [("a".to_owned(), b"\x00=".to_vec()), ("b".to_owned(), vec![])]);
    assert!(
        matches!(parsed("put -- --if-absent v").unwrap(), Command::Put { key, .. } if key.0 == b"--if-absent")
    );
}

#[test]
fn what_is_not_understood_says_what_is() {
    for (text, told) in [
        ("putt a b", "put"),
        ("put a", "<VALUE>"),
        ("put a b --if-absent --if-present", "cannot be used with"),
        ("put a b --if-absnt", "--if-absent"),
        ("row put r nothing", "NAME=VALUE"),
        ("drop measurements", "--yes"),
        ("scan --limit many", "invalid value 'many'"),
    ] {
        let error = parsed(text).unwrap_err().to_string();
        assert!(error.contains(told), "{text}: {error}");
    }
}
