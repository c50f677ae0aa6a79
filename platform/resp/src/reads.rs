//! Commands that look at values: the same answers over any medium.

use crate::output::Output;
use crate::parse::{Command, number};
use alloc::vec::Vec;
use unison_base::Lsn;
use unison_engine::{ReadError, Reader, ValueRef};
use unison_ports::SegmentStore;

/// Most bytes of values in one answer.
pub const VALUES_BYTES_MAX: usize = 64 << 20;

/// What a number that is none is answered.
pub const NOT_A_NUMBER: &str = "value is not an integer or out of range";

/// How many of the keys a command named were there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Keys that were there.
    pub hits: u64,
    /// Keys that were not.
    pub misses: u64,
}

impl Looked {
    fn of<T>(found: Option<&T>) -> Self {
        Self { hits: u64::from(found.is_some()), misses: u64::from(found.is_none()) }
    }
}

/// A value as a bulk string: from the map into the output without a stop.
pub fn give_value<S: SegmentStore>(value: &ValueRef<S>, output: &mut Output) {
    match value.bytes() {
        Ok(bytes) => output.bulk(&bytes),
        Err(error) => output.err(error),
    }
}

/// Answers what `answer` makes of what `found` found; an error is answered by itself.
pub(crate) fn give<T>(
    found: Result<Option<T>, ReadError>,
    output: &mut Output,
    answer: impl FnOnce(Option<T>, &mut Output),
) -> Looked {
    match found {
        Ok(found) => {
            let looked = Looked::of(found.as_ref());
            answer(found, output);
            looked
        }
        Err(error) => {
            output.err(error);
            Looked::default()
        }
    }
}

/// `GET`.
pub fn get<S: SegmentStore>(
    reader: &Reader<S>,
    command: &Command<'_, '_>,
    output: &mut Output,
) -> Looked {
    give(reader.get(command.argument(1)), output, |value, output| match value {
        Some(value) => give_value(&value, output),
        None => output.null(),
    })
}

/// `STRLEN`. Reads no value.
pub fn length<S: SegmentStore>(
    reader: &Reader<S>,
    command: &Command<'_, '_>,
    output: &mut Output,
) -> Looked {
    let found = reader.snapshot().get(command.argument(1));
    give(found, output, |value, output| {
        output.count(value.map_or(0, |value| value.len()) as u64);
    })
}

/// The newest change of a key, else of a row of that name, and which of the two it is.
fn version<S: SegmentStore>(
    reader: &Reader<S>,
    key: &[u8],
) -> Result<Option<(Lsn, &'static str)>, ReadError> {
    Ok(match reader.version(key)? {
        Some(lsn) => Some((lsn, "string")),
        None => reader.row_version(key)?.map(|lsn| (lsn, "hash")),
    })
}

/// `TYPE`: a key is a string, a row is a hash; of a key and a row of the same name, the key is
/// meant. Reads no value.
pub fn kind_of<S: SegmentStore>(
    reader: &Reader<S>,
    command: &Command<'_, '_>,
    output: &mut Output,
) -> Looked {
    give(version(reader, command.argument(1)), output, |version, output| {
        output.simple(version.map_or("none", |(_, kind)| kind));
    })
}

/// `GETRANGE`.
pub fn range<S: SegmentStore>(
    reader: &Reader<S>,
    command: &Command<'_, '_>,
    output: &mut Output,
) -> Looked {
    let bounds = number(command.argument(2)).zip(number(command.argument(3)));
    let Some((start, end)) = bounds else {
        output.err(NOT_A_NUMBER);
        return Looked::default();
    };
    give(reader.get(command.argument(1)), output, |value, output| {
        match value.map(|value| value.bytes()).transpose() {
            Ok(bytes) => output.bulk(part(bytes.as_deref().unwrap_or_default(), start, end)),
            Err(error) => output.err(error),
        }
    })
}

/// The values of all keys named, at one moment, given to `answer`; an error is answered by itself.
fn look_up_all<S: SegmentStore>(
    reader: &Reader<S>,
    command: &Command<'_, '_>,
    output: &mut Output,
    answer: impl FnOnce(&[Option<ValueRef<S>>], &mut Output),
) -> Looked {
    let keys: Vec<&[u8]> = command.arguments_from(1).collect();
    match reader.multi_get(&keys) {
        Ok(values) => {
            let hits = values.iter().flatten().count() as u64;
            answer(&values, output);
            Looked { hits, misses: values.len() as u64 - hits }
        }
        Err(error) => {
            output.err(error);
            Looked::default()
        }
    }
}

/// Bytes of the values that the keys of a command have, all together. Reads no value.
///
/// # Errors
/// As [`Reader::multi_get`].
pub fn value_bytes<S: SegmentStore>(
    reader: &Reader<S>,
    keys: &[&[u8]],
) -> Result<usize, ReadError> {
    let values = reader.multi_get(keys)?;
    Ok(values.iter().flatten().map(ValueRef::len).fold(0, usize::saturating_add))
}

/// `MGET`.
pub fn multi_get<S: SegmentStore>(
    reader: &Reader<S>,
    command: &Command<'_, '_>,
    output: &mut Output,
) -> Looked {
    look_up_all(reader, command, output, give_values)
}

/// Values in their order, null where there is none; refused where they are too much for one answer.
pub(crate) fn give_values<S: SegmentStore>(values: &[Option<ValueRef<S>>], output: &mut Output) {
    let bytes = values.iter().flatten().map(ValueRef::len).fold(0, usize::saturating_add);
    if bytes > VALUES_BYTES_MAX {
        return output.err(format_args!(
            "the values have {bytes} bytes, an answer at most {VALUES_BYTES_MAX}; ask for fewer at a time"
        ));
    }
    output.array(values.len());
    for value in values {
        match value {
            Some(value) => give_value(value, output),
            None => output.null(),
        }
    }
}

/// `EXISTS`: counts what there is; a key and a row of the same name are two. Reads no value.
pub fn exists<S: SegmentStore>(
    reader: &Reader<S>,
    command: &Command<'_, '_>,
    output: &mut Output,
) -> Looked {
    let snapshot = reader.snapshot();
    let there = |name: &[u8]| -> Result<u64, ReadError> {
        Ok(u64::from(snapshot.get(name)?.is_some()) + u64::from(snapshot.row(name)?.is_some()))
    };
    let mut looked = Looked::default();
    for name in command.arguments_from(1) {
        match there(name) {
            Ok(0) => looked.misses += 1,
            Ok(found) => looked.hits += found,
            Err(error) => {
                output.err(error);
                return Looked::default();
            }
        }
    }
    output.count(looked.hits);
    looked
}

/// The bytes from `start` to `end`, both included; negative ones count from behind.
fn part(bytes: &[u8], start: i64, end: i64) -> &[u8] {
    let length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let place = |index: i64| if index < 0 { index.saturating_add(length).max(0) } else { index };
    if start < 0 && end < 0 && start > end {
        return &[];
    }
    let (start, end) = (place(start), place(end).min(length - 1));
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    range.and_then(|(start, end)| bytes.get(start..=end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::part;

    #[test]
    fn parts_as_redis_cuts_them() {
        let bytes = b"This is a string";
        for (start, end, expected) in [
            (0, 3, "This"),
            (-3, -1, "ing"),
            (0, -1, "This is a string"),
            (10, 100, "string"),
            (5, 3, ""),
            (-1, -5, ""),
            (100, 200, ""),
            (-100, 2, "Thi"),
            (i64::MIN, i64::MAX, "This is a string"),
            (0, -100, "T"),
        ] {
            assert_eq!(part(bytes, start, end), expected.as_bytes(), "{start} {end}");
        }
        assert_eq!(part(b"", 0, -1), b"");
    }
}
