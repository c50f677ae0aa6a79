//! Keys and values.

use super::{absent, list_pages, written};
use crate::shell::commands::{Bytes, ScanArguments, When};
use crate::shell::error::ShellError;
use crate::shell::output::Cell;
use crate::shell::session::Session;

pub(super) fn put(
    session: &mut Session,
    key: &[u8],
    value: &[u8],
    ttl: Option<&str>,
    when: &When,
) -> Result<(), ShellError> {
    let lsn = session.client.put(key, value, ttl, when.condition())?;
    written(session, lsn)
}

pub(super) fn get(session: &mut Session, key: &[u8], required: bool) -> Result<(), ShellError> {
    let key_cell = ("key", Cell::from(key.to_vec()));
    match session.client.value(key)? {
        Some(found) => {
            let (value, lsn) = (Cell::from(found.value.clone()), Cell::Number(found.lsn));
            let record = [key_cell, ("value", value), ("lsn", lsn), ("found", Cell::Flag(true))];
            Ok(session.output.value(&found.value, &record)?)
        }
        None if required => Err(absent("key", key)),
        None => Ok(session.output.nothing(&[key_cell, ("found", Cell::Flag(false))])?),
    }
}

pub(super) fn delete(session: &mut Session, keys: &[Bytes], when: &When) -> Result<(), ShellError> {
    match keys {
        [key] => {
            let lsn = session.client.delete(&key.0, when.condition())?;
            written(session, lsn)
        }
        keys if when.is_given() => Err(ShellError::ConditionOfMany { keys: keys.len() }),
        keys => {
            let keys: Vec<&[u8]> = keys.iter().map(|key| key.0.as_slice()).collect();
            let lsn = session.client.delete_all(&keys)?;
            written(session, lsn)
        }
    }
}

pub(super) fn scan(session: &mut Session, arguments: &ScanArguments) -> Result<(), ShellError> {
    let (scope, client) = (arguments.scope(), session.client.clone());
    let pages = |items, cursor: Option<&str>| client.page(&scope, items, cursor);
    list_pages(session, ["key", "value", "lsn"], arguments.limit(), pages, |table, item| {
        table.row([item.key.into(), item.value.into(), item.lsn.into()])
    })
}
