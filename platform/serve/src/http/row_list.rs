//! `GET /row`: rows in the order of their keys, page by page. A row too wide for one page goes on in
//! the next.

use std::ops::Bound;
use std::sync::Arc;

use axum::http::Uri;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use unison_base::Lsn;
use unison_engine::{RowScanRequest, ScannedRow};
use unison_linux::store::Reader;

use super::condition::versioned;
use super::error::ApiError;
use super::item::KeyEncoding;
use super::list::{PAGE_BYTES, limit};
use super::path::InNamespace;
use super::query::Query;
use super::row_read::ColumnMap;
use super::ttl::shown;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RowBody {
    row_key: String,
    #[serde(skip_serializing_if = "KeyEncoding::is_text")]
    key_encoding: KeyEncoding,
    columns: ColumnMap,
    lsn: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
    /// Set when the row has more columns, on the next page.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    continues: bool,
}

#[derive(Debug, Serialize)]
struct Page {
    items: Vec<RowBody>,
    /// Where the next page begins; null when this one is the last.
    cursor: Option<String>,
}

/// What a page holds: `start` is included, `end` is not, `after` is of an earlier page.
struct Request {
    prefix: Vec<u8>,
    start: Bound<Vec<u8>>,
    end: Bound<Vec<u8>>,
    after: Option<(Vec<u8>, String)>,
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
fn page(reader: &Reader, request: &Request) -> Result<(Page, Lsn), ApiError> {
    let snapshot = reader.snapshot();
    let mut cells = snapshot.rows(request.scan())?.peekable();
    let (mut items, mut bytes) = (Vec::<RowBody>::new(), 0);
    let mut last: Option<(Arc<ScannedRow>, String)> = None;
    while let Some(cell) = cells.next().transpose()? {
        let is_new = last.as_ref().is_none_or(|(row, _)| !Arc::ptr_eq(row, &cell.row));
        if is_new {
            bytes += cell.row.key.len();
            items.push(RowBody::of(&cell.row));
        }
        if let Some(item) = items.last_mut() {
            bytes += item.columns.push(cell.column.name.clone(), &cell.column.value)?;
        }
        last = Some((cell.row, cell.column.name));
        let Some(Ok(next)) = cells.peek() else { continue };
        let continues = last.as_ref().is_some_and(|(row, _)| Arc::ptr_eq(row, &next.row));
        if bytes >= PAGE_BYTES || (items.len() == request.limit && !continues) {
            if let Some(item) = items.last_mut() {
                item.continues = continues;
            }
            let cursor = last.map(|(row, column)| cursor(&row.key, &column));
            return Ok((Page { items, cursor }, snapshot.lsn()));
        }
    }
    Ok((Page { items, cursor: None }, snapshot.lsn()))
}

impl RowBody {
    fn of(row: &ScannedRow) -> Self {
        let (row_key, key_encoding) = KeyEncoding::encode(row.key.clone());
        let columns = ColumnMap::default();
        let expires = shown(row.expires_at);
        Self { row_key, key_encoding, columns, lsn: row.lsn.0, expires, continues: false }
    }
}

/// The last cell of a page: bytes of the row (u32, big-endian), row, column.
fn cursor(row: &[u8], column: &str) -> String {
    let length = u32::try_from(row.len()).unwrap_or(u32::MAX).to_be_bytes();
    URL_SAFE_NO_PAD.encode([&length, row, column.as_bytes()].concat())
}

fn cell_of(cursor: &[u8]) -> Option<(Vec<u8>, String)> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (length, rest) = bytes.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (row, column) = rest.split_at_checked(length)?;
    Some((row.to_vec(), String::from_utf8(column.to_vec()).ok()?))
}

impl Request {
    fn of(query: Option<&str>) -> Result<Self, ApiError> {
        let known = ["prefix", "start", "end", "limit", "reverse", "cursor"];
        let query = Query::parse(query, &known)?;
        let bytes = |name| query.bytes(name).map(<[u8]>::to_vec);
        let cursor = query.bytes("cursor").filter(|cursor| !cursor.is_empty());
        let bad = || ApiError::Malformed("`cursor` is of no earlier answer".to_owned());
        let after = cursor.map(|cursor| cell_of(cursor).ok_or_else(bad)).transpose()?;
        Ok(Self {
            prefix: bytes("prefix").unwrap_or_default(),
            start: bytes("start").map_or(Bound::Unbounded, Bound::Included),
            end: bytes("end").map_or(Bound::Unbounded, Bound::Excluded),
            after,
            limit: limit(&query)?,
            reverse: query.flag("reverse")?,
        })
    }

    fn scan(&self) -> RowScanRequest<'_> {
        RowScanRequest {
            prefix: &self.prefix,
            start: self.start.as_ref().map(Vec::as_slice),
            end: self.end.as_ref().map(Vec::as_slice),
            reverse: self.reverse,
            after: self.after.as_ref().map(|(row, column)| (row.as_slice(), column.as_str())),
        }
    }
}
