//! `GET /topics/subscribe`: messages as they become visible, as Server-Sent Events, behind those that
//! are there already.
//!
//! A subscription is a position in the order of time and a filter. What has been there for long is read
//! by topics, what comes is found by the log: it says which topics have news, and only these are read,
//! however many there are. Either way messages are read as all others are, so it shows what a read
//! shows: what is committed, of topics that come later too. The id of an event is the message's, so a
//! client that comes back with `Last-Event-ID` goes on behind it. The greeting has the place for a
//! client that is cut off before the first one.

mod beginning;
mod subscription;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use unison_base::Lsn;
use unison_engine::{
    ChangeFilter, ChangeId, ChangeModel, MessageId, Models, ReadError, TopicFilter,
};
use unison_linux::store::{Namespace, Reader, Snapshot};

use super::error::ApiError;
use super::event_stream;
use super::line::Line;
use super::moment::{moment_ms, now_ms};
use super::path::InNamespace;
use super::query::Query;
use super::topics::id_of;
use super::topics_read::{MessageBody, filter, text};
use super::watch::not_ahead;
use crate::config::Span;
use crate::node::{Node, Role};
use beginning::last_before;
use subscription::{From, Source, Subscription};

/// What a stream begins with.
const GREETING: &[u8] = b": subscribed\n\n";
/// So many records back the log is read, whatever is in it: a few tens of MiB of small ones.
const NEAR_RECORDS: u64 = 65_536;
/// Behind all messages of a record, in as many digits as an id has.
const LAST_INDEX: u32 = 999_999_999;
/// Most bytes of retained messages that a subscription begins with.
const RETAINED_BYTES_MAX: usize = 4 << 20;
const TOO_MUCH_RETAINED: &str =
    "the retained messages have more than 4 MiB: narrow the filter, or page `topics/retained`";

/// The place before all messages.
const NO_MESSAGE: MessageId = MessageId { lsn: Lsn::ZERO, index: 0 };

/// Where a subscription begins.
enum Start {
    Now,
    /// With the retained messages.
    Retained,
    /// Behind a message, or with the first one of a record.
    Behind(MessageId),
    From(Lsn),
    Time(u64),
}

/// From where on messages are told, in which way, and what is told before all else.
struct Beginning {
    source: Source,
    seen: MessageId,
    greeting: Vec<u8>,
}

pub(super) async fn subscribe(
    State(node): State<Arc<Node>>,
    InNamespace(namespace): InNamespace,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let query = Query::parse(uri.query(), &["filter", "start", "syntax"])?;
    let (filter, start) = (filter(&query)?, start(&query, &headers)?);
    match start {
        Start::Behind(seen) => drop(not_ahead(&node, &namespace, ChangeId::whole(seen.lsn))?),
        Start::From(lsn) => not_to_come(&node, &namespace, lsn)?,
        Start::Now | Start::Retained | Start::Time(_) => {}
    }
    let applied = namespace.reader().applied();
    let mut watcher =
        node.watchers.watch(&namespace, news_of(&filter), ChangeId::whole(applied))?;
    let in_log = place_in_log(&start).filter(|place| {
        watcher.go_behind(*place, news_of(&filter));
        watcher.check().is_ok()
    });
    let (reader, asked) = (namespace.reader(), filter.clone());
    let is_near = in_log.is_some_and(|place| applied.0.saturating_sub(place.lsn.0) <= NEAR_RECORDS);
    let begin = move || begin(&reader, &asked, &start, (in_log.is_some(), is_near));
    let Beginning { source, seen, greeting } = tokio::task::spawn_blocking(begin).await??;
    if let (Source::Log, None) = (&source, in_log) {
        watcher.go_behind(ChangeId::whole(seen.lsn), news_of(&filter));
    }
    let line = Line::new(&node, namespace.name());
    let subscription = Subscription::new(watcher, namespace, (filter, source, seen), line);
    Ok(event_stream::answer(&greeting, subscription))
}

/// The events that say that there is something to tell.
fn news_of(filter: &TopicFilter) -> ChangeFilter {
    let models = Models::NONE.with(ChangeModel::Topic);
    ChangeFilter { models, topics: Some(filter.clone()), ..ChangeFilter::default() }
}

/// Behind which event the log has all that is to be told. Of the record that a message was in, there
/// may be more.
fn place_in_log(start: &Start) -> Option<ChangeId> {
    let first = match start {
        Start::Behind(seen) => seen.lsn,
        Start::From(lsn) => *lsn,
        Start::Now | Start::Retained | Start::Time(_) => return None,
    };
    Some(ChangeId::whole(Lsn(first.0.saturating_sub(1))))
}

/// A hub knows which record is the next one. A time in milliseconds, which other requests take, would
/// else be waited for as an LSN.
fn not_to_come(node: &Node, namespace: &Namespace, lsn: Lsn) -> Result<(), ApiError> {
    let next = namespace.reader().applied().0 + 1;
    if lsn.0 <= next || node.role != Role::Hub {
        return Ok(());
    }
    let why = "`start`: a number is an LSN, and the next one is";
    Err(ApiError::Malformed(format!("{why} {next}; a time is written as in 2026-03-14T15:09:26Z")))
}

fn start(query: &Query, headers: &HeaderMap) -> Result<Start, ApiError> {
    if let Some(id) = headers.get("last-event-id").filter(|id| !id.is_empty()) {
        let id = id.to_str().ok().and_then(id_of);
        let why = || ApiError::Malformed("`Last-Event-ID` is <lsn>-<index>".to_owned());
        return id.map(Start::Behind).ok_or_else(why);
    }
    match text(query, "start")?.unwrap_or("now") {
        "" | "now" => Ok(Start::Now),
        "retained" => Ok(Start::Retained),
        number if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            let lsn = number.parse().map(Lsn);
            lsn.map(Start::From).map_err(|_| ApiError::Malformed("`start` is no LSN".to_owned()))
        }
        time => match time.parse::<Span>() {
            Ok(span) => {
                let ms = u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX);
                Ok(Start::Time(now_ms().saturating_sub(ms)))
            }
            Err(_) => moment_ms(time).map(Start::Time),
        },
    }
}

/// Where it begins. The log tells of what came last; further back the topics do, unless they are too
/// many to be merged.
fn begin(
    reader: &Reader,
    asked: &TopicFilter,
    start: &Start,
    (is_in_log, is_near): (bool, bool),
) -> Result<Beginning, ApiError> {
    let snapshot = reader.snapshot();
    let (seen, is_near) = match *start {
        Start::Now | Start::Retained => (all_of(snapshot.lsn()), true),
        Start::Behind(seen) => (seen, is_near),
        Start::From(Lsn::ZERO) => (NO_MESSAGE, is_near),
        Start::From(lsn) => (all_of(lsn.prev()), is_near),
        Start::Time(ms) => {
            let source = Source::Topics(From { ms, after: None });
            return Ok(Beginning { source, seen: NO_MESSAGE, greeting: GREETING.to_vec() });
        }
    };
    let first = match start {
        Start::Retained => retained(&snapshot, asked)?,
        _ => Vec::new(),
    };
    let from_log = || Beginning { source: Source::Log, seen, greeting: greeting(&first, seen) };
    if is_near {
        return Ok(from_log());
    }
    match last_before(&snapshot, asked, &|id| id > seen) {
        Ok(after) => {
            let place = after.map_or(NO_MESSAGE, |after| after.id()).max(seen);
            let source = Source::Topics(From { ms: 0, after });
            Ok(Beginning { source, seen, greeting: greeting(&first, place) })
        }
        Err(ApiError::Read(ReadError::Streams { .. })) if is_in_log => Ok(from_log()),
        Err(error) => Err(error),
    }
}

/// The place behind all messages of a record.
fn all_of(lsn: Lsn) -> MessageId {
    MessageId { lsn, index: LAST_INDEX }
}

/// With what is told first, and the place to come back to for a client that is cut off before the
/// first message behind it.
fn greeting(first: &[u8], place: MessageId) -> Vec<u8> {
    let id = format!("id: {}-{}\n\n", place.lsn, place.index);
    [GREETING, first, id.as_bytes()].concat()
}

/// The retained messages as events.
fn retained(snapshot: &Snapshot, asked: &TopicFilter) -> Result<Vec<u8>, ApiError> {
    let mut text = Vec::new();
    for message in snapshot.retained(asked, None)? {
        write_data(&MessageBody::of(&message?, asked), &mut text);
        if text.len() > RETAINED_BYTES_MAX {
            return Err(ApiError::Malformed(TOO_MUCH_RETAINED.to_owned()));
        }
    }
    Ok(text)
}

/// Appends an event without an id: a client that is cut off behind it comes back to the same place.
fn write_data(body: &MessageBody, text: &mut Vec<u8>) {
    text.extend_from_slice(b"data: ");
    // A vector takes everything that is written to it, and the body has no maps with odd keys.
    let _ = serde_json::to_writer(&mut *text, body);
    text.extend_from_slice(b"\n\n");
}
