//! Rows of verified records.

use super::Span;
use super::decode::{Record, entries, nested, span};
use crate::expiry::Expiry;
use unison_schemas::RowUpdateEntry;

/// One row of a record.
pub(crate) struct RowEntry<'a> {
    payload: &'a [u8],
    /// The row's key in the log's form.
    pub(crate) key: &'a [u8],
    table: RowUpdateEntry<'a>,
}

/// The rows of a record of rows.
pub(crate) fn rows<'a>(record: &Record<'a>) -> impl Iterator<Item = RowEntry<'a>> {
    let payload = record.payload;
    entries(&record.table).filter_map(move |entry| {
        let table = nested::<RowUpdateEntry<'_>>(entry)?;
        Some(RowEntry { payload, key: table.key()?.bytes(), table })
    })
}

impl<'a> RowEntry<'a> {
    /// When the row expires.
    pub(crate) fn expiry(&self) -> Expiry {
        Expiry(self.table.expires_at())
    }

    /// Names and values of the columns, each value with its place in the record.
    pub(crate) fn columns(&self) -> impl Iterator<Item = (&'a str, &'a [u8], Span)> + use<'a> {
        let payload = self.payload;
        self.table.columns().into_iter().flatten().map(move |column| {
            let value = column.value().map(|value| value.bytes()).unwrap_or_default();
            (column.name().unwrap_or_default(), value, span(payload, value))
        })
    }
}
