//! `/topics`: messages, retained messages and names, page by page.

use std::collections::BTreeMap;

use axum::http::Uri;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use unison_base::Lsn;
use unison_base::limits::SCAN_ENTRIES_MAX;
use unison_engine::{MessagePosition, MessageRequest, TopicFilter};
use unison_linux::store::{Message, Reader, Snapshot};

use super::condition::versioned;
use super::error::ApiError;
use super::item::BASE64;
use super::list::{PAGE_BYTES, limit};
use super::moment::{moment_ms, now_ms};
use super::path::InNamespace;
use super::query::Query;
use super::topics::{Syntax, id_text};
use crate::config::Span;

#[derive(Debug, Serialize)]
pub(super) struct MessageBody {
    pub(super) id: String,
    /// Left out for a message of a pattern that was asked for by wildcards.
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<String>,
    time: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    retained: bool,
    headers: BTreeMap<String, String>,
    payload: String,
}

impl MessageBody {
    pub(super) fn of(message: &Message, asked: &TopicFilter) -> Self {
        let headers = message.headers();
        let name = message.topic.to_string();
        let (topic, pattern) = match message.is_pattern {
            false => (Some(name), None),
            true => (asked.is_topic().then(|| asked.as_str().to_owned()), Some(name)),
        };
        Self {
            id: id_text(message.at.id()),
            topic,
            pattern,
            time: message.at.time_ms,
            expires: message.expires_at,
            retained: message.retained,
            headers: headers.map(|(name, value)| (name.into(), BASE64.encode(value))).collect(),
            payload: BASE64.encode(message.payload()),
        }
    }
}

#[derive(Debug, Serialize)]
struct Messages {
    items: Vec<MessageBody>,
    /// Where the next page begins; null when this one is the last.
    cursor: Option<String>,
}

#[derive(Debug, Serialize)]
struct Topics {
    topics: Vec<String>,
    cursor: Option<String>,
}

/// How far back a request goes.
enum Last {
    Count(u64),
    Ms(u64),
}

/// Where a page ended, and how many messages may still come.
#[derive(Clone, Copy)]
struct Cursor {
    at: MessagePosition,
    left: u64,
}

struct Request {
    filter: TopicFilter,
    from_ms: u64,
    to_ms: u64,
    last: Option<u64>,
    newest_first: bool,
    limit: usize,
    cursor: Option<Cursor>,
}

pub(super) async fn messages(
    InNamespace(namespace): InNamespace,
    uri: Uri,
) -> Result<Response, ApiError> {
    let request = Request::of(uri.query())?;
    let reader = namespace.reader();
    let page = move || message_page(&reader, &request);
    let (page, lsn) = tokio::task::spawn_blocking(page).await??;
    Ok(versioned(lsn, page))
}

fn message_page(reader: &Reader, request: &Request) -> Result<(Messages, Lsn), ApiError> {
    let snapshot = reader.snapshot();
    let mut left = request.cursor.map_or(request.last.unwrap_or(u64::MAX), |cursor| cursor.left);
    let mut whole = request.whole();
    let counts_back = request.last.is_some() && !request.newest_first;
    if let (true, None, Some(count)) = (counts_back, request.cursor, request.last) {
        match request.behind_newest(&snapshot, count)? {
            Reach::Nothing => {
                return Ok((Messages { items: vec![], cursor: None }, snapshot.lsn()));
            }
            Reach::Behind(at) => whole.after = Some(at),
            Reach::All => {}
        }
        left = u64::MAX;
    }
    let mut messages = snapshot.messages(whole)?;
    let (mut items, mut bytes, mut last) = (Vec::new(), 0, None);
    while items.len() < request.limit && bytes < PAGE_BYTES && left > 0 {
        let Some(message) = messages.next().transpose()? else {
            return Ok((Messages { items, cursor: None }, snapshot.lsn()));
        };
        let headers = message.headers().map(|(name, value)| name.len() + value.len());
        bytes += message.payload().len() + message.topic.len() + headers.sum::<usize>();
        items.push(MessageBody::of(&message, &request.filter));
        last = Some(message.at);
        left -= 1;
    }
    let more = left > 0 && messages.next().transpose()?.is_some();
    let cursor = last.filter(|_| more).map(|at| Cursor { at, left }.text());
    Ok((Messages { items, cursor }, snapshot.lsn()))
}

/// How far the newest messages reach back.
enum Reach {
    Nothing,
    /// They begin behind this one.
    Behind(MessagePosition),
    /// There are no more.
    All,
}

impl Request {
    fn of(query: Option<&str>) -> Result<Self, ApiError> {
        let known = ["filter", "from", "to", "last", "order", "limit", "cursor", "syntax"];
        let query = Query::parse(query, &known)?;
        let last = text(&query, "last")?.map(last_of).transpose()?;
        let from = text(&query, "from")?.map(moment_ms).transpose()?.unwrap_or(0);
        let (last, from_ms) = match last {
            None => (None, from),
            Some(Last::Count(count)) => (Some(count), from),
            Some(Last::Ms(ms)) => (None, from.max(now_ms().saturating_sub(ms))),
        };
        Ok(Self {
            filter: filter(&query)?,
            from_ms,
            to_ms: text(&query, "to")?.map(moment_ms).transpose()?.unwrap_or(u64::MAX),
            last,
            newest_first: newest_first(text(&query, "order")?)?,
            limit: limit(&query)?,
            cursor: given(&query, "cursor").map(Cursor::of).transpose()?,
        })
    }

    fn whole(&self) -> MessageRequest<'_> {
        MessageRequest {
            filter: &self.filter,
            from_ms: self.from_ms,
            to_ms: self.to_ms,
            newest_first: self.newest_first,
            after: self.cursor.map(|cursor| cursor.at),
        }
    }

    /// Where the newest `count` messages begin.
    fn behind_newest(&self, snapshot: &Snapshot, count: u64) -> Result<Reach, ApiError> {
        if count == 0 {
            return Ok(Reach::Nothing);
        }
        let newest_first = MessageRequest { newest_first: true, after: None, ..self.whole() };
        let mut messages = snapshot.messages(newest_first)?;
        let before = messages.nth(usize::try_from(count).unwrap_or(usize::MAX)).transpose()?;
        Ok(before.map_or(Reach::All, |message| Reach::Behind(message.at)))
    }
}

pub(super) fn text<'q>(query: &'q Query, name: &str) -> Result<Option<&'q str>, ApiError> {
    let text = query.bytes(name).map(std::str::from_utf8).transpose();
    text.map_err(|_| ApiError::Malformed(format!("`{name}` is no text")))
}

fn given<'q>(query: &'q Query, name: &str) -> Option<&'q [u8]> {
    query.bytes(name).filter(|value| !value.is_empty())
}

pub(super) fn filter(query: &Query) -> Result<TopicFilter, ApiError> {
    let syntax = match text(query, "syntax")? {
        None | Some("" | "slashed") => Syntax::Slashed,
        Some("dotted") => Syntax::Dotted,
        Some(_) => return Err(ApiError::Malformed("`syntax` is slashed or dotted".to_owned())),
    };
    let all = if syntax == Syntax::Dotted { "..." } else { "#" };
    syntax.filter(text(query, "filter")?.unwrap_or(all))
}

fn newest_first(order: Option<&str>) -> Result<bool, ApiError> {
    match order {
        None | Some("oldest") => Ok(false),
        Some("newest") => Ok(true),
        Some(_) => Err(ApiError::Malformed("`order` is newest or oldest".to_owned())),
    }
}

/// A bare number counts messages, one with a unit is a time.
fn last_of(text: &str) -> Result<Last, ApiError> {
    match text.parse::<u64>() {
        Ok(count) if count <= SCAN_ENTRIES_MAX as u64 => Ok(Last::Count(count)),
        Ok(_) => {
            let why = format!("`last` counts at most {SCAN_ENTRIES_MAX} messages");
            Err(ApiError::Malformed(why))
        }
        Err(_) => {
            let span: Result<Span, _> = text.parse();
            let malformed = |error| ApiError::Malformed(format!("`last`: {error}"));
            let ms = span.map_err(malformed)?.0.as_millis();
            Ok(Last::Ms(u64::try_from(ms).unwrap_or(u64::MAX)))
        }
    }
}

impl Cursor {
    fn text(&self) -> String {
        let [time, lsn, left] = [self.at.time_ms, self.at.lsn.0, self.left].map(u64::to_be_bytes);
        let index = self.at.index.to_be_bytes();
        URL_SAFE_NO_PAD.encode([&time[..], &lsn, &index, &left].concat())
    }

    fn of(text: &[u8]) -> Result<Self, ApiError> {
        let bad = || ApiError::Malformed("`cursor` is of no earlier answer".to_owned());
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| bad())?;
        let parse = || {
            let (time, rest) = bytes.split_first_chunk()?;
            let (lsn, rest) = rest.split_first_chunk()?;
            let (index, rest) = rest.split_first_chunk()?;
            let left = u64::from_be_bytes(rest.try_into().ok()?);
            let (time_ms, lsn) = (u64::from_be_bytes(*time), Lsn(u64::from_be_bytes(*lsn)));
            let at = MessagePosition { time_ms, lsn, index: u32::from_be_bytes(*index) };
            Some(Self { at, left })
        };
        parse().ok_or_else(bad)
    }
}

/// Names, or retained messages, behind the name in the cursor.
struct ByName {
    filter: TopicFilter,
    limit: usize,
    after: Option<String>,
}

impl ByName {
    fn of(query: Option<&str>) -> Result<Self, ApiError> {
        let query = Query::parse(query, &["filter", "limit", "cursor", "syntax"])?;
        let bad = || ApiError::Malformed("`cursor` is of no earlier answer".to_owned());
        let after = given(&query, "cursor").map(|cursor| {
            let name = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| bad())?;
            String::from_utf8(name).map_err(|_| bad())
        });
        Ok(Self { filter: filter(&query)?, limit: limit(&query)?, after: after.transpose()? })
    }

    fn topics(&self, snapshot: &Snapshot) -> Result<Topics, ApiError> {
        let mut names = snapshot.topics(&self.filter, self.after.as_deref())?;
        let (mut topics, mut bytes) = (Vec::<String>::new(), 0);
        while topics.len() < self.limit && bytes < PAGE_BYTES {
            let Some(topic) = names.next().transpose()? else {
                return Ok(Topics { topics, cursor: None });
            };
            bytes += topic.name.len();
            topics.push(topic.name);
        }
        let more = names.next().transpose()?.is_some();
        let cursor = topics.last().filter(|_| more).map(|name| URL_SAFE_NO_PAD.encode(name));
        Ok(Topics { topics, cursor })
    }

    fn retained(&self, snapshot: &Snapshot) -> Result<Messages, ApiError> {
        let mut messages = snapshot.retained(&self.filter, self.after.as_deref())?;
        let (mut items, mut bytes, mut last) = (Vec::new(), 0, None);
        while items.len() < self.limit && bytes < PAGE_BYTES {
            let Some(message) = messages.next().transpose()? else {
                return Ok(Messages { items, cursor: None });
            };
            bytes += message.payload().len() + message.topic.len();
            items.push(MessageBody::of(&message, &self.filter));
            last = Some(message.topic);
        }
        let more = messages.next().transpose()?.is_some();
        let cursor = last.filter(|_| more).map(|name| URL_SAFE_NO_PAD.encode(&*name));
        Ok(Messages { items, cursor })
    }
}

pub(super) async fn list(
    InNamespace(namespace): InNamespace,
    uri: Uri,
) -> Result<Response, ApiError> {
    let (request, snapshot) = (ByName::of(uri.query())?, namespace.reader().snapshot());
    let lsn = snapshot.lsn();
    let page = tokio::task::spawn_blocking(move || request.topics(&snapshot)).await??;
    Ok(versioned(lsn, page))
}

pub(super) async fn retained(
    InNamespace(namespace): InNamespace,
    uri: Uri,
) -> Result<Response, ApiError> {
    let (request, snapshot) = (ByName::of(uri.query())?, namespace.reader().snapshot());
    let lsn = snapshot.lsn();
    let page = tokio::task::spawn_blocking(move || request.retained(&snapshot)).await??;
    Ok(versioned(lsn, page))
}
