//! `GET /kv`: keys and values in order, page by page.

use std::ops::Bound;

use axum::http::Uri;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use unison_base::Lsn;
use unison_base::limits::SCAN_ENTRIES_MAX;
use unison_engine::{ReadError, ScanRequest};
use unison_linux::store::Reader;

use super::condition::versioned;
use super::error::ApiError;
use super::item::{BASE64, KeyEncoding};
use super::path::InNamespace;
use super::query::Query;
use super::ttl::shown;

/// Items on a page unless told otherwise.
const LIMIT_DEFAULT: usize = 100;
/// A page ends when its keys and values have this many bytes, however few they are.
pub(super) const PAGE_BYTES: usize = 4 << 20;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemBody {
    key: String,
    #[serde(skip_serializing_if = "KeyEncoding::is_text")]
    key_encoding: KeyEncoding,
    value: String,
    lsn: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Page {
    items: Vec<ItemBody>,
    /// Where the next page begins; null when this one is the last.
    cursor: Option<String>,
}

/// What a page holds: `start` is included, `end` is not, `cursor` is of an earlier page.
struct Request {
    prefix: Vec<u8>,
    start: Bound<Vec<u8>>,
    end: Bound<Vec<u8>>,
    limit: usize,
    reverse: bool,
}

pub(super) async fn list(
    InNamespace(namespace): InNamespace,
    uri: Uri,
) -> Result<Response, ApiError> {
    let request = Request::of(uri.query())?;
    let reader = namespace.reader();
    let (page, lsn) = tokio::task::spawn_blocking(move || page(&reader, &request)).await??;
    Ok(versioned(lsn, page))
}

/// A page and the LSN of the state it shows.
fn page(reader: &Reader, request: &Request) -> Result<(Page, Lsn), ReadError> {
    let snapshot = reader.snapshot();
    let mut scan = snapshot.scan(ScanRequest {
        prefix: &request.prefix,
        start: request.start.as_ref().map(Vec::as_slice),
        end: request.end.as_ref().map(Vec::as_slice),
        reverse: request.reverse,
    })?;
    let (mut items, mut bytes, mut last) = (Vec::new(), 0, None);
    while items.len() < request.limit && bytes < PAGE_BYTES {
        let Some(item) = scan.next().transpose()? else {
            return Ok((Page { items, cursor: None }, snapshot.lsn()));
        };
        bytes += item.key.len() + item.value.len();
        let value = BASE64.encode(&*item.value.bytes()?);
        last = Some(URL_SAFE_NO_PAD.encode(&item.key));
        let expires = shown(item.value.expires_at());
        let (key, key_encoding) = KeyEncoding::encode(item.key);
        items.push(ItemBody { key, key_encoding, value, lsn: item.lsn.0, expires });
    }
    let more = scan.next().transpose()?.is_some();
    Ok((Page { items, cursor: last.filter(|_| more) }, snapshot.lsn()))
}

impl Request {
    fn of(query: Option<&str>) -> Result<Self, ApiError> {
        let known = ["prefix", "start", "end", "limit", "reverse", "cursor"];
        let query = Query::parse(query, &known)?;
        let reverse = query.flag("reverse")?;
        let bytes = |name| query.bytes(name).map(<[u8]>::to_vec);
        let mut request = Self {
            prefix: bytes("prefix").unwrap_or_default(),
            start: bytes("start").map_or(Bound::Unbounded, Bound::Included),
            end: bytes("end").map_or(Bound::Unbounded, Bound::Excluded),
            limit: limit(&query)?,
            reverse,
        };
        if let Some(cursor) = query.bytes("cursor").filter(|cursor| !cursor.is_empty()) {
            let bad = |_| ApiError::Malformed("`cursor` is of no earlier answer".to_owned());
            let behind = Bound::Excluded(URL_SAFE_NO_PAD.decode(cursor).map_err(bad)?);
            if reverse { request.end = behind } else { request.start = behind }
        }
        Ok(request)
    }
}

pub(super) fn limit(query: &Query) -> Result<usize, ApiError> {
    let limit = query.number("limit")?.unwrap_or(LIMIT_DEFAULT as u64);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if (1..=SCAN_ENTRIES_MAX).contains(&limit) {
        return Ok(limit);
    }
    Err(ApiError::Malformed(format!("`limit` is 1 to {SCAN_ENTRIES_MAX}")))
}
