//! `GET /topics/subscribe`: messages as they become visible, as Server-Sent Events, behind those that
//! are there already.
//!
//! A subscription is a position in the order of time and a filter. Its messages are read as all others
//! are, page by page, so it shows what a read shows: what is committed, of topics that come later too.
//! The id of an event is the message's, so a client that comes back with `Last-Event-ID` goes on
//! behind it. The greeting has the id of the newest message that is not told of, for a client that is
//! cut off before the first one.

mod beginning;

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use unison_base::Lsn;
use unison_engine::{
    ChangeFilter, ChangeId, MessageId, MessagePosition, MessageRequest, Models, Reached,
    TopicFilter,
};
use unison_linux::store::{Message, Namespace, Reader};

use super::error::ApiError;
use super::event_stream::{self, HEARTBEAT, Part, Teller};
use super::line::Line;
use super::moment::{moment_ms, now_ms};
use super::path::InNamespace;
use super::query::Query;
use super::topics::id_of;
use super::topics_read::{MessageBody, filter, text};
use super::watch::not_ahead;
use crate::config::Span;
use crate::node::{Node, Role};
use crate::watch::Watcher;
use beginning::last_before;

/// A part of the stream is written once it has this many bytes.
const PART_BYTES: usize = 64 << 10;
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

/// What has to be told next.
struct Subscription {
    watcher: Watcher,
    namespace: Arc<Namespace>,
    filter: TopicFilter,
    from: From,
    line: Line,
}

/// Which messages are to come.
#[derive(Clone, Copy)]
struct From {
    ms: u64,
    after: Option<MessagePosition>,
    /// Told of at another node, which may be ahead of this one.
    seen: MessageId,
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
    let nothing = ChangeFilter { models: Models::NONE, ..ChangeFilter::default() };
    let applied = ChangeId::whole(namespace.reader().applied());
    let watcher = node.watchers.watch(&namespace, nothing, applied)?;
    let (reader, asked) = (namespace.reader(), filter.clone());
    let begin = move || begin(&reader, &asked, &start);
    let (from, greeting) = tokio::task::spawn_blocking(begin).await??;
    let line = Line::new(&node, namespace.name());
    let subscription = Subscription { watcher, namespace, filter, from, line };
    Ok(event_stream::answer(&greeting, subscription))
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

/// Where it begins, and what is told before all else.
fn begin(reader: &Reader, asked: &TopicFilter, start: &Start) -> Result<(From, Vec<u8>), ApiError> {
    let snapshot = reader.snapshot();
    let mut greeting = b": subscribed\n\n".to_vec();
    let behind = |first: &dyn Fn(MessageId) -> bool| last_before(&snapshot, asked, first);
    let (after, seen) = match *start {
        Start::Time(ms) => return Ok((From { ms, after: None, seen: NO_MESSAGE }, greeting)),
        Start::Now | Start::Retained => (behind(&|_| false)?, NO_MESSAGE),
        Start::From(lsn) => (behind(&|id| id.lsn >= lsn)?, NO_MESSAGE),
        Start::Behind(seen) => (behind(&|id| id > seen)?, seen),
    };
    if let Start::Retained = start {
        for message in snapshot.retained(asked, None)? {
            write_data(&MessageBody::of(&message?, asked), &mut greeting);
            if greeting.len() > RETAINED_BYTES_MAX {
                return Err(ApiError::Malformed(TOO_MUCH_RETAINED.to_owned()));
            }
        }
    }
    let place = after.map_or(NO_MESSAGE, |after| after.id()).max(seen);
    greeting.extend_from_slice(format!("id: {}-{}\n\n", place.lsn, place.index).as_bytes());
    Ok((From { ms: 0, after, seen }, greeting))
}

/// Appends a message as an event.
fn write(message: &Message, asked: &TopicFilter, text: &mut Vec<u8>) {
    let body = MessageBody::of(message, asked);
    text.extend_from_slice(format!("id: {}\n", body.id).as_bytes());
    write_data(&body, text);
}

/// Appends an event without an id: a client that is cut off behind it comes back to the same place.
fn write_data(body: &MessageBody, text: &mut Vec<u8>) {
    text.extend_from_slice(b"data: ");
    // A vector takes everything that is written to it, and the body has no maps with odd keys.
    let _ = serde_json::to_writer(&mut *text, body);
    text.extend_from_slice(b"\n\n");
}

/// The messages behind a position, as many as make a part.
fn read(
    reader: &Reader,
    asked: &TopicFilter,
    from: &From,
) -> Result<(Vec<u8>, Option<MessagePosition>), ApiError> {
    let snapshot = reader.snapshot();
    let From { ms: from_ms, after, seen } = *from;
    let request = MessageRequest { from_ms, after, ..MessageRequest::all(asked) };
    let (mut part, mut last) = (Vec::new(), after);
    for message in snapshot.messages(request)? {
        let message = message?;
        last = Some(message.at);
        if message.at.id() > seen {
            write(&message, asked, &mut part);
        }
        if part.len() >= PART_BYTES {
            break;
        }
    }
    Ok((part, last))
}

impl Teller for Subscription {
    async fn part(mut self: Box<Self>) -> Part<Self> {
        loop {
            if let Some(news) = self.line.news() {
                return (news, Some(self));
            }
            // First, so that what comes while messages are read is a beat that is not waited for.
            match self.watcher.look(&mut |_| ControlFlow::Continue(())) {
                Ok(Reached::End) => {}
                Ok(Reached::More) => {
                    tokio::task::yield_now().await;
                    continue;
                }
                Err(ended) => {
                    self.watcher.count_end(&ended);
                    return (end(&ended.to_string()), None);
                }
            }
            let (reader, asked) = (self.namespace.reader(), self.filter.clone());
            let from = self.from;
            let read = move || read(&reader, &asked, &from);
            let found = tokio::task::spawn_blocking(read).await.map_err(ApiError::from);
            match found.and_then(|found| found) {
                Err(error) => return (end(&error.to_string()), None),
                Ok((part, last)) => {
                    self.from.after = last;
                    if !part.is_empty() {
                        return (part.into(), Some(self));
                    }
                }
            }
            let Self { watcher, line, .. } = &mut *self;
            tokio::select! {
                () = watcher.beat() => {}
                () = line.turn() => {}
                () = tokio::time::sleep(HEARTBEAT) => {
                    return (Bytes::from_static(b":\n\n"), Some(self));
                }
            }
        }
    }
}

/// The last event of a stream that cannot go on.
fn end(error: &str) -> Bytes {
    format!("event: end\ndata: {}\n\n", serde_json::json!({ "error": error })).into()
}
