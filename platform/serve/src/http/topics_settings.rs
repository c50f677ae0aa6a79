//! `/topics/settings`: what holds for the topics of a namespace.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use unison_base::limits::TOPIC_RULES_BYTES_MAX;
use unison_engine::{
    Compression, Encryption, FOREVER, KEEP_ALL, Operation, TopicFilter, TopicRule, TopicSettings,
    Write, WriteError,
};

use super::body::{or_default, parse, read};
use super::error::ApiError;
use super::kv::refuse_on_follower;
use super::path::InNamespace;
use super::topics::{Done, Syntax};
use super::ttl::Ttl;
use super::whole::Whole;
use crate::commit::commit_one;
use crate::config::Span;
use crate::node::Node;

/// Most bytes of a body: filters whose characters are escaped, and what stands around them.
const BODY_MAX: usize = 8 * TOPIC_RULES_BYTES_MAX;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Given<'a> {
    #[serde(default, deserialize_with = "or_default")]
    syntax: Syntax,
    default_ttl: Option<Ttl>,
    #[serde(default, deserialize_with = "or_default")]
    compression: CompressionName,
    #[serde(default, deserialize_with = "or_default")]
    encryption: EncryptionName,
    #[serde(borrow, default, deserialize_with = "or_default")]
    rules: Vec<GivenRule<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GivenRule<'a> {
    #[serde(borrow)]
    prefix: Option<Cow<'a, str>>,
    #[serde(borrow)]
    filter: Option<Cow<'a, str>>,
    ttl: Option<Ttl>,
    keep_last: Option<Kept<'a>>,
}

/// How many messages are kept: a number, or `all`.
#[derive(Deserialize)]
#[serde(untagged, expecting = "`keepLast` is a whole number or `all`")]
enum Kept<'a> {
    Count(Whole),
    Text(#[serde(borrow)] Cow<'a, str>),
}

/// How messages are compressed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum CompressionName {
    #[default]
    None,
    Lz4,
}

/// How messages are sealed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum EncryptionName {
    #[default]
    None,
    ChaCha20Poly1305,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown {
    #[serde(skip_serializing_if = "Option::is_none")]
    default_ttl: Option<String>,
    compression: CompressionName,
    encryption: EncryptionName,
    rules: Vec<ShownRule>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownRule {
    filter: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_last: Option<ShownKept>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum ShownKept {
    Count(u32),
    All(&'static str),
}

const ALL: &str = "all";
const NEVER: &str = "never";

pub(super) async fn get(InNamespace(namespace): InNamespace) -> Result<Json<Shown>, ApiError> {
    let reader = namespace.reader();
    let settings = move || reader.snapshot().topic_settings();
    let settings = tokio::task::spawn_blocking(settings).await??;
    Ok(Json(Shown::of(&settings)))
}

pub(super) async fn put(
    InNamespace(namespace): InNamespace,
    State(node): State<Arc<Node>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Done>, ApiError> {
    refuse_on_follower(&node)?;
    let body = read(&node, &headers, body, BODY_MAX).await?;
    let settings = parse::<Given<'_>>(&body)?.settings()?;
    let outcome = commit_one(&namespace, Write::new(Operation::SetTopics(&settings))).await;
    Ok(Json(Done::at(outcome.map_err(refusal)?.lsn)))
}

/// Without a key the request stands against the state of the node: to send it again helps only when
/// one is there.
fn refusal(error: WriteError) -> ApiError {
    match error {
        WriteError::NoKey => ApiError::SettingsNeedKey,
        error => error.into(),
    }
}

impl Given<'_> {
    fn settings(self) -> Result<TopicSettings, ApiError> {
        let rules = self.rules.into_iter().map(|rule| rule.rule(self.syntax));
        Ok(TopicSettings {
            ttl_ms: self.default_ttl.as_ref().map(ttl_ms).transpose()?,
            compression: match self.compression {
                CompressionName::None => Compression::None,
                CompressionName::Lz4 => Compression::Lz4,
            },
            encryption: match self.encryption {
                EncryptionName::None => Encryption::None,
                EncryptionName::ChaCha20Poly1305 => Encryption::ChaCha20Poly1305,
            },
            rules: rules.collect::<Result<_, ApiError>>()?,
        })
    }
}

impl GivenRule<'_> {
    fn rule(self, syntax: Syntax) -> Result<TopicRule, ApiError> {
        let filter = match (self.prefix, self.filter) {
            (Some(prefix), None) => below(&syntax.topic(prefix)?)?,
            (None, Some(filter)) => syntax.filter(&filter)?,
            _ => {
                let why = "a rule has a `prefix` or a `filter`";
                return Err(ApiError::Malformed(why.to_owned()));
            }
        };
        let ttl_ms = self.ttl.as_ref().map(ttl_ms).transpose()?;
        let keep_last = self.keep_last.map(|kept| kept.count()).transpose()?;
        Ok(TopicRule { filter, ttl_ms, keep_last })
    }
}

/// A topic with all below it.
fn below(prefix: &str) -> Result<TopicFilter, ApiError> {
    Syntax::Slashed.filter(&format!("{prefix}/#"))
}

/// In milliseconds; of `never`, [`FOREVER`].
pub(super) fn ttl_ms(ttl: &Ttl) -> Result<u64, ApiError> {
    match ttl {
        Ttl::Text(text) if text == NEVER => Ok(FOREVER),
        ttl => ttl.ms(),
    }
}

impl Kept<'_> {
    fn count(self) -> Result<u32, ApiError> {
        match self {
            // What is no count, or is the number that stands for all, is refused as 0 is.
            Self::Count(Whole(count)) => {
                Ok(u32::try_from(count).ok().filter(|count| *count != KEEP_ALL).unwrap_or_default())
            }
            Self::Text(text) if text == ALL => Ok(KEEP_ALL),
            Self::Text(_) => {
                let why = "`keepLast` is a number of messages, or `all`";
                Err(ApiError::Malformed(why.to_owned()))
            }
        }
    }
}

impl Shown {
    fn of(settings: &TopicSettings) -> Self {
        let rules = settings.rules.iter().map(|rule| ShownRule {
            filter: rule.filter.as_str().to_owned(),
            ttl: rule.ttl_ms.map(ttl_text),
            keep_last: rule.keep_last.map(|count| match count {
                KEEP_ALL => ShownKept::All(ALL),
                count => ShownKept::Count(count),
            }),
        });
        Self {
            default_ttl: settings.ttl_ms.map(ttl_text),
            compression: match settings.compression {
                Compression::None => CompressionName::None,
                Compression::Lz4 => CompressionName::Lz4,
            },
            encryption: match settings.encryption {
                Encryption::None => EncryptionName::None,
                Encryption::ChaCha20Poly1305 => EncryptionName::ChaCha20Poly1305,
            },
            rules: rules.collect(),
        }
    }
}

fn ttl_text(ms: u64) -> String {
    match ms {
        FOREVER => NEVER.to_owned(),
        ms => Span(Duration::from_millis(ms)).to_string(),
    }
}
