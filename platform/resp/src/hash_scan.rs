//! `HSCAN`: a page of fields, and a place behind the last one looked at.

use crate::glob;
use crate::output::Output;
use crate::parse::{Command, number};
use crate::reads::give_value;
use crate::scan::ScanError;
use alloc::string::ToString as _;
use alloc::vec::Vec;
use core::ops::Bound;
use unison_engine::{Column, ColumnRange, Reader};
use unison_ports::SegmentStore;

/// Fields that one page looks at unless told otherwise.
const COUNT_DEFAULT: usize = 10;

/// What an `HSCAN` asks for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    row: &'a [u8],
    /// The number it goes on from; 0 for the beginning.
    pub cursor: u64,
    pattern: &'a [u8],
    count: usize,
    bytes_max: usize,
    values: bool,
}

/// The matching ones of the fields looked at, and the last of those when more may follow.
#[derive(Debug)]
pub struct Page<S: SegmentStore> {
    columns: Vec<Column<S>>,
    bytes: usize,
    /// The place where the next page goes on; `None` at the end.
    pub last: Option<Vec<u8>>,
}

impl<S: SegmentStore> Page<S> {
    /// Bytes of the names and values that it answers.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl<'a> Request<'a> {
    /// Reads a command. A page looks at no more than `count_max` fields, and ends behind `bytes_max`
    /// bytes of values.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn of(
        command: &Command<'_, 'a>,
        count_max: usize,
        bytes_max: usize,
    ) -> Result<Self, ScanError> {
        let cursor = number(command.argument(2)).and_then(|cursor| u64::try_from(cursor).ok());
        let cursor = cursor.ok_or(ScanError::Cursor)?;
        let (row, pattern, count) = (command.argument(1), b"*".as_slice(), COUNT_DEFAULT);
        let mut request = Self { row, cursor, pattern, count, bytes_max, values: true };
        let mut options = command.arguments_from(3);
        while let Some(option) = options.next() {
            let option = option.to_ascii_lowercase();
            if option == b"novalues" {
                request.values = false;
                continue;
            }
            let value = options.next().ok_or(ScanError::Syntax)?;
            match option.as_slice() {
                b"match" => request.pattern = value,
                b"count" => request.count = count_of(value)?.min(count_max),
                _ => return Err(ScanError::Syntax),
            }
        }
        Ok(request)
    }

    /// Looks at the next fields, behind the place at which an earlier page ended.
    ///
    /// # Errors
    /// The place is of another hash; the row cannot be read.
    pub fn page<S: SegmentStore>(
        &self,
        reader: &Reader<S>,
        place: Option<&[u8]>,
    ) -> Result<Page<S>, ScanError> {
        let after = place.map(|place| self.field_of(place)).transpose()?;
        let mut page = Page { columns: Vec::new(), bytes: 0, last: None };
        let Some(row) = reader.snapshot().row(self.row)? else { return Ok(page) };
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let columns = row.columns(ColumnRange { start, ..ColumnRange::default() })?;
        let mut looked_at = 0;
        for column in columns {
            let column = column?;
            looked_at += 1;
            let name = column.name.clone();
            if glob::matches(self.pattern, name.as_bytes()) {
                let value = if self.values { column.value.len() } else { 0 };
                page.bytes = page.bytes.saturating_add(name.len()).saturating_add(value);
                page.columns.push(column);
            }
            if looked_at >= self.count || page.bytes >= self.bytes_max {
                page.last = Some(self.place_of(&name));
                break;
            }
        }
        Ok(page)
    }

    /// Answers a page, and the number of the cursor behind it; 0 at the end.
    pub fn give<S: SegmentStore>(&self, page: &Page<S>, next: u64, output: &mut Output) {
        output.array(2);
        output.bulk(next.to_string().as_bytes());
        output.array(if self.values { 2 * page.columns.len() } else { page.columns.len() });
        for column in &page.columns {
            output.bulk(column.name.as_bytes());
            if self.values {
                give_value(&column.value, output);
            }
        }
    }

    /// Bytes of the row (u32, big-endian), row, field: a cursor is good for its own hash only.
    fn place_of(&self, field: &str) -> Vec<u8> {
        let length = u32::try_from(self.row.len()).unwrap_or(u32::MAX).to_be_bytes();
        [&length, self.row, field.as_bytes()].concat()
    }

    fn field_of<'p>(&self, place: &'p [u8]) -> Result<&'p str, ScanError> {
        let head = self.place_of("");
        let field = place.strip_prefix(head.as_slice()).ok_or(ScanError::UnknownCursor)?;
        core::str::from_utf8(field).map_err(|_| ScanError::UnknownCursor)
    }
}

fn count_of(value: &[u8]) -> Result<usize, ScanError> {
    let count = number(value).ok_or(ScanError::Count)?;
    usize::try_from(count).ok().filter(|count| *count > 0).ok_or(ScanError::Syntax)
}
