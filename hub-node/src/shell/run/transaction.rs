//! Transactions: `begin`, writes of all models, `commit` or `abort`.

use crate::shell::commands::{Command, ObjectCommand, RowCommand, When};
use crate::shell::error::ShellError;
use crate::shell::output::Cell;
use crate::shell::session::{Open, Session};
use std::fs::File;

pub(super) fn begin(session: &mut Session) -> Result<(), ShellError> {
    if session.open.is_some() {
        return Err(ShellError::TransactionOpen);
    }
    let transaction = session.client.begin()?;
    session.open = Some(Open { transaction, failed: false });
    Ok(session.output.sentence("writes wait for `commit`; reads see what was there before")?)
}

pub(super) fn commit(session: &mut Session) -> Result<(), ShellError> {
    let Open { transaction, failed } = session.open.take().ok_or(ShellError::NoTransaction)?;
    if failed {
        transaction.abort()?;
        return Err(ShellError::TransactionFailed);
    }
    let committed = transaction.commit()?;
    let (checksum, lsn) = (u64::from(committed.checksum), committed.lsn);
    let sentence = format!("committed, version {lsn}, checksum {checksum}");
    Ok(session.output.done(&sentence, &[("lsn", lsn.into()), ("checksum", checksum.into())])?)
}

pub(super) fn abort(session: &mut Session) -> Result<(), ShellError> {
    let open = session.open.take().ok_or(ShellError::NoTransaction)?;
    open.transaction.abort()?;
    Ok(session.output.done("aborted", &[("aborted", Cell::Flag(true))])?)
}

/// Adds a write to the open transaction; the command comes back when it is no write of data.
pub(super) fn add(session: &mut Session, command: Command) -> Result<Option<Command>, ShellError> {
    let Some(open) = &session.open else { return Ok(Some(command)) };
    let transaction = &open.transaction;
    match &command {
        Command::Put { key, value, ttl, when } => {
            transaction.key(&key.0, Some(&value.0), ttl.as_deref(), when.condition())?;
        }
        Command::Del { keys, when } => {
            if when.is_given() && keys.len() > 1 {
                return Err(ShellError::ConditionOfMany { keys: keys.len() });
            }
            for key in keys {
                transaction.key(&key.0, None, None, when.condition())?;
            }
        }
        Command::Row(RowCommand::Put { row, columns, when }) => {
            transaction.put_columns(&row.0, columns, when.condition())?;
        }
        Command::Row(RowCommand::Del { row, columns, when }) => {
            transaction.delete_row(&row.0, columns, when.condition())?;
        }
        Command::Lob(ObjectCommand::Put { key, file, when }) => {
            unconditional(when)?;
            let opened = File::open(file).map_err(ShellError::file(file))?;
            transaction.upload(&key.0, opened)?;
        }
        Command::Lob(ObjectCommand::Del { key, when }) => {
            unconditional(when)?;
            transaction.delete_object(&key.0)?;
        }
        Command::Publish(publish) => {
            let ttl = publish.ttl.as_deref();
            transaction.publish(&publish.topic, &publish.payload.0, ttl, publish.retain)?;
        }
        Command::Use { .. } | Command::Connect { .. } => return Err(ShellError::TransactionOpen),
        _ => return Ok(Some(command)),
    }
    session.output.done("added", &[("added", Cell::Flag(true))])?;
    Ok(None)
}

/// A condition on an object within a transaction is something that the API has no words for.
fn unconditional(when: &When) -> Result<(), ShellError> {
    if when.is_given() { Err(ShellError::ConditionOfObject) } else { Ok(()) }
}
