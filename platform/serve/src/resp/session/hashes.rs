//! Commands on hashes, which are rows.

use unison_base::limits::SCAN_ENTRIES_MAX;
use unison_engine::Condition;
use unison_resp::hash_scan::Request;
use unison_resp::hashes::{self, FIELD_NAME, Limits, Parts, field};
use unison_resp::parse::Command;
use unison_resp::scan::ScanError;

use super::Instead;
use super::looking::Looking;
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
        return Err(Instead::Zero);
    }
    run.delete_columns(command.argument(1), names, Condition::Present);
    Ok(())
}

pub(in crate::resp) fn hget(look: &mut Looking<'_>, command: &Command<'_, '_>) {
    let looked = hashes::get(look.reader, command, look.output);
    look.count(looked);
}

pub(in crate::resp) fn hmget(look: &mut Looking<'_>, command: &Command<'_, '_>) {
    let looked = hashes::multi_get(look.reader, command, look.output);
    look.count(looked);
}

pub(in crate::resp) fn hexists(look: &mut Looking<'_>, command: &Command<'_, '_>) {
    let looked = hashes::exists(look.reader, command, look.output);
    look.count(looked);
}

pub(in crate::resp) fn hstrlen(look: &mut Looking<'_>, command: &Command<'_, '_>) {
    let looked = hashes::field_length(look.reader, command, look.output);
    look.count(looked);
}

pub(in crate::resp) fn hscan(look: &mut Looking<'_>, command: &Command<'_, '_>) {
    if let Err(why) = page(look, command) {
        look.output.err(why);
    }
}

fn page(look: &mut Looking<'_>, command: &Command<'_, '_>) -> Result<(), ScanError> {
    let request = Request::of(command, SCAN_ENTRIES_MAX, PAGE_BYTES)?;
    let (name, server) = (look.namespace.name(), look.server);
    let place = match request.cursor {
        0 => None,
        number => Some(server.cursors().find(name, number).ok_or(ScanError::UnknownCursor)?),
    };
    let mut page = request.page(look.reader, place.as_deref())?;
    let next = page.last.take().map_or(0, |last| server.cursors().keep(name, last));
    request.give(&page, next, look.output);
    Ok(())
}

pub(in crate::resp) fn hgetall(look: &mut Looking<'_>, command: &Command<'_, '_>) {
    all(look, command, Parts::Both);
}

pub(in crate::resp) fn hkeys(look: &mut Looking<'_>, command: &Command<'_, '_>) {
    all(look, command, Parts::Names);
}

pub(in crate::resp) fn hvals(look: &mut Looking<'_>, command: &Command<'_, '_>) {
    all(look, command, Parts::Values);
}

fn all(look: &mut Looking<'_>, command: &Command<'_, '_>, parts: Parts) {
    if let Err(why) = hashes::all(look.reader, command.argument(1), parts, LIMITS, look.output) {
        look.output.err(why);
    }
}

pub(in crate::resp) fn hlen(look: &mut Looking<'_>, command: &Command<'_, '_>) {
    match hashes::length_while(look.reader, command.argument(1), || look.time.goes_on()) {
        Ok(fields) => look.output.count(fields.unwrap_or_default()),
        Err(error) => look.output.err(error),
    }
}
