//! Rows: columns that merge.

use super::entry::decoded;
use super::keys::Written;
use super::request::{Condition, Method, Request, encoded};
use super::{Client, ClientError, KeyEncoding, Scope};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Names and values in base64.
type Columns = BTreeMap<String, String>;

/// A row, or the columns of it that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: Vec<u8>,
    pub(crate) columns: Vec<(String, Vec<u8>)>,
    pub(crate) lsn: u64,
}

#[derive(Deserialize)]
struct Found {
    columns: Columns,
    found: bool,
    lsn: u64,
}

#[derive(Serialize)]
struct Body<C> {
    columns: C,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    row_key: String,
    #[serde(default)]
    key_encoding: KeyEncoding,
    columns: Columns,
    lsn: u64,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Item>,
    cursor: Option<String>,
}

impl Client {
    /// Sets columns of a row and leaves its others. Returns the row's version.
    pub(crate) fn put_columns(
        &self,
        row: &[u8],
        columns: &[(String, Vec<u8>)],
        when: Condition,
    ) -> Result<u64, ClientError> {
        let encoded = columns.iter().map(|(name, value)| (name.as_str(), STANDARD.encode(value)));
        let body = Body { columns: encoded.collect::<BTreeMap<_, _>>() };
        let request = Request::new(Method::Put, self.path("row", row)).when(when).json(&body)?;
        Ok(self.call::<Written>(&request)?.lsn)
    }

    /// A row, all of it or the named columns.
    pub(crate) fn row(&self, row: &[u8], names: &[String]) -> Result<Option<Row>, ClientError> {
        let names: Vec<_> =
            names.iter().map(|name| format!("column={}", encoded(name.as_bytes()))).collect();
        let path = format!("{}?{}", self.path("row", row), names.join("&"));
        let answer: Found = self.call(&Request::new(Method::Get, path))?;
        let columns = columns(answer.columns)?;
        Ok(answer.found.then_some(Row { key: row.to_vec(), columns, lsn: answer.lsn }))
    }

    /// Deletes a row, or the named columns of it.
    pub(crate) fn delete_row(
        &self,
        row: &[u8],
        names: &[String],
        when: Condition,
    ) -> Result<u64, ClientError> {
        let path = self.path("row", row);
        let request = if names.is_empty() {
            Request::new(Method::Delete, path)
        } else {
            Request::new(Method::Delete, format!("{path}/columns"))
                .json(&Body { columns: names })?
        };
        Ok(self.call::<Written>(&request.when(when))?.lsn)
    }

    /// A page of rows, and the cursor of the next one. A row too wide for a page is in both.
    pub(crate) fn row_page(
        &self,
        scope: &Scope,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<(Vec<Row>, Option<String>), ClientError> {
        let query = format!("row?{}", scope.query(limit, cursor));
        let page: Page = self.call(&Request::new(Method::Get, self.within(&query)))?;
        let rows: Result<Vec<_>, _> = page.items.into_iter().map(Item::decode).collect();
        Ok((rows?, page.cursor))
    }
}

impl Item {
    fn decode(self) -> Result<Row, ClientError> {
        let key = self.key_encoding.decode(self.row_key).map_err(ClientError::Base64)?;
        Ok(Row { key, columns: columns(self.columns)?, lsn: self.lsn })
    }
}

fn columns(encoded: Columns) -> Result<Vec<(String, Vec<u8>)>, ClientError> {
    encoded.into_iter().map(|(name, value)| Ok((name, decoded(&value)?))).collect()
}
