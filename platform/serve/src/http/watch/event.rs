//! Events as text.

use std::fmt::Write as _;
use std::io::Write as _;

use base64::Engine as _;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use unison_engine::{Change, ChangeId, ChangeKind, ChangesError};

use super::super::item::BASE64;
use crate::watch::Ended;

/// An event as the data of a Server-Sent Event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'c> {
    lsn: u64,
    index: u32,
    model: &'static str,
    operation: &'static str,
    key: &'c str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_encoding: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_pattern: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// The message is sealed, and cannot be opened here.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    closed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    columns: Option<Columns<'c>>,
}

/// Columns of a change: names, or names and values.
struct Columns<'c> {
    change: &'c Change<'c>,
    values: bool,
}

impl Serialize for Columns<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !self.values {
            return serializer.collect_seq(self.change.columns().map(|(name, _)| name));
        }
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.change.columns() {
            map.serialize_entry(name, &value.map(|value| BASE64.encode(value)))?;
        }
        map.end()
    }
}

/// Appends an event.
pub(super) fn write(change: &Change<'_>, values: bool, text: &mut Vec<u8>) {
    let encoded;
    let (key, key_encoding) = match std::str::from_utf8(change.key) {
        Ok(key) => (key, None),
        Err(_) => {
            encoded = BASE64.encode(change.key);
            (encoded.as_str(), Some("base64"))
        }
    };
    let value = change.value().filter(|_| values).map(|value| BASE64.encode(value));
    let has_columns = change.columns().next().is_some();
    let values = values && change.kind == ChangeKind::Put;
    let data = Data {
        lsn: change.id.lsn.0,
        index: change.id.index,
        model: change.model.name(),
        operation: change.kind.name(),
        key,
        key_encoding,
        is_pattern: change.is_of_pattern,
        expires_at: change.expires_at,
        value,
        closed: change.is_closed(),
        columns: has_columns.then_some(Columns { change, values }),
    };
    // A vector takes everything that is written to it, and the data has no maps with odd keys.
    let _ = write!(text, "id: {}\ndata: ", change.id);
    let _ = serde_json::to_writer(&mut *text, &data);
    text.extend_from_slice(b"\n\n");
}

/// A place, without an event: a client takes note of the `id` all the same.
pub(super) fn place(at: ChangeId, comment: &str) -> String {
    format!(": {comment}\nid: {at}\n\n")
}

/// The last event of a stream that cannot go on. It has no `id`: what was seen stays what it was.
pub(super) fn end(ended: &Ended) -> String {
    let mut text = String::from("event: end\ndata: ");
    let first = match ended {
        Ended::Changes(ChangesError::Retired { first }) => Some(first.0),
        Ended::Changes(ChangesError::Gap { to, .. }) => Some(to.next().0),
        _ => None,
    };
    let data = match first {
        Some(first) => serde_json::json!({ "error": ended.to_string(), "first": first }),
        None => serde_json::json!({ "error": ended.to_string() }),
    };
    let _ = write!(text, "{data}\n\n");
    text
}
