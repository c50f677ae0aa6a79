//! `/topics`: publishing, deleting and trimming.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use serde::{Deserialize, Serialize};
use unison_base::{Lsn, TxnId};
use unison_engine::{
    MessageId, NewMessage, Operation, TopicFilter, TrimBefore, Write, WriteError, topic_from_dotted,
};
use unison_linux::store::{Namespace, Reader};

use super::body::{or_default, or_empty, parse, read};
use super::error::ApiError;
use super::item::decoded;
use super::kv::{BATCH_BODY_MAX, refuse_on_follower};
use super::moment::Text;
use super::path::{AtTransaction, InNamespace, split};
use super::topics_settings::ttl_ms;
use super::ttl::Ttl;
use crate::commit::commit_one;
use crate::node::Node;

/// Most topics that one record trims.
const TRIM_TOPICS: usize = 256;

/// How topics and filters are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Syntax {
    /// With `/`, `+` and `#`.
    #[default]
    Slashed,
    /// With `.`, `*` and `...`.
    Dotted,
}

impl Syntax {
    pub(super) fn filter(self, text: &str) -> Result<TopicFilter, ApiError> {
        let filter = match self {
            Self::Slashed => TopicFilter::new(text),
            Self::Dotted => TopicFilter::from_dotted(text),
        };
        Ok(filter.map_err(WriteError::from)?)
    }

    pub(super) fn topic(self, text: Cow<'_, str>) -> Result<Cow<'_, str>, ApiError> {
        match self {
            Self::Slashed => Ok(text),
            Self::Dotted => Ok(Cow::Owned(topic_from_dotted(&text).map_err(WriteError::from)?)),
        }
    }

    fn pattern(self, text: Cow<'_, str>) -> Result<Cow<'_, str>, ApiError> {
        match self {
            Self::Slashed => Ok(text),
            Self::Dotted => Ok(Cow::Owned(self.filter(&text)?.as_str().to_owned())),
        }
    }
}

/// What is published: one message, or several in `messages`.
#[derive(Deserialize)]
struct Publish<'a> {
    #[serde(default, deserialize_with = "or_default")]
    syntax: Syntax,
    #[serde(borrow, default)]
    messages: Option<Vec<Draft<'a>>>,
    #[serde(borrow, flatten)]
    single: Draft<'a>,
}

#[derive(Deserialize)]
struct Draft<'a> {
    #[serde(borrow, default, deserialize_with = "or_empty")]
    topic: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "or_empty")]
    pattern: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "or_empty")]
    payload: Cow<'a, str>,
    ttl: Option<Ttl>,
    #[serde(default, deserialize_with = "or_default")]
    retain: bool,
    #[serde(borrow, default, deserialize_with = "or_default")]
    headers: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
}

impl Draft<'_> {
    /// Whether nothing was given.
    fn is_empty(&self) -> bool {
        let Self { topic, pattern, payload, ttl, retain, headers } = self;
        let texts = [topic, pattern, payload];
        texts.iter().all(|text| text.is_empty()) && ttl.is_none() && !retain && headers.is_empty()
    }
}

/// A message with its bytes.
struct Decoded<'a> {
    topic: Cow<'a, str>,
    payload: Vec<u8>,
    ttl_ms: Option<u64>,
    retain: bool,
    headers: Vec<(Cow<'a, str>, Vec<u8>)>,
}

#[derive(Debug, Serialize)]
pub(super) struct Published {
    id: String,
    lsn: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct PublishedBatch {
    ids: Vec<String>,
    lsn: u64,
}

/// One message has an id, several have ids.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Answer {
    One(Published),
    Batch(PublishedBatch),
}

pub(super) async fn publish(
    InNamespace(namespace): InNamespace,
    State(node): State<Arc<Node>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Answer>, ApiError> {
    publish_to(Target::Topics, &namespace, &read_messages(&node, &headers, body).await?).await
}

pub(super) async fn publish_pattern(
    InNamespace(namespace): InNamespace,
    State(node): State<Arc<Node>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Answer>, ApiError> {
    publish_to(Target::Patterns, &namespace, &read_messages(&node, &headers, body).await?).await
}

/// What messages are published to.
#[derive(Clone, Copy)]
pub(super) enum Target {
    Topics,
    Patterns,
}

impl Target {
    /// A message for the other kind of name is meant for the other path.
    fn check(self, draft: &Draft<'_>) -> Result<(), ApiError> {
        let why = match self {
            Self::Topics if !draft.pattern.is_empty() => {
                "a `pattern` is for topics/publish-pattern"
            }
            Self::Patterns if !draft.topic.is_empty() => "a `topic` is for topics/publish",
            Self::Topics if draft.topic.is_empty() => "a message has a `topic`",
            Self::Patterns if draft.pattern.is_empty() => "a message has a `pattern`",
            Self::Topics | Self::Patterns => return Ok(()),
        };
        Err(ApiError::Malformed(why.to_owned()))
    }

    /// The name that a message gives of it.
    fn name<'a>(self, syntax: Syntax, draft: &mut Draft<'a>) -> Result<Cow<'a, str>, ApiError> {
        match self {
            Self::Topics => syntax.topic(std::mem::take(&mut draft.topic)),
            Self::Patterns => syntax.pattern(std::mem::take(&mut draft.pattern)),
        }
    }

    const fn operation<'a>(self, messages: &'a [NewMessage<'a>]) -> Operation<'a> {
        match self {
            Self::Topics => Operation::Publish(messages),
            Self::Patterns => Operation::PublishPattern(messages),
        }
    }
}

async fn read_messages(node: &Node, headers: &HeaderMap, body: Body) -> Result<Vec<u8>, ApiError> {
    refuse_on_follower(node)?;
    read(node, headers, body, BATCH_BODY_MAX).await
}

async fn publish_to(
    target: Target,
    namespace: &Namespace,
    body: &[u8],
) -> Result<Json<Answer>, ApiError> {
    let (batch, decoded) = messages_of(target, body)?;
    let lsn = write(namespace, &decoded, target, None).await?;
    let id = |index| id_text(MessageId { lsn, index });
    Ok(Json(match batch {
        false => Answer::One(Published { id: id(0), lsn: lsn.0 }),
        true => {
            let ids = (0..).take(decoded.len()).map(id).collect();
            Answer::Batch(PublishedBatch { ids, lsn: lsn.0 })
        }
    }))
}

/// Adds the messages of a body to a transaction.
pub(super) async fn publish_within(
    target: Target,
    at: &AtTransaction,
    body: &[u8],
) -> Result<(), ApiError> {
    let (_, decoded) = messages_of(target, body)?;
    write(&at.namespace, &decoded, target, Some(at.id)).await.map(drop)
}

/// The messages of a body, and whether they are several.
fn messages_of(target: Target, body: &[u8]) -> Result<(bool, Vec<Decoded<'_>>), ApiError> {
    let Publish { syntax, messages, single } = parse(body)?;
    let batch = messages.is_some();
    if batch && !single.is_empty() {
        let why = "beside `messages` there is `syntax` alone: the rest belongs to each of them";
        return Err(ApiError::Malformed(why.to_owned()));
    }
    let drafts = messages.unwrap_or_else(|| vec![single]);
    let decoded = drafts.into_iter().map(|mut draft| {
        target.check(&draft)?;
        draft.topic = target.name(syntax, &mut draft)?;
        Decoded::of(draft)
    });
    Ok((batch, decoded.collect::<Result<_, ApiError>>()?))
}

impl<'a> Decoded<'a> {
    fn of(draft: Draft<'a>) -> Result<Self, ApiError> {
        let headers = draft.headers.into_iter();
        let headers = headers.map(|(name, value)| Ok((name, decoded(&value, "header")?)));
        Ok(Self {
            topic: draft.topic,
            payload: decoded(&draft.payload, "payload")?,
            ttl_ms: draft.ttl.as_ref().map(ttl_ms).transpose()?,
            retain: draft.retain,
            headers: headers.collect::<Result<_, ApiError>>()?,
        })
    }
}

async fn write(
    namespace: &Namespace,
    decoded: &[Decoded<'_>],
    target: Target,
    transaction: Option<TxnId>,
) -> Result<Lsn, ApiError> {
    let headers: Vec<Vec<(&str, &[u8])>> = decoded
        .iter()
        .map(|one| one.headers.iter().map(|(name, value)| (&**name, value.as_slice())).collect())
        .collect();
    let messages: Vec<NewMessage<'_>> = decoded
        .iter()
        .zip(&headers)
        .map(|(one, headers)| NewMessage {
            topic: &one.topic,
            payload: &one.payload,
            headers,
            ttl_ms: one.ttl_ms,
            retain: one.retain,
        })
        .collect();
    let write = Write::new(target.operation(&messages));
    let write = transaction.map_or(write, |transaction| write.within(transaction));
    Ok(commit_one(namespace, write).await?.lsn)
}

/// An id as answers show it.
pub(super) fn id_text(id: MessageId) -> String {
    format!("{}-{}", id.lsn.0, id.index)
}

/// An id of an earlier answer.
pub(super) fn id_of(text: &str) -> Option<MessageId> {
    let (lsn, index) = text.split_once('-')?;
    Some(MessageId { lsn: Lsn(lsn.parse().ok()?), index: index.parse().ok()? })
}

#[derive(Debug, Serialize)]
pub(super) struct Done {
    success: bool,
    lsn: u64,
}

impl Done {
    pub(super) const fn at(lsn: Lsn) -> Self {
        Self { success: true, lsn: lsn.0 }
    }
}

pub(super) async fn delete(
    InNamespace(namespace): InNamespace,
    State(node): State<Arc<Node>>,
    uri: Uri,
) -> Result<Json<Done>, ApiError> {
    refuse_on_follower(&node)?;
    let (_, below) = split(uri.path())?;
    let text = below.rsplit('/').next().unwrap_or_default();
    let bad = || ApiError::Malformed(format!("`{text}` is no id of a message, such as 17-0"));
    let id = id_of(text).ok_or_else(bad)?;
    let lsn = commit_one(&namespace, Write::new(Operation::DeleteMessage(id))).await?.lsn;
    Ok(Json(Done::at(lsn)))
}

#[derive(Deserialize)]
struct Trim<'a> {
    #[serde(default, deserialize_with = "or_default")]
    syntax: Syntax,
    #[serde(borrow)]
    filter: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pattern: Option<Cow<'a, str>>,
    #[serde(borrow)]
    before: Text<'a>,
}

#[derive(Debug, Serialize)]
pub(super) struct Trimmed {
    success: bool,
    count: u64,
}

/// Trims the topics that a filter finds, a record for a few hundred of them at a time, or a pattern.
/// The count is that of topics or patterns.
pub(super) async fn trim(
    InNamespace(namespace): InNamespace,
    State(node): State<Arc<Node>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Trimmed>, ApiError> {
    refuse_on_follower(&node)?;
    let body = read(&node, &headers, body, BATCH_BODY_MAX).await?;
    let trim: Trim<'_> = parse(&body)?;
    let before_ms = trim.before.moment_ms()?;
    match (trim.filter, trim.pattern) {
        (Some(filter), None) => {
            trim_topics(&namespace, trim.syntax.filter(&filter)?, before_ms).await
        }
        (None, Some(pattern)) => {
            let pattern = trim.syntax.pattern(pattern)?;
            let topics = [&*pattern];
            let operation = Operation::TrimPatterns(TrimBefore { topics: &topics, before_ms });
            commit_one(&namespace, Write::new(operation)).await?;
            Ok(Json(Trimmed { success: true, count: 1 }))
        }
        _ => Err(ApiError::Malformed("a trim has a `filter` or a `pattern`".to_owned())),
    }
}

async fn trim_topics(
    namespace: &Namespace,
    filter: TopicFilter,
    before_ms: u64,
) -> Result<Json<Trimmed>, ApiError> {
    let (mut count, mut after) = (0, None::<String>);
    loop {
        let (reader, filter, from) = (namespace.reader(), filter.clone(), after.take());
        let names = move || names(&reader, &filter, from.as_deref());
        let names = tokio::task::spawn_blocking(names).await??;
        let topics: Vec<&str> = names.iter().map(String::as_str).collect();
        if topics.is_empty() {
            return Ok(Json(Trimmed { success: true, count }));
        }
        let operation = Operation::Trim(TrimBefore { topics: &topics, before_ms });
        commit_one(namespace, Write::new(operation)).await?;
        count += topics.len() as u64;
        after = names.into_iter().next_back();
    }
}

fn names(
    reader: &Reader,
    filter: &TopicFilter,
    after: Option<&str>,
) -> Result<Vec<String>, ApiError> {
    let topics = reader.snapshot().topics(filter, after)?.take(TRIM_TOPICS);
    Ok(topics.map(|topic| topic.map(|topic| topic.name)).collect::<Result<_, _>>()?)
}
