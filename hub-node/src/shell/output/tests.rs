use super::{Cell, Output, Style};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn written(style: Style, write: impl Fn(&mut Output) -> io::Result<()>) -> String {
    let shared = Shared::default();
    write(&mut Output::new(Box::new(shared.clone()), style, false)).unwrap();
    String::from_utf8(shared.0.lock().unwrap().clone()).unwrap()
}

fn sample(output: &mut Output) -> io::Result<()> {
    let mut table = output.table(["key", "value", "version"]);
    table.row(["a".into(), b"x\ty\n\x1b[1m".to_vec().into(), Cell::Number(7)])?;
    table.row(["\u{6f22}\u{5b57}".into(), b"\xff\\".to_vec().into(), Cell::Number(1_000)])?;
    table.finish().map(|rows| assert_eq!(rows, 2))
}

#[test]
fn a_terminal_gets_aligned_columns_and_nothing_that_steers_it() {
    let expected = "KEY   VALUE          VERSION\n\
                    a     x\\ty\\n\\x1b[1m        7\n\
                    \u{6f22}\u{5b57}  \\xff\\\\            1000\n";
    assert_eq!(written(Style::Tables, sample), expected);
    let value = |output: &mut Output| output.value(b"two\nlines\x1b", &[]);
    assert_eq!(written(Style::Tables, value), "two\nlines\\x1b\n");
}

#[test]
fn a_pipe_gets_fields_with_tabs_between_them() {
    let expected = "a\tx\\ty\\n\\x1b[1m\t7\n\u{6f22}\u{5b57}\t\\xff\\\\\t1000\n";
    assert_eq!(written(Style::Lines, sample), expected);
    assert_eq!(
        written(Style::Lines, |output| output.done("ok", &[("lsn", Cell::Number(3))])),
        "3\n"
    );
    assert_eq!(written(Style::Lines, |output| output.sentence("only for people")), "");
}

#[test]
fn a_program_gets_an_object_a_line_and_every_byte() {
    let lines = written(Style::Json, sample);
    let objects: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        objects[0],
        serde_json::json!({"key": "a", "value": "x\ty\n\u{1b}[1m", "version": 7})
    );
    let second = serde_json::json!({
        "key": "\u{6f22}\u{5b57}", "value": "/1w=", "valueEncoding": "base64", "version": 1000
    });
    assert_eq!(objects[1], second);
}

#[test]
fn what_is_too_wide_is_cut_and_marked() {
    let wide = |output: &mut Output| {
        let mut table = output.table(["value"]);
        table.row(["x".repeat(1_000).into()])?;
        table.finish().map(|_| ())
    };
    let text = written(Style::Tables, wide);
    assert_eq!(text.lines().nth(1).unwrap(), "x".repeat(63) + "\u{2026}");
    assert_eq!(written(Style::Lines, wide).len(), 1_001);
}

#[test]
fn an_empty_table_is_no_line() {
    for style in [Style::Tables, Style::Lines, Style::Json] {
        let empty = |output: &mut Output| output.table(["key"]).finish().map(|_| ());
        assert_eq!(written(style, empty), "");
    }
}
