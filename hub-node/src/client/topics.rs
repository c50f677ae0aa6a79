//! Topics: messages that are published and read.

use super::entry::decoded;
use super::request::{Method, Request, encoded};
use super::{Client, ClientError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// A message on its way.
#[derive(Serialize)]
pub(super) struct Draft<'a> {
    topic: &'a str,
    payload: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'a str>,
    retain: bool,
}

impl<'a> Draft<'a> {
    pub(super) fn new(topic: &'a str, payload: &[u8], ttl: Option<&'a str>, retain: bool) -> Self {
        Self { topic, payload: STANDARD.encode(payload), ttl, retain }
    }
}

#[derive(Deserialize)]
struct Published {
    id: String,
}

/// A message as it is read.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: String,
    /// Its topic, or the pattern that it was published to.
    pub(crate) place: String,
    /// Milliseconds since 1970.
    pub(crate) time: u64,
    pub(crate) payload: Vec<u8>,
}

#[derive(Deserialize)]
struct Item {
    id: String,
    topic: Option<String>,
    pattern: Option<String>,
    time: u64,
    payload: String,
}

#[derive(Deserialize)]
struct Messages {
    items: Vec<Item>,
    cursor: Option<String>,
}

#[derive(Deserialize)]
struct Topics {
    topics: Vec<String>,
    cursor: Option<String>,
}

impl Client {
    /// Publishes a message. Returns its identity.
    pub(crate) fn publish(
        &self,
        topic: &str,
        payload: &[u8],
        ttl: Option<&str>,
        retain: bool,
    ) -> Result<String, ClientError> {
        let draft = Draft::new(topic, payload, ttl, retain);
        let request = Request::new(Method::Post, self.within("topics/publish")).json(&draft)?;
        Ok(self.call::<Published>(&request)?.id)
    }

    /// A page of messages, oldest first, and the cursor of the next one.
    pub(crate) fn message_page(
        &self,
        filter: &str,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<(Vec<Message>, Option<String>), ClientError> {
        let query = format!("topics/messages?order=oldest&{}", page(filter, limit, cursor));
        let page: Messages = self.call(&Request::new(Method::Get, self.within(&query)))?;
        let items: Result<Vec<_>, _> = page.items.into_iter().map(Item::decode).collect();
        Ok((items?, page.cursor))
    }

    /// A page of the names of topics, and the cursor of the next one.
    pub(crate) fn topic_page(
        &self,
        filter: &str,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<(Vec<String>, Option<String>), ClientError> {
        let query = format!("topics?{}", page(filter, limit, cursor));
        let page: Topics = self.call(&Request::new(Method::Get, self.within(&query)))?;
        Ok((page.topics, page.cursor))
    }
}

fn page(filter: &str, limit: usize, cursor: Option<&str>) -> String {
    let (filter, cursor) = (filter.as_bytes(), cursor.unwrap_or_default().as_bytes());
    format!("filter={}&limit={limit}&cursor={}", encoded(filter), encoded(cursor))
}

impl Item {
    fn decode(self) -> Result<Message, ClientError> {
        let place = self.topic.or(self.pattern).unwrap_or_default();
        let payload = decoded(&self.payload)?;
        Ok(Message { id: self.id, place, time: self.time, payload })
    }
}
