//! `GET /lob`: large objects in the order of their keys, without their octets.

use axum::http::Uri;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use unison_base::Lsn;
use unison_engine::{ObjectScanRequest, ReadError};
use unison_linux::store::Reader;

use super::condition::versioned;
use super::error::ApiError;
use super::item::KeyEncoding;
use super::list::limit;
use super::path::InNamespace;
use super::query::Query;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    key: String,
    #[serde(skip_serializing_if = "KeyEncoding::is_text")]
    key_encoding: KeyEncoding,
    bytes: u64,
    checksum: u32,
    lsn: u64,
}

#[derive(Debug, Serialize)]
struct Page {
    items: Vec<Item>,
    /// Where the next page begins; null when this one is the last.
    cursor: Option<String>,
}

struct Request {
    prefix: Vec<u8>,
    after: Option<Vec<u8>>,
    limit: usize,
}

pub(super) async fn list(
    InNamespace(namespace): InNamespace,
    uri: Uri,
) -> Result<Response, ApiError> {
    let request = Request::of(uri.query())?;
    let reader = namespace.reader().clone();
    let (page, lsn) = tokio::task::spawn_blocking(move || page(&reader, &request)).await??;
    Ok(versioned(lsn, page))
}

/// A page and the LSN of the state it shows.
fn page(reader: &Reader, request: &Request) -> Result<(Page, Lsn), ReadError> {
    let snapshot = reader.snapshot();
    let scan = ObjectScanRequest { prefix: &request.prefix, after: request.after.as_deref() };
    let mut objects = snapshot.objects(scan);
    let (mut items, mut last) = (Vec::new(), None);
    while items.len() < request.limit {
        let Some(found) = objects.next().transpose()? else {
            return Ok((Page { items, cursor: None }, snapshot.lsn()));
        };
        last = Some(URL_SAFE_NO_PAD.encode(&found.key));
        let (key, key_encoding) = KeyEncoding::encode(found.key);
        let (bytes, checksum) = (found.object.len(), found.object.checksum());
        items.push(Item { key, key_encoding, bytes, checksum, lsn: found.object.lsn().0 });
    }
    let more = objects.next().transpose()?.is_some();
    Ok((Page { items, cursor: last.filter(|_| more) }, snapshot.lsn()))
}

impl Request {
    fn of(query: Option<&str>) -> Result<Self, ApiError> {
        let query = Query::parse(query, &["prefix", "limit", "cursor"])?;
        let cursor = query.bytes("cursor").filter(|cursor| !cursor.is_empty());
        let bad = |_| ApiError::Malformed("`cursor` is of no earlier answer".to_owned());
        let after = cursor.map(|cursor| URL_SAFE_NO_PAD.decode(cursor).map_err(bad)).transpose()?;
        let prefix = query.bytes("prefix").unwrap_or_default().to_vec();
        Ok(Self { prefix, after, limit: limit(&query)? })
    }
}
