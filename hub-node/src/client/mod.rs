//! A client of the HTTP API, for the commands that move data in and out and for the shell.

mod entry;
mod error;
mod keys;
mod objects;
mod pages;
mod request;
mod rows;
mod scope;
mod settings;
mod topics;
mod transactions;
mod watch;

pub(crate) use entry::{Entry, KeyEncoding};
pub(crate) use error::ClientError;
pub(crate) use pages::Pages;
pub(crate) use request::{Condition, Method, Request};
pub(crate) use scope::Scope;
pub(crate) use settings::{All, KeepLast, TopicRule, TopicSettings};
pub(crate) use transactions::Transaction;
pub(crate) use watch::{Event, Watched};

use entry::Item;
use keys::Written;
use request::encoded;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// One exchange may take this long, the whole body included.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(60);
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MOST: Duration = Duration::from_secs(2);
/// While it waits, a client looks this often whether it has been asked to stop.
const STOP_POLL: Duration = Duration::from_millis(50);
/// Largest answer that is read: a full page of values in base64.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// A namespace of a node that answers at `base`.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    agent: ureq::Agent,
    base: String,
    namespace: String,
    patience: Duration,
    stop: Arc<AtomicBool>,
}

#[derive(Serialize)]
struct Batch {
    operation: &'static str,
    items: Vec<Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    error: String,
}

impl Client {
    /// A client for `base` (`http://host:port`). Exchanges that fail for want of a connection, or
    /// because the node is busy, are tried again for `patience`.
    pub(crate) fn new(base: &str, namespace: &str, patience: Duration) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(EXCHANGE_TIMEOUT))
            .http_status_as_error(false)
            .build();
        Self {
            agent: config.into(),
            base: base_of(base),
            namespace: namespace.to_owned(),
            patience,
            stop: Arc::default(),
        }
    }

    /// This client, but nothing is tried again once `stop` is set.
    pub(crate) fn until(self, stop: &Arc<AtomicBool>) -> Self {
        Self { stop: Arc::clone(stop), ..self }
    }

    /// Puts all entries in one atomic batch and returns its LSN once it is acknowledged.
    pub(crate) fn put_batch(
        &self,
        entries: &[Entry],
        expires: Option<u64>,
    ) -> Result<u64, ClientError> {
        let items = entries.iter().map(Item::of).collect();
        let batch = Batch { operation: "put", items, expires };
        let request = Request::new(Method::Post, self.within("kv/batch")).json(&batch)?;
        Ok(self.call::<Written>(&request)?.lsn)
    }

    /// What `path` below the node's root answers.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(&Request::new(Method::Get, path))
    }

    /// All entries whose key begins with `prefix`, in key order, page by page.
    pub(crate) fn entries(&self, prefix: &str) -> Pages<'_> {
        Pages::new(self, prefix)
    }

    /// Where it asks.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// What it reads and writes.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// This client in another namespace of the same node.
    pub(crate) fn in_namespace(&self, namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), ..self.clone() }
    }

    /// This client at another node.
    pub(crate) fn at(&self, base: &str) -> Self {
        Self { base: base_of(base), ..self.clone() }
    }

    /// The path of the namespace itself.
    pub(crate) fn root(&self) -> String {
        format!("api/v1/{}", encoded(self.namespace.as_bytes()))
    }

    /// A path within the namespace.
    pub(crate) fn within(&self, path: &str) -> String {
        format!("{}/{path}", self.root())
    }

    fn retry<T: DeserializeOwned>(
        &self,
        exchange: impl Fn() -> Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<T, ClientError> {
        let deadline = Instant::now() + self.patience;
        let mut pause = RETRY_FIRST;
        loop {
            let error = match exchange().map_err(ClientError::Exchange).and_then(read) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if !error.is_passing() {
                return Err(error);
            }
            if Instant::now() + pause > deadline && !self.stop.load(Ordering::Acquire) {
                return Err(error);
            }
            self.wait(pause)?;
            pause = (pause * 2).min(RETRY_MOST);
        }
    }

    fn wait(&self, pause: Duration) -> Result<(), ClientError> {
        let until = Instant::now() + pause;
        while !self.stop.load(Ordering::Acquire) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(STOP_POLL));
        }
        Err(ClientError::Stopped)
    }
}

/// A URL without a slash at its end; a bare `host:port` means HTTP.
fn base_of(text: &str) -> String {
    let text = text.trim_end_matches('/');
    if text.contains("://") { text.to_owned() } else { format!("http://{text}") }
}

fn read<T: DeserializeOwned>(
    mut response: ureq::http::Response<ureq::Body>,
) -> Result<T, ClientError> {
    let status = response.status();
    let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX);
    let text = body.read_to_string().map_err(ClientError::Exchange)?;
    if status.is_success() {
        return serde_json::from_str(&text).map_err(ClientError::Answer);
    }
    let message = serde_json::from_str(&text).map_or(text, |answer: ErrorAnswer| answer.error);
    Err(ClientError::Refused { status: status.as_u16(), message })
}
