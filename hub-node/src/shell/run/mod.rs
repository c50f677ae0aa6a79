//! What commands do.

mod keys;
mod node;
mod objects;
mod rows;
mod settings;
mod topics;
mod transaction;
mod watch;

pub(super) use node::{Status, names};

use super::commands::Command;
use super::error::ShellError;
use super::output::{Cell, Table};
use super::session::{Session, check};
use crate::client::ClientError;
use std::io;
use std::sync::Arc;

/// Most items asked for at a time.
const PAGE_ITEMS: u64 = 1_000;

pub(super) fn run(session: &mut Session, command: Command) -> Result<(), ShellError> {
    let Some(command) = transaction::add(session, command)? else { return Ok(()) };
    match command {
        Command::Put { key, value, ttl, when } => {
            keys::put(session, &key.0, &value.0, ttl.as_deref(), &when)
        }
        Command::Get { key, required } => keys::get(session, &key.0, required),
        Command::Del { keys, when } => keys::delete(session, &keys, &when),
        Command::Scan(arguments) => keys::scan(session, &arguments),
        Command::Row(command) => rows::run(session, command),
        Command::Lob(command) => objects::run(session, command),
        Command::Publish(arguments) => topics::publish(session, &arguments),
        Command::Messages(arguments) => topics::messages(session, &arguments),
        Command::Topics(arguments) => topics::topics(session, &arguments),
        Command::Settings(command) => settings::run(session, &command),
        Command::Begin => transaction::begin(session),
        Command::Commit => transaction::commit(session),
        Command::Abort => transaction::abort(session),
        Command::Watch(arguments) => watch::watch(session, &arguments),
        Command::Quota { namespace, size } => node::limit(session, &namespace, &size),
        Command::Namespaces => node::namespaces(session),
        Command::Use { namespace } => node::go_to_namespace(session, &namespace),
        Command::Create { namespace } => node::create(session, &namespace),
        Command::Drop { namespace, yes: _ } => node::drop_namespace(session, &namespace),
        Command::Status => node::status(session),
        Command::Connect { url } => node::connect(session, &url),
        Command::Exit => Ok(()),
    }
}

/// The answer to a write of one entry.
fn written(session: &mut Session, lsn: u64) -> Result<(), ShellError> {
    let sentence = format!("ok, version {lsn}");
    Ok(session.output.done(&sentence, &[("lsn", Cell::Number(lsn))])?)
}

fn absent(what: &'static str, key: &[u8]) -> ShellError {
    ShellError::Absent { what, key: String::from_utf8_lossy(key).into_owned() }
}

/// How many items the next page should have, of `left`; nothing when none are left.
fn page_items(left: Option<u64>) -> Option<usize> {
    let items = left.unwrap_or(PAGE_ITEMS).min(PAGE_ITEMS);
    usize::try_from(items).ok().filter(|items| *items > 0)
}

/// Shows a list page by page, as much of it as is asked for; `None` is all of it.
fn list_pages<T, const N: usize>(
    session: &mut Session,
    columns: [&'static str; N],
    limit: Option<u64>,
    page: impl Fn(usize, Option<&str>) -> Result<(Vec<T>, Option<String>), ClientError>,
    mut show: impl FnMut(&mut Table<'_, N>, T) -> io::Result<()>,
) -> Result<(), ShellError> {
    let (mut cursor, mut left) = (None, limit);
    let interrupted = Arc::clone(&session.interrupted);
    let mut table = session.output.table(columns);
    let more = loop {
        let Some(items) = page_items(left) else { break cursor.is_some() };
        let (found, next) = page(items, cursor.as_deref())?;
        left = left.map(|left| left.saturating_sub(found.len() as u64));
        found.into_iter().try_for_each(|item| show(&mut table, item))?;
        cursor = next;
        if cursor.is_none() {
            break false;
        }
        check(&interrupted)?;
    };
    let shown = table.finish()?;
    end_of_listing(session, shown, more)
}

/// Says that a listing has ended before everything was shown.
fn end_of_listing(session: &mut Session, shown: u64, more: bool) -> Result<(), ShellError> {
    let sentence = match (shown, more) {
        (0, _) => "nothing there".to_owned(),
        (_, true) => "there is more: --limit 0 shows all of it".to_owned(),
        (_, false) => return Ok(()),
    };
    Ok(session.output.sentence(&sentence)?)
}
