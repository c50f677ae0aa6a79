//! What holds for the topics of a namespace.

use super::keys::Written;
use super::request::{Method, Request};
use super::{Client, ClientError};
use serde::{Deserialize, Serialize};

/// What holds for the topics of a namespace.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TopicSettings {
    /// A time, or `never`; nothing is `never`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default_ttl: Option<String>,
    pub(crate) compression: String,
    pub(crate) encryption: String,
    pub(crate) rules: Vec<TopicRule>,
}

/// What holds for the topics that a filter finds.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TopicRule {
    pub(crate) filter: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ttl: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) keep_last: Option<KeepLast>,
}

/// How many messages of a topic are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub(crate) enum KeepLast {
    /// The newest so many.
    Count(u32),
    /// Every one.
    All(All),
}

/// The word for every one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum All {
    /// `all`
    All,
}

impl Client {
    /// What holds for the topics of the namespace.
    pub(crate) fn topic_settings(&self) -> Result<TopicSettings, ClientError> {
        self.get(&self.within("topics/settings"))
    }

    /// Sets what holds for the topics of the namespace, all of it. Returns the LSN.
    pub(crate) fn set_topic_settings(&self, settings: &TopicSettings) -> Result<u64, ClientError> {
        let request = Request::new(Method::Put, self.within("topics/settings")).json(settings)?;
        Ok(self.call::<Written>(&request)?.lsn)
    }
}
