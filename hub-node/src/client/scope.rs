//! Which part of a model is read, and from where on.

use super::request::encoded;
use std::fmt::Write as _;

/// A range of keys: of keys and values, and of rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    /// What each key begins with.
    pub(crate) prefix: Vec<u8>,
    /// The first key.
    pub(crate) start: Option<Vec<u8>>,
    /// The key before which it ends.
    pub(crate) end: Option<Vec<u8>>,
    /// From the last to the first.
    pub(crate) reverse: bool,
}

impl Scope {
    /// The query that asks for a page of `limit` items behind `cursor`.
    pub(super) fn query(&self, limit: usize, cursor: Option<&str>) -> String {
        let mut query = format!("prefix={}&limit={limit}", encoded(&self.prefix));
        let bounds = [("start", self.start.as_deref()), ("end", self.end.as_deref())];
        let cursor = [("cursor", cursor.map(str::as_bytes))];
        for (name, value) in bounds.into_iter().chain(cursor) {
            if let Some(value) = value {
                // Writing to a string does not fail.
                let _ = write!(query, "&{name}={}", encoded(value));
            }
        }
        if self.reverse {
            query.push_str("&reverse=true");
        }
        query
    }
}
