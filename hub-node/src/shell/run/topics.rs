//! Topics.

use super::list_pages;
use crate::shell::commands::{ListArguments, PublishArguments};
use crate::shell::error::ShellError;
use crate::shell::session::Session;

/// Finds every topic.
const ALL: &str = "#";

pub(super) fn publish(
    session: &mut Session,
    arguments: &PublishArguments,
) -> Result<(), ShellError> {
    let PublishArguments { topic, payload, ttl, retain } = arguments;
    let id = session.client.publish(topic, &payload.0, ttl.as_deref(), *retain)?;
    let sentence = format!("ok, message {id}");
    Ok(session.output.done(&sentence, &[("id", id.into())])?)
}

fn filter(arguments: &ListArguments) -> String {
    let filter = arguments.what.as_ref().map(|filter| String::from_utf8_lossy(&filter.0));
    filter.map_or_else(|| ALL.to_owned(), std::borrow::Cow::into_owned)
}

pub(super) fn messages(session: &mut Session, arguments: &ListArguments) -> Result<(), ShellError> {
    let (client, filter) = (session.client.clone(), filter(arguments));
    let pages = |items, cursor: Option<&str>| client.message_page(&filter, items, cursor);
    list_pages(
        session,
        ["id", "time", "topic", "payload"],
        arguments.limit(),
        pages,
        |table, item| {
            table.row([item.id.into(), item.time.into(), item.place.into(), item.payload.into()])
        },
    )
}

pub(super) fn topics(session: &mut Session, arguments: &ListArguments) -> Result<(), ShellError> {
    let (client, filter) = (session.client.clone(), filter(arguments));
    let pages = |items, cursor: Option<&str>| client.topic_page(&filter, items, cursor);
    list_pages(session, ["topic"], arguments.limit(), pages, |table, name| table.row([name.into()]))
}
