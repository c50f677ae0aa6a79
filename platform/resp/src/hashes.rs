//! Hashes are rows: a field is a column. Keys and rows are separate, so no name is ever of the wrong
//! type: `GET` sees keys only, commands that begin with `H` see rows only.
//!
//! A field's name is UTF-8 text of 1 to 255 bytes. Reading any other finds nothing.

use crate::output::Output;
use crate::parse::Command;
use crate::reads::{Looked, give_value, give_values};
use alloc::vec::Vec;
use unison_base::limits::COLUMN_NAME_MAX;
use unison_engine::{Column, ColumnRange, ReadError, Reader, Row, ValueRef};
use unison_ports::SegmentStore;

/// What the name of a field that is to be set has to be.
pub const FIELD_NAME: &str = "a field's name is UTF-8 text of 1 to 255 bytes";
const _: () = assert!(COLUMN_NAME_MAX == 255, "the text names it");

/// Most that an answer with all of a hash may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Fields.
    pub fields: usize,
    /// Bytes of names and values.
    pub bytes: usize,
}

/// Which parts of all fields are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    /// `HGETALL`.
    Both,
    /// `HKEYS`.
    Names,
    /// `HVALS`.
    Values,
}

/// Why all of a hash is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllError {
    /// It is larger than an answer may be.
    #[error(
        "the hash has more than the limit of {fields} fields or {bytes} bytes; use HSCAN or HMGET"
    )]
    TooLarge {
        /// Most fields.
        fields: usize,
        /// Most bytes.
        bytes: usize,
    },
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// The name of a field, if it can be one.
#[must_use]
pub fn field(name: &[u8]) -> Option<&str> {
    let length = 1..=COLUMN_NAME_MAX;
    core::str::from_utf8(name).ok().filter(|name| length.contains(&name.len()))
}

fn value<S: SegmentStore>(
    row: Option<&Row<S>>,
    name: &[u8],
) -> Result<Option<ValueRef<S>>, ReadError> {
    match row.zip(field(name)) {
        Some((row, name)) => row.column(name),
        None => Ok(None),
    }
}

/// Finds one field, without its value, and answers what `answer` makes of it.
fn one<S: SegmentStore>(
    reader: &Reader<S>,
    command: &Command<'_, '_>,
    output: &mut Output,
    answer: impl FnOnce(Option<ValueRef<S>>, &mut Output),
) -> Looked {
    let found = reader.snapshot().row(command.argument(1));
    give_one(found.and_then(|row| value(row.as_ref(), command.argument(2))), output, answer)
}

/// Answers what `answer` makes of what was found; an error is answered by itself.
fn give_one<T>(
    found: Result<Option<T>, ReadError>,
    output: &mut Output,
    answer: impl FnOnce(Option<T>, &mut Output),
) -> Looked {
    match found {
        Ok(found) => {
            let hits = u64::from(found.is_some());
            answer(found, output);
            Looked { hits, misses: 1 - hits }
        }
        Err(error) => {
            output.err(error);
            Looked::default()
        }
    }
}

/// `HGET`.
pub fn get<S: SegmentStore>(
    reader: &Reader<S>,
    command: &Command<'_, '_>,
    output: &mut Output,
) -> Looked {
    let found = match field(command.argument(2)) {
        Some(name) => reader.column(command.argument(1), name),
        None => Ok(None),
    };
    give_one(found, output, |value, output| match value {
        Some(value) => give_value(&value, output),
        None => output.null(),
    })
}

/// `HEXISTS`. Reads no value.
pub fn exists<S: SegmentStore>(
    reader: &Reader<S>,
    command: &Command<'_, '_>,
    output: &mut Output,
) -> Looked {
    one(reader, command, output, |value, output| output.integer(i64::from(value.is_some())))
}

/// `HSTRLEN`. Reads no value.
pub fn field_length<S: SegmentStore>(
    reader: &Reader<S>,
    command: &Command<'_, '_>,
    output: &mut Output,
) -> Looked {
    one(reader, command, output, |value, output| {
        output.count(value.map_or(0, |value| value.len()) as u64);
    })
}

/// `HMGET`: all fields at one moment.
pub fn multi_get<S: SegmentStore>(
    reader: &Reader<S>,
    command: &Command<'_, '_>,
    output: &mut Output,
) -> Looked {
    let found = reader.snapshot().row(command.argument(1));
    let values = found.and_then(|row| {
        let names = command.arguments_from(2);
        names.map(|name| value(row.as_ref(), name)).collect::<Result<Vec<_>, _>>()
    });
    match values {
        Ok(values) => {
            give_values(&values, output);
            let hits = values.iter().flatten().count() as u64;
            Looked { hits, misses: values.len() as u64 - hits }
        }
        Err(error) => {
            output.err(error);
            Looked::default()
        }
    }
}

/// Bytes of the values that the fields of a command have, all together. Reads no value.
///
/// # Errors
/// The row cannot be read.
pub fn value_bytes<S: SegmentStore>(
    reader: &Reader<S>,
    command: &Command<'_, '_>,
) -> Result<usize, ReadError> {
    let row = reader.snapshot().row(command.argument(1))?;
    let lengths = command.arguments_from(2).map(|name| {
        let found = value(row.as_ref(), name)?;
        Ok(found.map_or(0, |value| value.len()))
    });
    lengths.sum()
}

/// `HLEN`: looks at every field's name.
///
/// # Errors
/// The row cannot be read.
pub fn length<S: SegmentStore>(reader: &Reader<S>, row: &[u8]) -> Result<u64, ReadError> {
    length_while(reader, row, || true).map(Option::unwrap_or_default)
}

/// The same for as long as `goes_on` says so, which is asked at every field; `None` when it ceases to.
///
/// # Errors
/// As [`length`].
pub fn length_while<S: SegmentStore>(
    reader: &Reader<S>,
    row: &[u8],
    mut goes_on: impl FnMut() -> bool,
) -> Result<Option<u64>, ReadError> {
    let Some(row) = reader.snapshot().row(row)? else { return Ok(Some(0)) };
    let mut fields = 0;
    for column in row.columns(ColumnRange::default())? {
        column?;
        fields += 1;
        if !goes_on() {
            return Ok(None);
        }
    }
    Ok(Some(fields))
}

/// `HGETALL`, `HKEYS` and `HVALS`: all fields at one moment, in the order of their names.
///
/// # Errors
/// The hash is too large for one answer, or cannot be read. Nothing was answered.
pub fn all<S: SegmentStore>(
    reader: &Reader<S>,
    row: &[u8],
    parts: Parts,
    limits: Limits,
    output: &mut Output,
) -> Result<(), AllError> {
    let columns = collect(reader, row, limits)?;
    match parts {
        Parts::Both => output.map(columns.len()),
        Parts::Names | Parts::Values => output.array(columns.len()),
    }
    for column in &columns {
        if parts != Parts::Values {
            output.bulk(column.name.as_bytes());
        }
        if parts != Parts::Names {
            give_value(&column.value, output);
        }
    }
    Ok(())
}

fn collect<S: SegmentStore>(
    reader: &Reader<S>,
    row: &[u8],
    limits: Limits,
) -> Result<Vec<Column<S>>, AllError> {
    let Some(row) = reader.snapshot().row(row)? else { return Ok(Vec::new()) };
    let (mut columns, mut bytes) = (Vec::new(), 0_usize);
    for column in row.columns(ColumnRange::default())? {
        let column = column?;
        bytes = bytes.saturating_add(column.name.len()).saturating_add(column.value.len());
        columns.push(column);
        if columns.len() > limits.fields || bytes > limits.bytes {
            return Err(AllError::TooLarge { fields: limits.fields, bytes: limits.bytes });
        }
    }
    Ok(columns)
}
