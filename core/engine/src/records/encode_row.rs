//! Entries of rows: behind the key, instead of a value, the columns.
//!
//! ```text
//!  columns: count u32, then an offset u32 for each
//!  for each column, from an offset of 0 modulo 4:
//!    table: soffset to the vtable of the entry, which has the same two fields; name; value
//!    name: length u32, bytes, a zero, padding to 4; value: length u32, bytes, padding to 4
//! ```
//!
//! A deleted column has a value of no bytes, a deleted row no columns: as the public UnisonDB
//! writes them.

use super::encode::{Encoder, Span, VTABLE_AT, count};
use crate::models::row;

/// Bytes of a column's table.
const TABLE_BYTES: usize = 12;

impl Encoder {
    /// Adds an entry with so many columns, each with a value unless it is deleted.
    pub(crate) fn row<'a>(
        &mut self,
        row: &[u8],
        columns: impl ExactSizeIterator<Item = (&'a str, Option<&'a [u8]>)>,
    ) {
        let nested = self.begin_entry(&row::log_head(row.len()), row);
        self.begin_second_field(nested);
        self.bytes.extend_from_slice(&count(columns.len()).to_le_bytes());
        let offsets = self.bytes.len();
        self.bytes.resize(offsets + 4 * columns.len(), 0);
        for (index, (name, value)) in columns.enumerate() {
            self.column(nested, offsets + 4 * index, name, value);
        }
        self.end_entry(nested);
    }

    fn column(&mut self, nested: usize, slot: usize, name: &str, value: Option<&[u8]>) {
        self.aligned_slot(slot);
        let table = self.bytes.len();
        self.bytes.resize(table + TABLE_BYTES, 0);
        self.patch(table, &count(table - (nested + VTABLE_AT)).to_le_bytes());
        self.aligned_slot(table + 4);
        self.vector(name.as_bytes());
        self.bytes.push(0);
        self.aligned_slot(table + 8);
        let span = self.vector(value.unwrap_or_default());
        self.values.push(if value.is_some() { span } else { Span::default() });
    }
}
