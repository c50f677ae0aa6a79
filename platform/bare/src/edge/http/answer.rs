//! From the head of a request to an answer.

use super::super::status;
use super::super::view::View;
use crate::block::BlockDevice;
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
    Whole { method: String, path: String },
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
            let path = request.path.unwrap_or_default();
            let path = path.split(['?', '#']).next().unwrap_or_default();
            let method = request.method.unwrap_or_default().to_string();
            Request::Whole { method, path: path.to_string() }
        }
        Err(error) => Request::Malformed(error),
    }
}

/// Answers a request that is whole.
pub(super) fn answer<D: BlockDevice>(method: &str, path: &str, view: &View<'_, D>) -> Vec<u8> {
    let response = match (method, path) {
        ("GET" | "HEAD", "/status") => json("200 OK", &status::status(view)),
        ("GET" | "HEAD", "/health" | "/healthz") => json("200 OK", &Alive { status: "ok" }),
        ("GET" | "HEAD", "/readyz") => readiness(view),
        ("GET" | "HEAD", path) => unknown(path),
        (_, path) if path.starts_with("/api/") => {
            let why = ReadOnly { hub: view.hub() }.to_string();
            refusal("421 Misdirected Request", &why)
        }
        (method, _) => {
            let method = shown(method.as_bytes());
            let why = format!("this path does not know the method {method}");
            refusal("405 Method Not Allowed", &why)
        }
    };
    if method == "HEAD" { head_of(response) } else { response }
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
        "there is nothing at {path}; this node has /status, /health and /readyz, and answers reads \
         over RESP"
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

fn refusal(status: &str, why: &str) -> Vec<u8> {
    json(status, &Body { error: why })
}

fn json(status: &str, body: &impl Serialize) -> Vec<u8> {
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
