use super::{candidates, last_command};
use crate::shell::commands::Line;
use clap::CommandFactory as _;

/// What is offered at the end of a line.
fn offered(line: &str) -> Vec<String> {
    let mut grammar = Line::command();
    grammar.build();
    let (before, begin) = last_command(line);
    let mut found =
        candidates(&grammar, &before, || vec!["default".to_owned(), "other".to_owned()]);
    found.retain(|candidate| candidate.starts_with(&line[begin..]));
    found
}

#[test]
fn commands_flags_and_namespaces_are_offered_where_they_belong() {
    for (line, expected) in [
        ("sc", vec!["scan"]),
        ("put a b; na", vec!["namespaces"]),
        ("put a b;us", vec!["use"]),
        ("row g", vec!["get"]),
        ("row put r a=b --if-p", vec!["--if-present"]),
        ("scan --re", vec!["--reverse"]),
        ("use ", vec!["default", "other"]),
        ("drop o", vec!["other"]),
        ("help row sc", vec!["scan"]),
        ("settings co", vec!["compression"]),
        ("settings compression ", vec!["none", "lz4"]),
        ("settings encryption c", vec!["chacha20poly1305"]),
        ("settings rule a/# --k", vec!["--keep-last"]),
        ("settings compression lz4 ", vec!["none"]),
        ("help settings r", vec!["rule"]),
        ("nothing --", vec![]),
        ("get --required --r", vec![]),
    ] {
        assert_eq!(offered(line), expected, "{line:?}");
    }
    assert!(offered("").contains(&"row".to_owned()) && offered("").contains(&"help".to_owned()));
}
