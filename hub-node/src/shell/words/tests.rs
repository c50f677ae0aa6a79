use super::{WordError, split};

fn texts(text: &str) -> Vec<Vec<String>> {
    let commands = split(text.as_bytes()).unwrap();
    let text = |word: Vec<u8>| String::from_utf8(word).unwrap();
    commands.into_iter().map(|words| words.into_iter().map(text).collect()).collect()
}

#[test]
fn commands_end_at_semicolons_and_lines_and_comments_are_left_out() {
    for (text, expected) in [
        ("", vec![]),
        (" ; ;\n\n;", vec![]),
        ("# all of it; is a comment", vec![]),
        ("get a", vec![vec!["get", "a"]]),
        ("get a;get b", vec![vec!["get", "a"], vec!["get", "b"]]),
        ("get a # then\n\tget b\r\n", vec![vec!["get", "a"], vec!["get", "b"]]),
        ("put a#b c", vec![vec!["put", "a#b", "c"]]),
    ] {
        assert_eq!(texts(text), expected, "{text:?}");
    }
}

#[test]
fn quotes_keep_what_would_have_a_meaning() {
    for (text, expected) in [
        (r#"put "a b" 'c;d'"#, vec!["put", "a b", "c;d"]),
        (r#"put a"b c"d '"'"#, vec!["put", "ab cd", "\""]),
        (r#"put "" ''"#, vec!["put", "", ""]),
        (r#"put "\n\t\r\\\"" '\n'"#, vec!["put", "\n\t\r\\\"", "\\n"]),
        ("put 'two\nlines' \u{e9}", vec!["put", "two\nlines", "\u{e9}"]),
        (r"put C:\dir x", vec!["put", r"C:\dir", "x"]),
    ] {
        assert_eq!(texts(text), [expected], "{text:?}");
    }
    assert_eq!(split(br#"get "\xff\x00""#).unwrap(), [vec![b"get".to_vec(), b"\xff\x00".to_vec()]]);
}

#[test]
fn what_cannot_be_split_says_why() {
    for (text, why) in [
        ("put 'a", WordError::OpenQuote),
        ("put \"a;", WordError::OpenQuote),
        ("put \"a\\", WordError::OpenQuote),
        (r#"put "\x4""#, WordError::Digits),
        (r#"put "\q""#, WordError::Escape),
    ] {
        assert_eq!(split(text.as_bytes()), Err(why), "{text:?}");
    }
}
