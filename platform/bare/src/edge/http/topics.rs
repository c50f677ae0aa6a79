//! `/topics`: messages, retained messages and names, page by page, as a node on Linux answers them.

use super::query::Query;
use super::refused::Refused;
use alloc::borrow::ToOwned as _;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Serialize;
use unison_base::Lsn;
use unison_base::limits::KEEP_LAST_MAX;
use unison_engine::{
    Message, MessageLimits, MessagePosition, MessageRequest, ReadError, Snapshot, TopicFilter,
};
use unison_ports::SegmentStore;

/// Most items on a page, which is also what it has unless told otherwise.
const ITEMS_MAX: usize = 100;
/// A page ends when its messages have this many bytes, however few they are.
const PAGE_BYTES: usize = 64 << 10;
/// Most topics and patterns whose messages one answer merges: each holds pages of the tree.
const STREAMS_MAX: usize = 64;
/// Most names that a filter with wildcards looks at in one answer: everybody else waits.
const NAMES_MAX: usize = 1_024;
/// Most keys of messages that one answer looks at, those that rules do not keep or that are gone
/// counted: as many as one topic keeps, and a page.
const KEYS_MAX: usize = KEEP_LAST_MAX as usize + ITEMS_MAX + 1;

/// A message as on Linux.
#[derive(Debug, Serialize)]
struct Item {
    id: String,
    /// Left out for a message of a pattern that was asked for by wildcards.
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<String>,
    time: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    retained: bool,
    headers: BTreeMap<String, String>,
    payload: String,
}

impl Item {
    fn of<S: SegmentStore>(message: &Message<S>, asked: &TopicFilter) -> Self {
        let name = message.topic.to_string();
        let (topic, pattern) = match message.is_pattern {
            false => (Some(name), None),
            true => (asked.is_topic().then(|| asked.as_str().to_owned()), Some(name)),
        };
        let headers = message.headers();
        Self {
            id: format!("{}-{}", message.at.lsn.0, message.at.index),
            topic,
            pattern,
            time: message.at.time_ms,
            expires: message.expires_at,
            retained: message.retained,
            headers: headers.map(|(name, value)| (name.into(), STANDARD.encode(value))).collect(),
            payload: STANDARD.encode(message.payload()),
        }
    }

    /// Adds a message to a page; returns how many bytes that is.
    fn add<S: SegmentStore>(
        items: &mut Vec<Self>,
        message: &Message<S>,
        asked: &TopicFilter,
    ) -> usize {
        items.push(Self::of(message, asked));
        let headers = message.headers().map(|(name, value)| name.len() + value.len());
        message.payload().len() + message.topic.len() + headers.sum::<usize>()
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Messages {
    items: Vec<Item>,
    /// Where the next page begins; null when this one is the last.
    cursor: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Topics {
    topics: Vec<String>,
    cursor: Option<String>,
}

/// What messages may take when one may have so many bytes.
const fn limits(message_bytes: usize) -> MessageLimits {
    MessageLimits { streams: STREAMS_MAX, names: NAMES_MAX, keys: KEYS_MAX, message_bytes }
}

/// Gives what is found to `take`, which says how many bytes that is, until a page is full; true when
/// there is more. What cannot be read ends a page too: the next one begins with why.
fn page<T>(
    limit: usize,
    mut found: impl Iterator<Item = Result<T, ReadError>>,
    mut take: impl FnMut(T) -> usize,
) -> Result<bool, ReadError> {
    let (mut items, mut bytes) = (0, 0);
    while items < limit && bytes < PAGE_BYTES {
        match found.next() {
            None => return Ok(false),
            Some(Err(error)) if items == 0 => return Err(error),
            Some(Err(_)) => return Ok(true),
            Some(Ok(item)) => bytes += take(item),
        }
        items += 1;
    }
    Ok(found.next().is_some())
}

/// Messages that a filter finds, in the order of time.
pub(super) fn messages<S: SegmentStore>(
    snapshot: &Snapshot<S>,
    query: &str,
    message_bytes: usize,
) -> Result<Messages, Refused> {
    let query = Query::parse(query, &["filter", "order", "limit", "cursor"])?;
    let (filter, limit) = (filter(&query)?, limit(&query)?);
    let after = query.text("cursor").map(position).transpose()?;
    let newest_first = newest_first(&query)?;
    let request = MessageRequest { newest_first, after, ..MessageRequest::all(&filter) };
    let found = snapshot.messages_within(request, limits(message_bytes))?;
    let (mut items, mut last) = (Vec::new(), None);
    let more = page(limit, found, |message| {
        last = Some(message.at);
        Item::add(&mut items, &message, &filter)
    })?;
    Ok(Messages { items, cursor: last.filter(|_| more).map(|at| cursor(&at)) })
}

/// The retained messages of the topics that a filter finds.
pub(super) fn retained<S: SegmentStore>(
    snapshot: &Snapshot<S>,
    query: &str,
    message_bytes: usize,
) -> Result<Messages, Refused> {
    let ByName { filter, limit, after } = ByName::of(query)?;
    let found = snapshot.retained_within(&filter, after.as_deref(), limits(message_bytes))?;
    let (mut items, mut last) = (Vec::new(), None);
    let more = page(limit, found, |message| {
        last = Some(Arc::clone(&message.topic));
        Item::add(&mut items, &message, &filter)
    })?;
    Ok(Messages { items, cursor: last.filter(|_| more).map(|name| URL_SAFE_NO_PAD.encode(&*name)) })
}

/// The names of topics that a filter finds.
pub(super) fn topics<S: SegmentStore>(
    snapshot: &Snapshot<S>,
    query: &str,
) -> Result<Topics, Refused> {
    let ByName { filter, limit, after } = ByName::of(query)?;
    let found = snapshot.topics_within(&filter, after.as_deref(), NAMES_MAX)?;
    let mut topics = Vec::<String>::new();
    let more = page(limit, found, |topic| {
        let bytes = topic.name.len();
        topics.push(topic.name);
        bytes
    })?;
    let cursor = topics.last().filter(|_| more).map(|name| URL_SAFE_NO_PAD.encode(name));
    Ok(Topics { topics, cursor })
}

/// What is listed in the order of names.
struct ByName {
    filter: TopicFilter,
    limit: usize,
    after: Option<String>,
}

impl ByName {
    fn of(query: &str) -> Result<Self, Refused> {
        let query = Query::parse(query, &["filter", "limit", "cursor"])?;
        let after = query.text("cursor").map(|cursor| {
            let name = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| Refused::Cursor)?;
            String::from_utf8(name).map_err(|_| Refused::Cursor)
        });
        Ok(Self { filter: filter(&query)?, limit: limit(&query)?, after: after.transpose()? })
    }
}

fn filter(query: &Query) -> Result<TopicFilter, Refused> {
    Ok(TopicFilter::new(query.text("filter").unwrap_or("#"))?)
}

fn limit(query: &Query) -> Result<usize, Refused> {
    let Some(text) = query.text("limit") else { return Ok(ITEMS_MAX) };
    let limit = text.parse().ok().filter(|limit| (1..=ITEMS_MAX).contains(limit));
    limit.ok_or(Refused::Limit { max: ITEMS_MAX })
}

fn newest_first(query: &Query) -> Result<bool, Refused> {
    match query.text("order") {
        None | Some("oldest") => Ok(false),
        Some("newest") => Ok(true),
        Some(_) => Err(Refused::Order),
    }
}

/// Where a page ended, as a node on Linux writes it: without a number of messages that may still come.
fn cursor(at: &MessagePosition) -> String {
    let [time, lsn, left] = [at.time_ms, at.lsn.0, u64::MAX].map(u64::to_be_bytes);
    URL_SAFE_NO_PAD.encode([&time[..], &lsn, &at.index.to_be_bytes(), &left].concat())
}

fn position(text: &str) -> Result<MessagePosition, Refused> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Refused::Cursor)?;
    let parse = || {
        let (time, rest) = bytes.split_first_chunk()?;
        let (lsn, rest) = rest.split_first_chunk()?;
        let (index, left) = rest.split_first_chunk()?;
        let (time_ms, lsn) = (u64::from_be_bytes(*time), Lsn(u64::from_be_bytes(*lsn)));
        let at = MessagePosition { time_ms, lsn, index: u32::from_be_bytes(*index) };
        (left == u64::MAX.to_be_bytes()).then_some(at)
    };
    parse().ok_or(Refused::Cursor)
}
