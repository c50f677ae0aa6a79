//! Commands on hashes, which are rows.

use std::mem::take;

use unison_base::limits::SCAN_ENTRIES_MAX;
use unison_engine::Condition;
use unison_resp::hash_scan::Request;
use unison_resp::hashes::{self, FIELD_NAME, Limits, Parts, field};
use unison_resp::parse::Command;
use unison_resp::scan::ScanError;

use super::{Instead, Later, Session};
use crate::resp::run::{Answer, Run};

/// Most that an answer with all of a hash holds.
const LIMITS: Limits = Limits { fields: 100_000, bytes: 16 << 20 };
/// Bytes of names and values after which a page of `HSCAN` ends.
const PAGE_BYTES: usize = 4 << 20;

pub(in crate::resp) fn hset<'b>(
    command: &Command<'_, 'b>,
    run: &mut Run<'b>,
) -> Result<(), Instead> {
    let columns = columns(command, "hset")?;
    let fields = u32::try_from(columns.len()).unwrap_or(u32::MAX);
    run.put_columns(command.argument(1), columns, Answer::Added { fields });
    Ok(())
}

pub(in crate::resp) fn hmset<'b>(
    command: &Command<'_, 'b>,
    run: &mut Run<'b>,
) -> Result<(), Instead> {
    let columns = columns(command, "hmset")?;
    run.put_columns(command.argument(1), columns, Answer::Ok);
    Ok(())
}

/// Fields and values; of a field named twice the last value.
fn columns<'b>(command: &Command<'_, 'b>, name: &str) -> Result<Vec<(&'b str, &'b [u8])>, Instead> {
    if !command.len().is_multiple_of(2) {
        return Err(Instead::Refuse(format!("wrong number of arguments for '{name}' command")));
    }
    let names = command.arguments_from(2).step_by(2);
    let pairs = names.zip(command.arguments_from(3).step_by(2));
    let refuse = || Instead::Refuse(FIELD_NAME.to_owned());
    let columns: Result<Vec<_>, _> =
        pairs.map(|(name, value)| Ok((field(name).ok_or_else(refuse)?, value))).collect();
    let mut columns = columns?;
    // The sort is stable: of those with the same name the last comes first now, and stays.
    columns.reverse();
    columns.sort_by_key(|(name, _)| *name);
    columns.dedup_by_key(|(name, _)| *name);
    Ok(columns)
}

/// Deletes fields; one named twice counts once, one that cannot be there not at all.
pub(in crate::resp) fn hdel<'b>(
    command: &Command<'_, 'b>,
    run: &mut Run<'b>,
) -> Result<(), Instead> {
    let mut names: Vec<&str> = command.arguments_from(2).filter_map(field).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Err(Instead::Wait(Later::Zero));
    }
    run.delete_columns(command.argument(1), names, Condition::Present);
    Ok(())
}

pub(in crate::resp) fn hget(session: &mut Session, command: &Command<'_, '_>) {
    let looked = hashes::get(&session.reader(), command, &mut session.output);
    session.count(looked);
}

pub(in crate::resp) fn hmget(session: &mut Session, command: &Command<'_, '_>) {
    let looked = hashes::multi_get(&session.reader(), command, &mut session.output);
    session.count(looked);
}

pub(in crate::resp) fn hexists(session: &mut Session, command: &Command<'_, '_>) {
    let looked = hashes::exists(&session.reader(), command, &mut session.output);
    session.count(looked);
}

pub(in crate::resp) fn hstrlen(session: &mut Session, command: &Command<'_, '_>) {
    let looked = hashes::field_length(&session.reader(), command, &mut session.output);
    session.count(looked);
}

pub(in crate::resp) fn hscan(session: &mut Session, command: &Command<'_, '_>) {
    if let Err(why) = page(session, command) {
        session.output.err(why);
    }
}

fn page(session: &mut Session, command: &Command<'_, '_>) -> Result<(), ScanError> {
    let request = Request::of(command, SCAN_ENTRIES_MAX, PAGE_BYTES)?;
    let (name, server) = (session.namespace.name(), &session.server);
    let place = match request.cursor {
        0 => None,
        number => Some(server.cursors().find(name, number).ok_or(ScanError::UnknownCursor)?),
    };
    let mut page = request.page(&session.reader(), place.as_deref())?;
    let next = page.last.take().map_or(0, |last| server.cursors().keep(name, last));
    request.give(&page, next, &mut session.output);
    Ok(())
}

impl Session {
    pub(super) async fn hash_all(&mut self, row: &[u8], parts: Parts) {
        let (row, mut output) = (row.to_vec(), take(&mut self.output));
        let protocol = output.protocol;
        let answered = self.aside(move |reader| {
            if let Err(why) = hashes::all(&reader, &row, parts, LIMITS, &mut output) {
                output.err(why);
            }
            output
        });
        match answered.await {
            Some(output) => self.output = output,
            None => {
                // What was answered before is lost with it: the connection has no known state.
                self.output.protocol = protocol;
                self.output.err("the answer was given up");
                self.closing = true;
            }
        }
    }

    pub(super) async fn hash_length(&mut self, row: &[u8]) {
        let row = row.to_vec();
        match self.aside(move |reader| hashes::length(&reader, &row)).await {
            Some(Ok(fields)) => self.output.count(fields),
            Some(Err(error)) => self.output.err(error),
            None => self.output.err("the count was given up"),
        }
    }
}
