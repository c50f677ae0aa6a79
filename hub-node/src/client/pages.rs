//! Reading a whole prefix, one bounded page at a time.

use super::{Client, ClientError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use std::collections::VecDeque;

const PAGE_ENTRIES: usize = 500;

/// One key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The key, as bytes.
    pub(crate) key: Vec<u8>,
    /// The value.
    pub(crate) value: Vec<u8>,
}

#[derive(Deserialize)]
struct Item {
    key: String,
    #[serde(default)]
    key_base64: bool,
    value: String,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Item>,
    #[serde(default)]
    cursor: Option<String>,
}

/// Iterator over the entries of a prefix.
pub(crate) struct Pages<'a> {
    client: &'a Client,
    prefix: String,
    cursor: Option<String>,
    ready: VecDeque<Item>,
    finished: bool,
}

impl<'a> Pages<'a> {
    pub(super) fn new(client: &'a Client, prefix: &str) -> Self {
        let prefix = utf8_percent_encode(prefix, NON_ALPHANUMERIC).to_string();
        Self { client, prefix, cursor: None, ready: VecDeque::new(), finished: false }
    }

    fn fetch(&mut self) -> Result<(), ClientError> {
        let mut path = format!(
            "api/v1/{}/kv?prefix={}&limit={PAGE_ENTRIES}",
            self.client.namespace, self.prefix
        );
        if let Some(cursor) = &self.cursor {
            path.push_str("&cursor=");
            path.extend(utf8_percent_encode(cursor, NON_ALPHANUMERIC));
        }
        let page: Page = self.client.get(&path)?;
        self.ready.extend(page.items);
        self.finished = page.cursor.is_none();
        self.cursor = page.cursor;
        Ok(())
    }
}

fn decode(item: Item) -> Result<Entry, ClientError> {
    let key = if item.key_base64 {
        STANDARD.decode(item.key).map_err(ClientError::Value)?
    } else {
        item.key.into_bytes()
    };
    Ok(Entry { key, value: STANDARD.decode(item.value).map_err(ClientError::Value)? })
}

impl Iterator for Pages<'_> {
    type Item = Result<Entry, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() && !self.finished {
            if let Err(error) = self.fetch() {
                self.finished = true;
                return Some(Err(error));
            }
        }
        self.ready.pop_front().map(decode)
    }
}
