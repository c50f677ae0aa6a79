//! One field of an answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// One field of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::shell) enum Cell {
    /// Any bytes, text mostly.
    Bytes(Vec<u8>),
    /// A number.
    Number(u64),
    /// Yes or no.
    Flag(bool),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

impl From<Vec<u8>> for Cell {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Bytes(text.into_bytes())
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl Cell {
    /// On one line, without tabs or control characters, and so that the bytes can be had back.
    pub(super) fn escaped(&self) -> String {
        match self {
            Self::Bytes(bytes) => escaped(bytes, |letter| letter.is_control() || letter == '\\'),
            Self::Number(number) => number.to_string(),
            Self::Flag(flag) => flag.to_string(),
        }
    }

    /// Whether it stands at the right of its column.
    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Number(_))
    }
}

/// A value for a terminal: lines and tabs stay, what would steer the terminal does not.
pub(super) fn printable(bytes: &[u8]) -> String {
    escaped(bytes, |letter| letter.is_control() && !matches!(letter, '\n' | '\t'))
}

/// Text with the letters that `hidden` names, and all that is no UTF-8, as `\n`, `\t`, `\xNN`.
fn escaped(bytes: &[u8], hidden: impl Fn(char) -> bool) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                letter if !hidden(letter) => text.push(letter),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                '\\' => text.push_str("\\\\"),
                letter => hexadecimal(&mut text, letter.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        hexadecimal(&mut text, chunk.invalid());
    }
    text
}

fn hexadecimal(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "\\x{byte:02x}");
    }
}

/// Fields as JSON. Bytes that are no UTF-8 stand in base64, and say so in a field beside them.
pub(super) fn object(record: &[(&'static str, Cell)]) -> Value {
    let mut object = Map::new();
    for (name, cell) in record {
        let value = match cell {
            Cell::Number(number) => Value::from(*number),
            Cell::Flag(flag) => Value::from(*flag),
            Cell::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Value::from(text),
                Err(_) => {
                    object.insert(format!("{name}Encoding"), Value::from("base64"));
                    Value::from(STANDARD.encode(bytes))
                }
            },
        };
        object.insert((*name).to_owned(), value);
    }
    Value::Object(object)
}
