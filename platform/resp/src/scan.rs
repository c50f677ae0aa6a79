//! `SCAN`: a page of keys, and a cursor behind the last one looked at.

use crate::glob;
use crate::output::Output;
use crate::parse::{Command, number};
use crate::reads::NOT_A_NUMBER;
use alloc::string::ToString as _;
use alloc::vec::Vec;
use core::ops::Bound;
use unison_engine::{ReadError, Reader, ScanRequest};
use unison_ports::SegmentStore;

/// Keys that one page looks at unless told otherwise.
const COUNT_DEFAULT: usize = 10;

/// Why a `SCAN` is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// The cursor is no number.
    #[error("invalid cursor")]
    Cursor,
    /// The cursor was never given out, or too long ago.
    #[error("this cursor is unknown or too old; begin again with SCAN 0")]
    UnknownCursor,
    /// An option that there is not, or without its value.
    #[error("syntax error")]
    Syntax,
    /// The count is no number.
    #[error("{NOT_A_NUMBER}")]
    Count,
    /// The keys cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// How much one page looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most keys.
    pub keys: usize,
    /// Bytes of keys after which the page ends.
    pub key_bytes: usize,
}

/// What a `SCAN` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The number it goes on from; 0 for the beginning.
    pub cursor: u64,
    pattern: &'a [u8],
    count: usize,
    key_bytes: usize,
    /// Strings are the only type: any other matches nothing.
    strings: bool,
}

/// The matching ones of the keys looked at, and the last of those when more may follow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The keys that match.
    pub keys: Vec<Vec<u8>>,
    /// Where the next page goes on; `None` at the end.
    pub last: Option<Vec<u8>>,
}

impl<'a> Request<'a> {
    /// Reads a command.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn of(command: &Command<'_, 'a>, limits: Limits) -> Result<Self, ScanError> {
        let cursor = number(command.argument(1)).and_then(|cursor| u64::try_from(cursor).ok());
        let cursor = cursor.ok_or(ScanError::Cursor)?;
        let (pattern, key_bytes) = (b"*".as_slice(), limits.key_bytes);
        let mut request = Self { cursor, pattern, count: COUNT_DEFAULT, key_bytes, strings: true };
        let mut options = command.arguments_from(2);
        while let Some(option) = options.next() {
            let value = options.next().ok_or(ScanError::Syntax)?;
            match option.to_ascii_lowercase().as_slice() {
                b"match" => request.pattern = value,
                b"count" => request.count = count(value, limits.keys)?,
                b"type" => request.strings = value.eq_ignore_ascii_case(b"string"),
                _ => return Err(ScanError::Syntax),
            }
        }
        Ok(request)
    }

    /// Looks at the next keys, behind `start`.
    ///
    /// # Errors
    /// The keys cannot be read.
    pub fn page<S: SegmentStore>(
        &self,
        reader: &Reader<S>,
        start: Option<&[u8]>,
    ) -> Result<Page, ReadError> {
        let scan = reader.snapshot().scan(ScanRequest {
            prefix: glob::prefix(self.pattern),
            start: start.map_or(Bound::Unbounded, Bound::Excluded),
            end: Bound::Unbounded,
            reverse: false,
        })?;
        let (mut page, mut looked_at, mut key_bytes) = (Page::default(), 0, 0);
        for item in scan {
            let key = item?.key;
            looked_at += 1;
            key_bytes += key.len();
            let is_last = looked_at == self.count || key_bytes >= self.key_bytes;
            if is_last {
                page.last = Some(key.clone());
            }
            if self.strings && glob::matches(self.pattern, &key) {
                page.keys.push(key);
            }
            if is_last {
                break;
            }
        }
        Ok(page)
    }
}

/// Answers a page, and the number of the cursor behind it; 0 at the end.
pub fn give_page(output: &mut Output, next: u64, keys: &[Vec<u8>]) {
    output.array(2);
    output.bulk(next.to_string().as_bytes());
    output.array(keys.len());
    keys.iter().for_each(|key| output.bulk(key));
}

fn count(value: &[u8], count_max: usize) -> Result<usize, ScanError> {
    let count = number(value).ok_or(ScanError::Count)?;
    let count = usize::try_from(count).ok().filter(|count| *count > 0);
    Ok(count.ok_or(ScanError::Syntax)?.min(count_max))
}
