//! Requests as a user makes them: by curl.

use crate::node::Node;
use serde_json::Value;
use std::process::Command;

/// What a node answered.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status; 0 when there was no answer.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body's JSON.
    ///
    /// # Panics
    /// It is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A number of the body.
    ///
    /// # Panics
    /// It is not there.
    #[must_use]
    pub fn number(&self, name: &str) -> u64 {
        self.json()[name].as_u64().unwrap_or_else(|| panic!("{name}: {self:?}"))
    }

    /// This answer, which has to be a success.
    ///
    /// # Panics
    /// It is none.
    #[allow(
        clippy::must_use_candidate,
        reason = "that it is a success may be all one wants to know"
    )]
    pub fn done(self) -> Self {
        let text = String::from_utf8_lossy(&self.body);
        assert!((200..300).contains(&self.status), "{}: {text}", self.status);
        self
    }
}

/// Asks for `path` below the namespace `default`, with further arguments of curl.
///
/// # Panics
/// There is no curl.
#[must_use]
pub fn curl(node: &Node, arguments: &[&str], path: &str) -> Answer {
    let url = format!("http://{}/api/v1/default/{path}", node.address("http"));
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--write-out", "\n%{http_code}"])
        .args(arguments)
        .arg(url)
        .output()
        .expect("curl is installed");
    let at = output.stdout.iter().rposition(|byte| *byte == b'\n').expect("curl writes the status");
    let (body, status) = output.stdout.split_at(at);
    let status = std::str::from_utf8(&status[1..]).ok().and_then(|text| text.parse().ok());
    Answer { status: status.unwrap_or(0), body: body.to_vec() }
}

/// The same with a body of JSON.
///
/// # Panics
/// There is no curl.
#[must_use]
pub fn send(node: &Node, method: &str, path: &str, body: &str) -> Answer {
    let json = "content-type: application/json";
    curl(node, &["--request", method, "--header", json, "--data", body], path)
}
