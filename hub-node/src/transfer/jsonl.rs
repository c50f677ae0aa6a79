//! JSON Lines: one key and its value a line.

use super::error::LineError;
use crate::client::{Entry, KeyEncoding};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// The shape of a line. A key that is not UTF-8 stands in base64 and says so; so does a value,
/// which otherwise is readable text.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Line {
    key: String,
    #[serde(default, skip_serializing_if = "KeyEncoding::is_text")]
    key_encoding: KeyEncoding,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// When it expires, milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
}

/// Reads one line.
pub(super) fn parse(line: &str) -> Result<Entry, LineError> {
    let line: Line = serde_json::from_str(line)?;
    let key = line.key_encoding.decode(line.key)?;
    let value = match (line.text, line.value) {
        (Some(text), None) => text.into_bytes(),
        (None, Some(value)) => STANDARD.decode(value)?,
        _ => return Err(LineError::OneValue),
    };
    Ok(Entry { key, value, expires: line.expires })
}

/// Writes one line, without its end.
pub(super) fn format(entry: Entry) -> Result<String, LineError> {
    let (key, key_encoding) = KeyEncoding::encode(&entry.key);
    let (text, value) = match String::from_utf8(entry.value) {
        Ok(text) => (Some(text), None),
        Err(error) => (None, Some(STANDARD.encode(error.into_bytes()))),
    };
    let expires = entry.expires;
    Ok(serde_json::to_string(&Line { key, key_encoding, text, value, expires })?)
}

#[cfg(test)]
mod tests {
    use super::{format, parse};
    use crate::client::Entry;

    #[test]
    fn lines_come_back_whatever_the_bytes() {
        let cases: [(&[u8], &[u8]); 4] =
            [(b"k", b"v"), (b"\xff\x00", b""), (b"a\"b\n", b"\xfe"), ("ü".as_bytes(), b"\n")];
        for (key, value) in cases {
            for expires in [None, Some(1_800_000_000_000)] {
                let entry = Entry { key: key.to_vec(), value: value.to_vec(), expires };
                assert_eq!(parse(&format(entry.clone()).unwrap()).unwrap(), entry);
            }
        }
    }

    #[test]
    fn lines_of_another_shape_are_refused() {
        for line in [
            "",
            "{}",
            r#"{"key":"a"}"#,
            r#"{"key":"a","text":"b","value":"Yg=="}"#,
            r#"{"key":"a","value":"?"}"#,
            r#"{"key":"a","text":"b","ttl":1}"#,
            "[]",
        ] {
            assert!(parse(line).is_err(), "{line} was taken");
        }
    }
}
