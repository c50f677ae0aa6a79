//! Keys and values, one at a time and by pages.

use super::entry::{Item, decoded};
use super::request::{Condition, Method, Request};
use super::{Client, ClientError, KeyEncoding, Scope};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// A value and the LSN of the record that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Versioned {
    pub(crate) value: Vec<u8>,
    pub(crate) lsn: u64,
}

#[derive(Deserialize)]
struct Found {
    value: String,
    found: bool,
    lsn: u64,
}

#[derive(Serialize)]
struct Put<'a> {
    value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'a str>,
}

/// What every write answers.
#[derive(Deserialize)]
pub(super) struct Written {
    pub(super) lsn: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeleteBatch {
    operation: &'static str,
    keys: Vec<String>,
    key_encoding: KeyEncoding,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Item>,
    cursor: Option<String>,
}

/// One key of a page.
#[derive(Clone, Debug)]
pub(crate) struct Scanned {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
    pub(crate) lsn: u64,
}

impl Client {
    /// Puts one value, which lives for `ttl` (as `90s`) or for ever. Returns its version.
    pub(crate) fn put(
        &self,
        key: &[u8],
        value: &[u8],
        ttl: Option<&str>,
        when: Condition,
    ) -> Result<u64, ClientError> {
        let body = Put { value: STANDARD.encode(value), ttl };
        let request = Request::new(Method::Put, self.path("kv", key)).when(when).json(&body)?;
        Ok(self.call::<Written>(&request)?.lsn)
    }

    /// The value of a key, or nothing.
    pub(crate) fn value(&self, key: &[u8]) -> Result<Option<Versioned>, ClientError> {
        let answer: Found = self.call(&Request::new(Method::Get, self.path("kv", key)))?;
        let value = decoded(&answer.value)?;
        Ok(answer.found.then_some(Versioned { value, lsn: answer.lsn }))
    }

    /// Deletes one key. Returns the version of its absence.
    pub(crate) fn delete(&self, key: &[u8], when: Condition) -> Result<u64, ClientError> {
        let request = Request::new(Method::Delete, self.path("kv", key)).when(when);
        Ok(self.call::<Written>(&request)?.lsn)
    }

    /// Deletes keys, all of them or none.
    pub(crate) fn delete_all(&self, keys: &[&[u8]]) -> Result<u64, ClientError> {
        let keys = keys.iter().map(|key| STANDARD.encode(key)).collect();
        let body = DeleteBatch { operation: "delete", keys, key_encoding: KeyEncoding::Base64 };
        let request = Request::new(Method::Post, self.within("kv/batch")).json(&body)?;
        Ok(self.call::<Written>(&request)?.lsn)
    }

    /// A page of keys and values, and the cursor of the next one.
    pub(crate) fn page(
        &self,
        scope: &Scope,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<(Vec<Scanned>, Option<String>), ClientError> {
        let query = format!("kv?{}", scope.query(limit, cursor));
        let page: Page = self.call(&Request::new(Method::Get, self.within(&query)))?;
        let items: Result<Vec<_>, _> = page.items.into_iter().map(Item::scanned).collect();
        Ok((items?, page.cursor))
    }
}
