//! From the head of a request to an answer.

use super::downloads::{Download, Downloads};
use super::object::Rest;
use super::read;
use crate::block::BlockDevice;
use crate::edge::status;
use crate::edge::view::View;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use serde::Serialize;
use unison_resp::refusal::{ReadOnly, shown};

/// Most headers of a request.
const HEADERS_MAX: usize = 32;
/// How long a caller should wait when there are too many, seconds.
const RETRY_SECONDS: u8 = 1;

/// What is known of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// The head is not complete.
    Part,
    /// It is.
    Whole { method: String, target: String },
    /// The bytes are no request.
    Malformed(httparse::Error),
}

#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
}

#[derive(Serialize)]
struct Alive {
    status: &'static str,
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
}

/// Looks at what has come.
pub(super) fn parse(input: &[u8]) -> Request {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(input) {
        Ok(httparse::Status::Partial) => Request::Part,
        Ok(httparse::Status::Complete(_)) => {
            let target = request.path.unwrap_or_default().to_string();
            let method = request.method.unwrap_or_default().to_string();
            Request::Whole { method, target }
        }
        Err(error) => Request::Malformed(error),
    }
}

/// The bytes of an answer, and what follows them.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) bytes: Vec<u8>,
    pub(super) rest: Option<Rest>,
    /// What it counts as while something follows.
    _download: Option<Download>,
}

impl From<Vec<u8>> for Answer {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, rest: None, _download: None }
    }
}

impl Answer {
    /// An object, of which the head says what comes.
    pub(super) fn of_object(head: &str, rest: Rest) -> Self {
        let bytes = format!("HTTP/1.1 200 OK\r\n{head}connection: close\r\n\r\n").into_bytes();
        Self { bytes, rest: Some(rest), _download: None }
    }

    /// As it is, unless an object follows and as many callers take one as may.
    pub(super) fn among(self, downloads: &Downloads) -> Self {
        if self.rest.is_none() {
            return self;
        }
        match downloads.begin() {
            Some(download) => Self { _download: Some(download), ..self },
            None => too_many_downloads(Downloads::MAX).into(),
        }
    }
}

/// Answers a request that is whole.
pub(super) fn answer<D: BlockDevice>(method: &str, target: &str, view: &View<'_, D>) -> Answer {
    let target = target.split('#').next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let response = match (method, path) {
        ("GET" | "HEAD", "/status") => json("200 OK", &status::status(view)).into(),
        ("GET" | "HEAD", "/health" | "/healthz") => json("200 OK", &Alive { status: "ok" }).into(),
        ("GET" | "HEAD", "/readyz") => readiness(view).into(),
        ("GET" | "HEAD", path) => {
            read::answer(path, query, view).unwrap_or_else(|| unknown(path).into())
        }
        (_, path) if path.starts_with("/api/") => {
            let why = ReadOnly { hub: view.hub() }.to_string();
            refusal("421 Misdirected Request", &why).into()
        }
        (method, _) => {
            let method = shown(method.as_bytes());
            let why = format!("this path does not know the method {method}");
            refusal("405 Method Not Allowed", &why).into()
        }
    };
    if method == "HEAD" { head_of(response.bytes).into() } else { response }
}

fn readiness<D: BlockDevice>(view: &View<'_, D>) -> Vec<u8> {
    let reasons = view.obstacles();
    let ready = reasons.is_empty();
    let status = if ready { "200 OK" } else { "503 Service Unavailable" };
    json(status, &Readiness { ready, reasons })
}

fn unknown(path: &str) -> Vec<u8> {
    let path = shown(path.as_bytes());
    let why = format!(
        "there is nothing at {path}; this node has /status, /health and /readyz, below \
         /api/v1/NAMESPACE topics, topics/messages, topics/retained and lob/KEY, and answers other \
         reads over RESP"
    );
    refusal("404 Not Found", &why)
}

/// Answers bytes that are no request.
pub(super) fn malformed(error: httparse::Error) -> Vec<u8> {
    refusal("400 Bad Request", &format!("no HTTP request: {error}"))
}

/// Answers a head that is too long.
pub(super) fn too_large(limit: usize) -> Vec<u8> {
    let why = format!("the head is above the limit of {limit} bytes (head)");
    refusal("431 Request Header Fields Too Large", &why)
}

/// Answers a head that came too slowly.
pub(super) fn too_slow() -> Vec<u8> {
    refusal("408 Request Timeout", "the head came too slowly")
}

/// Answers a caller beyond the most that are served.
pub(crate) fn too_many_callers(limit: usize) -> String {
    let why = format!("too many connections, the limit is {limit}");
    let response = refusal("503 Service Unavailable", &why);
    String::from_utf8_lossy(&response).into_owned()
}

/// Answers a caller who wants an object when as many as may are being taken.
fn too_many_downloads(limit: usize) -> Vec<u8> {
    let why = format!("too many objects are being taken, the limit is {limit} at a time");
    refusal("503 Service Unavailable", &why)
}

pub(super) fn refusal(status: &str, why: &str) -> Vec<u8> {
    json(status, &Body { error: why })
}

pub(super) fn json(status: &str, body: &impl Serialize) -> Vec<u8> {
    // These types have names for keys and numbers that JSON has: nothing in them can fail.
    let body = serde_json::to_vec(body).unwrap_or_default();
    let retry = if status.starts_with("503") {
        format!("retry-after: {RETRY_SECONDS}\r\n")
    } else {
        String::new()
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{retry}connection: close\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

/// The answer without its body.
fn head_of(mut response: Vec<u8>) -> Vec<u8> {
    let end = response.windows(4).position(|window| window == b"\r\n\r\n");
    response.truncate(end.map_or(0, |end| end + 4));
    response
}
