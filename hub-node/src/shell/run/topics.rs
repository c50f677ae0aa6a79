//! Topics.

use super::{end_of_listing, page_items};
use crate::shell::commands::{ListArguments, PublishArguments};
use crate::shell::error::ShellError;
use crate::shell::session::{Session, check};
use std::sync::Arc;

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
    let (mut cursor, mut left) = (None, arguments.limit());
    let interrupted = Arc::clone(&session.interrupted);
    let mut table = session.output.table(["id", "time", "topic", "payload"]);
    let more = loop {
        let Some(items) = page_items(left) else { break cursor.is_some() };
        let (page, next) = client.message_page(&filter, items, cursor.as_deref())?;
        left = left.map(|left| left.saturating_sub(page.len() as u64));
        for item in page {
            table.row([
                item.id.into(),
                item.time.into(),
                item.place.into(),
                item.payload.into(),
            ])?;
        }
        cursor = next;
        if cursor.is_none() {
            break false;
        }
        check(&interrupted)?;
    };
    let shown = table.finish()?;
    end_of_listing(session, shown, more)
}

pub(super) fn topics(session: &mut Session, arguments: &ListArguments) -> Result<(), ShellError> {
    let (client, filter) = (session.client.clone(), filter(arguments));
    let (mut cursor, mut left) = (None, arguments.limit());
    let interrupted = Arc::clone(&session.interrupted);
    let mut table = session.output.table(["topic"]);
    let more = loop {
        let Some(items) = page_items(left) else { break cursor.is_some() };
        let (page, next) = client.topic_page(&filter, items, cursor.as_deref())?;
        left = left.map(|left| left.saturating_sub(page.len() as u64));
        for name in page {
            table.row([name.into()])?;
        }
        cursor = next;
        if cursor.is_none() {
            break false;
        }
        check(&interrupted)?;
    };
    let shown = table.finish()?;
    end_of_listing(session, shown, more)
}
