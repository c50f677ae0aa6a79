//! One exchange of any kind: method, path, condition, body.

use super::{Client, ClientError};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::RequestBuilder;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Put,
    Post,
    Delete,
}

/// What an entry must be like for a write to happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Anything.
    #[default]
    Always,
    /// Not there.
    Absent,
    /// There, in any version.
    Present,
    /// There, in this version.
    Version(u64),
}

impl Condition {
    /// The header that says it.
    pub(super) fn header(self) -> Option<(&'static str, String)> {
        match self {
            Self::Always => None,
            Self::Absent => Some(("if-none-match", "*".to_owned())),
            Self::Present => Some(("if-match", "*".to_owned())),
            Self::Version(lsn) => Some(("if-match", lsn.to_string())),
        }
    }
}

/// A request before it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: Method,
    path: String,
    condition: Condition,
    body: Option<Vec<u8>>,
}

impl Request {
    /// A request for `path` below the node's root.
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), condition: Condition::Always, body: None }
    }

    /// This request, but only if the condition holds.
    pub(crate) fn when(self, condition: Condition) -> Self {
        Self { condition, ..self }
    }

    /// This request with a body.
    pub(crate) fn json(self, body: &impl Serialize) -> Result<Self, ClientError> {
        let body = serde_json::to_vec(body).map_err(ClientError::Answer)?;
        Ok(Self { body: Some(body), ..self })
    }

    fn run(&self, client: &Client) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let (agent, url) = (&client.agent, format!("{}/{}", client.base, self.path));
        match (self.method, &self.body) {
            (Method::Get, _) => self.headed(agent.get(url)).call(),
            (Method::Delete, None) => self.headed(agent.delete(url)).call(),
            (Method::Delete, Some(body)) => {
                self.headed(agent.delete(url).force_send_body()).send(body)
            }
            (Method::Put, body) => self.headed(agent.put(url)).send(body.as_deref().unwrap_or(b"")),
            (Method::Post, body) => {
                self.headed(agent.post(url)).send(body.as_deref().unwrap_or(b""))
            }
        }
    }

    fn headed<B>(&self, mut request: RequestBuilder<B>) -> RequestBuilder<B> {
        if let Some((name, value)) = self.condition.header() {
            request = request.header(name, value);
        }
        if self.body.is_some() {
            request = request.header("content-type", "application/json");
        }
        request
    }
}

impl Client {
    /// What the node answers.
    pub(crate) fn call<T: DeserializeOwned>(&self, request: &Request) -> Result<T, ClientError> {
        self.retry(|| request.run(self))
    }

    /// A path within the namespace: `model` and what it holds under `key`.
    pub(crate) fn path(&self, model: &str, key: &[u8]) -> String {
        self.within(&format!("{model}/{}", encoded(key)))
    }
}

/// Bytes as a part of a path or a query.
pub(crate) fn encoded(bytes: &[u8]) -> impl std::fmt::Display + '_ {
    percent_encode(bytes, NON_ALPHANUMERIC)
}
