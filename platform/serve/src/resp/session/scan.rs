//! `SCAN`: a page of keys, and a cursor behind the last one looked at.

use std::ops::Bound;

use unison_base::limits::SCAN_ENTRIES_MAX;
use unison_engine::{ReadError, ScanRequest};
use unison_linux::store::Namespace;

use super::Session;
use crate::resp::glob;
use crate::resp::parse::{Command, number};

/// Keys that one page looks at unless told otherwise.
const COUNT_DEFAULT: usize = 10;

struct Request<'a> {
    pattern: &'a [u8],
    count: usize,
    /// Strings are the only type: any other matches nothing.
    strings: bool,
}

/// The matching ones of the keys looked at, and the last of those when more may follow.
#[derive(Default)]
struct Page {
    keys: Vec<Vec<u8>>,
    last: Option<Vec<u8>>,
}

pub(in crate::resp) fn scan(session: &mut Session, command: &Command<'_, '_>) {
    match page(session, command) {
        Ok((next, keys)) => {
            session.output.array(2);
            session.output.bulk(next.to_string().as_bytes());
            session.output.array(keys.len());
            keys.iter().for_each(|key| session.output.bulk(key));
        }
        Err(why) => session.output.err(why),
    }
}

fn page(session: &Session, command: &Command<'_, '_>) -> Result<(u64, Vec<Vec<u8>>), String> {
    let cursor = number(command.argument(1)).and_then(|cursor| u64::try_from(cursor).ok());
    let cursor = cursor.ok_or("invalid cursor")?;
    let request = Request::of(command)?;
    let name = session.namespace.name();
    let start = match cursor {
        0 => None,
        number => Some(
            session
                .server
                .cursors
                .find(name, number)
                .ok_or("this cursor is unknown or too old; begin again with SCAN 0")?,
        ),
    };
    let found = keys_behind(&session.namespace, start.as_deref(), &request);
    let found = found.map_err(|error| error.to_string())?;
    let next = found.last.map_or(0, |last| session.server.cursors.keep(name, last));
    Ok((next, found.keys))
}

/// Looks at the next keys.
fn keys_behind(
    namespace: &Namespace,
    start: Option<&[u8]>,
    request: &Request<'_>,
) -> Result<Page, ReadError> {
    let scan = namespace.reader().snapshot().scan(ScanRequest {
        prefix: glob::prefix(request.pattern),
        start: start.map_or(Bound::Unbounded, Bound::Excluded),
        end: Bound::Unbounded,
        reverse: false,
    })?;
    let (mut page, mut looked_at) = (Page::default(), 0);
    for item in scan.take(request.count) {
        let key = item?.key;
        looked_at += 1;
        if looked_at == request.count {
            page.last = Some(key.clone());
        }
        if request.strings && glob::matches(request.pattern, &key) {
            page.keys.push(key);
        }
    }
    Ok(page)
}

impl<'a> Request<'a> {
    fn of(command: &Command<'_, 'a>) -> Result<Self, &'static str> {
        let mut request = Self { pattern: b"*", count: COUNT_DEFAULT, strings: true };
        let mut options = command.arguments_from(2);
        while let Some(option) = options.next() {
            let value = options.next().ok_or("syntax error")?;
            match option.to_ascii_lowercase().as_slice() {
                b"match" => request.pattern = value,
                b"count" => request.count = count(value)?,
                b"type" => request.strings = value.eq_ignore_ascii_case(b"string"),
                _ => return Err("syntax error"),
            }
        }
        Ok(request)
    }
}

fn count(value: &[u8]) -> Result<usize, &'static str> {
    let count = number(value).ok_or("value is not an integer or out of range")?;
    let count = usize::try_from(count).ok().filter(|count| *count > 0).ok_or("syntax error")?;
    Ok(count.min(SCAN_ENTRIES_MAX))
}
