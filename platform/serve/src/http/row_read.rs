//! `GET /row/{rowKey}`: all columns, named ones, or a range of them.

use std::ops::Bound;

use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use base64::Engine as _;
use serde::{Serialize, Serializer};
use unison_base::Lsn;
use unison_engine::{Column, ColumnRange, Row};
use unison_linux::FileStore;
use unison_linux::store::{Reader, ValueRef};

use super::condition::{unneeded, versioned};
use super::error::ApiError;
use super::item::BASE64;
use super::list::{PAGE_BYTES, limit};
use super::path::AtRow;
use super::query::Query;
use super::ttl::shown;

/// What a column costs in an answer beside its name and value, bytes.
pub(super) const COLUMN_BYTES: usize = 16;

/// Columns in their order: `{"name": "base64", ...}`.
#[derive(Debug, Default)]
pub(super) struct ColumnMap(Vec<(String, String)>);

impl ColumnMap {
    /// Adds a column. Returns what it costs.
    pub(super) fn push(&mut self, name: String, value: &ValueRef) -> Result<usize, ApiError> {
        let bytes = cost(&name, value);
        self.0.push((name, BASE64.encode(&*value.bytes()?)));
        Ok(bytes)
    }

    fn last(&self) -> Option<&str> {
        self.0.last().map(|(name, _)| name.as_str())
    }
}

fn cost(name: &str, value: &ValueRef) -> usize {
    name.len() + value.len() + COLUMN_BYTES
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
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
    /// The name behind which the next page begins; left out on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// Which columns are asked for.
enum Wanted {
    All,
    Named(Vec<String>),
    Page { range: Range, limit: usize },
}

struct Range {
    start: Bound<String>,
    end: Bound<String>,
    reverse: bool,
}

impl Range {
    fn borrowed(&self) -> ColumnRange<'_> {
        let (start, end) = (self.start.as_ref(), self.end.as_ref());
        let (start, end) = (start.map(String::as_str), end.map(String::as_str));
        ColumnRange { start, end, reverse: self.reverse }
    }
}

/// A missing row is an answer too: 200, `found` false, version 0.
pub(super) async fn get(at: AtRow, uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    let wanted = Wanted::of(uri.query())?;
    let reader = at.namespace.reader();
    let found = tokio::task::spawn_blocking(move || find(&reader, &at.row, &wanted)).await??;
    let lsn = Lsn(found.lsn);
    Ok(unneeded(&headers, lsn).unwrap_or_else(|| versioned(lsn, found)))
}

fn find(reader: &Reader, key: &[u8], wanted: &Wanted) -> Result<Found, ApiError> {
    let Some(row) = reader.snapshot().row(key)? else {
        let columns = ColumnMap::default();
        return Ok(Found { columns, found: false, lsn: 0, expires: None, cursor: None });
    };
    let mut answer = Answer::default();
    let mut cursor = None;
    match wanted {
        Wanted::All => {
            for column in row.columns(ColumnRange::default())? {
                answer.push(column?)?;
            }
        }
        Wanted::Named(names) => {
            for name in names {
                if let Some(value) = row.column(name)? {
                    answer.push(Column { name: name.clone(), value })?;
                }
            }
        }
        Wanted::Page { range, limit } => cursor = page(&row, range, *limit, &mut answer)?,
    }
    let expires = shown(row.expires_at());
    Ok(Found { columns: answer.columns, found: true, lsn: row.lsn().0, expires, cursor })
}

/// Fills a page. Returns the name behind which the next one begins.
fn page(
    row: &Row<FileStore>,
    range: &Range,
    limit: usize,
    answer: &mut Answer,
) -> Result<Option<String>, ApiError> {
    let mut columns = row.columns(range.borrowed())?;
    while answer.columns.0.len() < limit && answer.bytes < PAGE_BYTES {
        let Some(column) = columns.next().transpose()? else { return Ok(None) };
        answer.bytes += answer.columns.push(column.name, &column.value)?;
    }
    let more = columns.next().transpose()?.is_some();
    Ok(answer.columns.last().filter(|_| more).map(str::to_owned))
}

/// An answer without pages: no larger than a page, or than its only column.
#[derive(Default)]
struct Answer {
    columns: ColumnMap,
    bytes: usize,
}

impl Answer {
    /// Adds a column, unless the answer gets too large: then its value is not read.
    fn push(&mut self, column: Column<FileStore>) -> Result<(), ApiError> {
        let bytes = self.bytes + cost(&column.name, &column.value);
        if self.bytes > 0 && bytes > PAGE_BYTES {
            return Err(ApiError::RowTooLarge { limit: PAGE_BYTES });
        }
        self.bytes += self.columns.push(column.name, &column.value)?;
        Ok(())
    }
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
        Ok(Self::Page { range: Range { start, end, reverse }, limit: limit(query)? })
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
