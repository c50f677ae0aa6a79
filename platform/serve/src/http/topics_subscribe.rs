//! `GET /topics/subscribe`: messages as they become visible, as Server-Sent Events, behind those that
//! are there already.
//!
//! A subscription is a position in the order of time and a filter. Its messages are read as all others
//! are, page by page, so it shows what a read shows: what is committed, of topics that come later too.
//! The id of an event is the message's, so a client that comes back with `Last-Event-ID` goes on
//! behind it.

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
use unison_linux::store::{Message, Namespace, Reader, Snapshot};

use super::error::ApiError;
use super::event_stream::{self, HEARTBEAT, Part, Teller};
use super::moment::{moment_ms, now_ms};
use super::path::InNamespace;
use super::query::Query;
use super::topics::id_of;
use super::topics_read::{MessageBody, filter, text};
use crate::config::Span;
use crate::node::Node;
use crate::watch::Watcher;

/// A part of the stream is written once it has this many bytes.
const PART_BYTES: usize = 64 << 10;
/// Most bytes of retained messages that a subscription begins with.
const RETAINED_BYTES_MAX: usize = 4 << 20;
const TOO_MUCH_RETAINED: &str =
    "the retained messages have more than 4 MiB: narrow the filter, or page `topics/retained`";

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
    from_ms: u64,
    after: Option<MessagePosition>,
}

pub(super) async fn subscribe(
    State(node): State<Arc<Node>>,
    InNamespace(namespace): InNamespace,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let query = Query::parse(uri.query(), &["filter", "start", "syntax"])?;
    let (filter, start) = (filter(&query)?, start(&query, &headers)?);
    let nothing = ChangeFilter { models: Models::NONE, ..ChangeFilter::default() };
    let applied = ChangeId::whole(namespace.reader().applied());
    let watcher = node.watchers.watch(&namespace, nothing, applied)?;
    let (reader, asked) = (namespace.reader(), filter.clone());
    let begin = move || begin(&reader, &asked, &start);
    let (from_ms, after, greeting) = tokio::task::spawn_blocking(begin).await??;
    let subscription = Subscription { watcher, namespace, filter, from_ms, after };
    Ok(event_stream::answer(greeting.into(), subscription))
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

/// The first position, and what is told before all else.
type Begun = (u64, Option<MessagePosition>, Vec<u8>);

fn begin(reader: &Reader, asked: &TopicFilter, start: &Start) -> Result<Begun, ApiError> {
    let snapshot = reader.snapshot();
    let mut greeting = b": subscribed\n\n".to_vec();
    let behind = |first: &dyn Fn(MessageId) -> bool| last_before(&snapshot, asked, first);
    match *start {
        Start::Time(from_ms) => Ok((from_ms, None, greeting)),
        Start::Now => Ok((0, behind(&|_| false)?, greeting)),
        Start::From(lsn) => Ok((0, behind(&|id| id.lsn >= lsn)?, greeting)),
        Start::Behind(seen) => Ok((0, behind(&|id| id > seen)?, greeting)),
        Start::Retained => {
            for message in snapshot.retained(asked, None)? {
                write(&message?, asked, &mut greeting);
                if greeting.len() > RETAINED_BYTES_MAX {
                    return Err(ApiError::Malformed(TOO_MUCH_RETAINED.to_owned()));
                }
            }
            Ok((0, behind(&|_| false)?, greeting))
        }
    }
}

/// The newest message that is not to be told of; those that are come behind it.
fn last_before(
    snapshot: &Snapshot,
    asked: &TopicFilter,
    is_told: &dyn Fn(MessageId) -> bool,
) -> Result<Option<MessagePosition>, ApiError> {
    let request = MessageRequest { newest_first: true, ..MessageRequest::all(asked) };
    for message in snapshot.messages(request)? {
        let at = message?.at;
        if !is_told(at.id()) {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// Appends a message as an event.
fn write(message: &Message, asked: &TopicFilter, text: &mut Vec<u8>) {
    let body = MessageBody::of(message, asked);
    text.extend_from_slice(format!("id: {}\ndata: ", body.id).as_bytes());
    // A vector takes everything that is written to it, and the body has no maps with odd keys.
    let _ = serde_json::to_writer(&mut *text, &body);
    text.extend_from_slice(b"\n\n");
}

/// The messages behind a position, as many as make a part.
fn read(
    reader: &Reader,
    (asked, from_ms): (&TopicFilter, u64),
    after: Option<MessagePosition>,
) -> Result<(Vec<u8>, Option<MessagePosition>), ApiError> {
    let snapshot = reader.snapshot();
    let request = MessageRequest { from_ms, after, ..MessageRequest::all(asked) };
    let (mut part, mut last) = (Vec::new(), after);
    for message in snapshot.messages(request)? {
        let message = message?;
        write(&message, asked, &mut part);
        last = Some(message.at);
        if part.len() >= PART_BYTES {
            break;
        }
    }
    Ok((part, last))
}

impl Teller for Subscription {
    async fn part(mut self: Box<Self>) -> Part<Self> {
        loop {
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
            let (from_ms, after) = (self.from_ms, self.after);
            let read = move || read(&reader, (&asked, from_ms), after);
            let found = tokio::task::spawn_blocking(read).await.map_err(ApiError::from);
            match found.and_then(|found| found) {
                Err(error) => return (end(&error.to_string()), None),
                Ok((part, last)) if !part.is_empty() => {
                    self.after = last;
                    return (part.into(), Some(self));
                }
                Ok(_) => {}
            }
            if tokio::time::timeout(HEARTBEAT, self.watcher.beat()).await.is_err() {
                return (Bytes::from_static(b":\n\n"), Some(self));
            }
        }
    }
}

/// The last event of a stream that cannot go on.
fn end(error: &str) -> Bytes {
    format!("event: end\ndata: {}\n\n", serde_json::json!({ "error": error })).into()
}
