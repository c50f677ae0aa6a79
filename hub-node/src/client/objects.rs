//! Large objects: files that are sent and received piece by piece.

use super::request::{Condition, Method, Request, encoded};
use super::{Client, ClientError, KeyEncoding, read};
use serde::Deserialize;
use std::fs::File;
use std::io::{self, Write};

/// What an upload answers.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Uploaded {
    pub(crate) bytes: u64,
    pub(crate) checksum: u32,
    pub(crate) lsn: u64,
}

/// An object in a list.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) key: Vec<u8>,
    pub(crate) bytes: u64,
    pub(crate) checksum: u32,
    pub(crate) lsn: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    key: String,
    #[serde(default)]
    key_encoding: KeyEncoding,
    bytes: u64,
    checksum: u32,
    lsn: u64,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Item>,
    cursor: Option<String>,
}

impl Client {
    /// Puts a file, however long that takes. It is not tried again.
    pub(crate) fn upload(
        &self,
        key: &[u8],
        file: File,
        when: Condition,
    ) -> Result<Uploaded, ClientError> {
        let url = format!("{}/{}", self.base, self.path("lob", key));
        let request = self.agent.put(url).config().timeout_global(None).build();
        let mut request = request.header("content-type", "application/octet-stream");
        if let Some((name, value)) = when.header() {
            request = request.header(name, value);
        }
        read(request.send(file).map_err(ClientError::Exchange)?)
    }

    /// Writes an object to `out`. Returns its length.
    pub(crate) fn download(&self, key: &[u8], out: &mut impl Write) -> Result<u64, ClientError> {
        let url = format!("{}/{}", self.base, self.path("lob", key));
        let request = self.agent.get(url).config().timeout_global(None).build();
        let mut response = request.call().map_err(ClientError::Exchange)?;
        if !response.status().is_success() {
            read::<serde::de::IgnoredAny>(response)?;
            return Ok(0);
        }
        io::copy(&mut response.body_mut().as_reader(), out).map_err(ClientError::Transfer)
    }

    /// Deletes an object. Returns the version of its absence.
    pub(crate) fn delete_object(&self, key: &[u8], when: Condition) -> Result<u64, ClientError> {
        let request = Request::new(Method::Delete, self.path("lob", key)).when(when);
        Ok(self.call::<super::Written>(&request)?.lsn)
    }

    /// A page of objects, and the cursor of the next one.
    pub(crate) fn object_page(
        &self,
        prefix: &[u8],
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<(Vec<Object>, Option<String>), ClientError> {
        let cursor = cursor.unwrap_or_default().as_bytes();
        let query =
            format!("lob?prefix={}&limit={limit}&cursor={}", encoded(prefix), encoded(cursor));
        let page: Page = self.call(&Request::new(Method::Get, self.within(&query)))?;
        let items: Result<Vec<_>, _> = page.items.into_iter().map(Item::decode).collect();
        Ok((items?, page.cursor))
    }
}

impl Item {
    fn decode(self) -> Result<Object, ClientError> {
        let key = self.key_encoding.decode(self.key).map_err(ClientError::Base64)?;
        Ok(Object { key, bytes: self.bytes, checksum: self.checksum, lsn: self.lsn })
    }
}
