//! Changes as they happen: Server-Sent Events, one by one.

use super::entry::decoded;
use super::request::encoded;
use super::{Client, ClientError, KeyEncoding, read};
use serde::Deserialize;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read as _};

/// Most bytes of a line: a value of the largest size in base64, and its name.
const LINE_MAX: u64 = 64 << 20;

/// What is watched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched {
    /// What keys begin with.
    pub(crate) prefix: Vec<u8>,
    /// Models, with commas.
    pub(crate) models: Option<String>,
    /// A filter of topics.
    pub(crate) topic: Option<String>,
    /// Behind which event; from now on without.
    pub(crate) since: Option<String>,
    /// Whether values come too.
    pub(crate) values: bool,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// `<lsn>-<index>`.
    pub(crate) id: String,
    pub(crate) model: String,
    pub(crate) operation: String,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
    /// All of it, as the node says it.
    pub(crate) document: Value,
}

/// An event in JSON, as far as it is shown by fields.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    model: String,
    operation: String,
    key: String,
    #[serde(default)]
    key_encoding: KeyEncoding,
    value: Option<String>,
}

#[derive(Deserialize)]
struct End {
    error: String,
}

/// Events of a node, as they come.
pub(crate) struct Events {
    reader: BufReader<ureq::BodyReader<'static>>,
}

impl Watched {
    fn query(&self) -> String {
        let mut query = format!("watch?prefix={}&values={}", encoded(&self.prefix), self.values);
        let named = [("models", &self.models), ("topic", &self.topic), ("since", &self.since)];
        for (name, value) in named {
            if let Some(value) = value {
                // Writing to a string does not fail.
                let _ = write!(query, "&{name}={}", encoded(value.as_bytes()));
            }
        }
        query
    }
}

impl Client {
    /// Watches the namespace. The node ends it, or who drops it.
    pub(crate) fn watch(&self, watched: &Watched) -> Result<Events, ClientError> {
        let url = format!("{}/{}", self.base, self.within(&watched.query()));
        let request = self.agent.get(url).config().timeout_global(None).build();
        let response = request.call().map_err(ClientError::Exchange)?;
        if !response.status().is_success() {
            read::<serde::de::IgnoredAny>(response)?;
            return Err(ClientError::Ended);
        }
        Ok(Events { reader: BufReader::new(response.into_body().into_reader()) })
    }
}

/// The lines of an event that count.
#[derive(Default)]
struct Lines {
    id: String,
    name: String,
    data: String,
}

impl Events {
    fn line(&mut self) -> Result<String, ClientError> {
        let mut line = String::new();
        let read = self.reader.by_ref().take(LINE_MAX).read_line(&mut line);
        match read.map_err(ClientError::Transfer)? {
            0 => Err(ClientError::Ended),
            _ => Ok(line.trim_end_matches(['\r', '\n']).to_owned()),
        }
    }

    /// The next event. What has no data is a place, or a sign of life.
    pub(crate) fn next(&mut self) -> Result<Event, ClientError> {
        let mut lines = Lines::default();
        loop {
            let line = self.line()?;
            match line.split_once(": ") {
                Some(("id", id)) => lines.id = id.to_owned(),
                Some(("event", name)) => lines.name = name.to_owned(),
                Some(("data", data)) => lines.data = data.to_owned(),
                _ if line.is_empty() && lines.is_event() => return lines.event(),
                _ if line.is_empty() => lines = Lines::default(),
                _ => {}
            }
        }
    }
}

impl Lines {
    /// What an edge says about its line has a name of its own, and is none.
    fn is_event(&self) -> bool {
        !self.data.is_empty() && matches!(self.name.as_str(), "" | "end")
    }

    fn event(self) -> Result<Event, ClientError> {
        if self.name == "end" {
            let end: End = serde_json::from_str(&self.data).map_err(ClientError::Answer)?;
            return Err(ClientError::Refused { status: 410, message: end.error });
        }
        let document: Value = serde_json::from_str(&self.data).map_err(ClientError::Answer)?;
        let data: Data = serde_json::from_value(document.clone()).map_err(ClientError::Answer)?;
        let key = data.key_encoding.decode(data.key).map_err(ClientError::Base64)?;
        let value = data.value.map(|value| decoded(&value)).transpose()?;
        let (id, model, operation) = (self.id, data.model, data.operation);
        Ok(Event { id, model, operation, key, value, document })
    }
}
