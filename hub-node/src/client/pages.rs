//! Reading a whole prefix, one bounded page at a time.

use super::entry::Item;
use super::{Client, ClientError, Entry};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use std::collections::VecDeque;

const PAGE_ENTRIES: usize = 500;

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
        let mut path =
            self.client.within(&format!("kv?prefix={}&limit={PAGE_ENTRIES}", self.prefix));
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

impl Iterator for Pages<'_> {
    type Item = Result<Entry, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() && !self.finished {
            if let Err(error) = self.fetch() {
                self.finished = true;
                return Some(Err(error));
            }
        }
        self.ready.pop_front().map(Item::decode)
    }
}
