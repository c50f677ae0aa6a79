//! `GET /row/{rowKey}`: all columns, named ones, or a range of them.

use std::ops::Bound;

use axum::Json;
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use serde::{Serialize, Serializer};
use unison_base::Lsn;
use unison_engine::ColumnRange;
use unison_linux::store::{Reader, ValueRef};

use super::condition::etag;
use super::error::ApiError;
use super::item::BASE64;
use super::list::{PAGE_BYTES, limit};
use super::path::AtRow;
use super::query::Query;

/// Most bytes of names and values in an answer that has no pages.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// What a column costs in an answer beside its name and value, bytes.
pub(super) const COLUMN_BYTES: usize = 16;

/// Columns in their order: `{"name": "base64", ...}`.
#[derive(Debug, Default)]
pub(super) struct ColumnMap(Vec<(String, String)>);

impl ColumnMap {
    /// Adds a column. Returns what it costs.
    pub(super) fn push(&mut self, name: String, value: &ValueRef) -> Result<usize, ApiError> {
        let bytes = name.len() + value.len() + COLUMN_BYTES;
        self.0.push((name, BASE64.encode(&*value.bytes()?)));
        Ok(bytes)
    }

    fn last(&self) -> Option<&str> {
        self.0.last().map(|(name, _)| name.as_str())
    }
}

impl Serialize for ColumnMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

#[derive(Debug, Serialize)]
struct Found {
    columns: ColumnMap,
    found: bool,
    lsn: u64,
    /// The name behind which the next page begins; left out on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// Which columns are asked for.
enum Wanted {
    All,
    Named(Vec<String>),
    Page { start: Bound<String>, end: Bound<String>, reverse: bool, limit: usize },
}

/// A missing row is an answer too: 200, `found` false, version 0.
pub(super) async fn get(at: AtRow, uri: Uri) -> Result<Response, ApiError> {
    let wanted = Wanted::of(uri.query())?;
    let reader = at.namespace.reader().clone();
    let found = tokio::task::spawn_blocking(move || find(&reader, &at.row, &wanted)).await??;
    Ok(([(header::ETAG, etag(Lsn(found.lsn)))], Json(found)).into_response())
}

fn find(reader: &Reader, key: &[u8], wanted: &Wanted) -> Result<Found, ApiError> {
    let absent = Found { columns: ColumnMap::default(), found: false, lsn: 0, cursor: None };
    let Some(row) = reader.snapshot().row(key)? else { return Ok(absent) };
    let mut found = Found { found: true, lsn: row.lsn().0, ..absent };
    let mut bytes = 0;
    match wanted {
        Wanted::All => {
            for column in row.columns(ColumnRange::default())? {
                let column = column?;
                bytes += found.columns.push(column.name, &column.value)?;
                bounded(bytes)?;
            }
        }
        Wanted::Named(names) => {
            for name in names {
                let Some(value) = row.column(name)? else { continue };
                bytes += found.columns.push(name.clone(), &value)?;
                bounded(bytes)?;
            }
        }
        Wanted::Page { start, end, reverse, limit } => {
            let (start, end) =
                (start.as_ref().map(String::as_str), end.as_ref().map(String::as_str));
            let mut columns = row.columns(ColumnRange { start, end, reverse: *reverse })?;
            while found.columns.0.len() < *limit && bytes < PAGE_BYTES {
                let Some(column) = columns.next().transpose()? else { return Ok(found) };
                bytes += found.columns.push(column.name, &column.value)?;
            }
            let more = columns.next().transpose()?.is_some();
            found.cursor = found.columns.last().filter(|_| more).map(str::to_owned);
        }
    }
    Ok(found)
}

fn bounded(bytes: usize) -> Result<(), ApiError> {
    let limit = ANSWER_BYTES_MAX;
    if bytes > limit { Err(ApiError::RowTooLarge { limit }) } else { Ok(()) }
}

impl Wanted {
    fn of(query: Option<&str>) -> Result<Self, ApiError> {
        let known = ["columns", "column", "start", "end", "limit", "reverse", "cursor"];
        let query = Query::parse(query, &known)?;
        let names = names(&query)?;
        let paged = ["start", "end", "limit", "reverse", "cursor"];
        let paged = paged.into_iter().any(|name| query.bytes(name).is_some());
        match names {
            Some(_) if paged => {
                let why = "a request names columns or a range of them, not both";
                Err(ApiError::Malformed(why.to_owned()))
            }
            Some(names) => Ok(Self::Named(names)),
            None if paged => Self::page(&query),
            None => Ok(Self::All),
        }
    }

    fn page(query: &Query) -> Result<Self, ApiError> {
        let bound = |name| query.bytes(name).map(|value| text(name, value)).transpose();
        let reverse = query.flag("reverse")?;
        let mut start = bound("start")?.map_or(Bound::Unbounded, Bound::Included);
        let mut end = bound("end")?.map_or(Bound::Unbounded, Bound::Excluded);
        if let Some(cursor) = bound("cursor")?.filter(|cursor| !cursor.is_empty()) {
            let behind = Bound::Excluded(cursor);
            if reverse { end = behind } else { start = behind }
        }
        Ok(Self::Page { start, end, reverse, limit: limit(query)? })
    }
}

/// `columns=a,b` and `column=a&column=b`, which can name a column with a comma.
fn names(query: &Query) -> Result<Option<Vec<String>>, ApiError> {
    let mut names = Vec::new();
    for list in query.all("columns") {
        let list = text("columns", list)?;
        names.extend(
            list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned),
        );
    }
    for name in query.all("column") {
        names.push(text("column", name)?);
    }
    names.sort();
    names.dedup();
    Ok((!names.is_empty()).then_some(names))
}

fn text(name: &str, value: &[u8]) -> Result<String, ApiError> {
    let bad = |_| ApiError::Malformed(format!("`{name}` is no text, as names of columns are"));
    String::from_utf8(value.to_vec()).map_err(bad)
}
