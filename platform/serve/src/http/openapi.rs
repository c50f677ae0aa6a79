//! `/openapi.json`: what the routes take and answer, as a document for generators and testers.
//!
//! It is written by hand, one file for each part of the API; tests hold it against the routes.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use crate::node::VERSION;

/// Title, and what all parts share.
const DOCUMENT: &str = include_str!("openapi/document.json");
/// Paths, and the schemas and parameters that only they need.
const PARTS: [&str; 9] = [
    include_str!("openapi/process.json"),
    include_str!("openapi/namespaces.json"),
    include_str!("openapi/kv.json"),
    include_str!("openapi/row.json"),
    include_str!("openapi/topics.json"),
    include_str!("openapi/lob.json"),
    include_str!("openapi/tx.json"),
    include_str!("openapi/log.json"),
    include_str!("openapi/watch.json"),
];

static TEXT: LazyLock<String> = LazyLock::new(|| document().to_string());

pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response()
}

/// The parts as one document. They are constants, and a test reads each of them.
fn document() -> Value {
    let mut document: Value = serde_json::from_str(DOCUMENT).unwrap_or_default();
    for part in PARTS {
        let part: Map<String, Value> = serde_json::from_str(part).unwrap_or_default();
        for (section, entries) in part {
            let place = match section.as_str() {
                "paths" => "/paths".to_owned(),
                shared => format!("/components/{shared}"),
            };
            let place = document.pointer_mut(&place).and_then(Value::as_object_mut);
            if let (Some(place), Value::Object(entries)) = (place, entries) {
                place.extend(entries);
            }
        }
    }
    document.pointer_mut("/paths").into_iter().for_each(add_common_answers);
    if let Some(info) = document.get_mut("info").and_then(Value::as_object_mut) {
        info.insert("version".to_owned(), VERSION.into());
    }
    document
}

/// What is answered whatever the request is about: by the connection, and to pages of other origins.
fn add_common_answers(paths: &mut Value) {
    let answer = |name| serde_json::json!({ "$ref": format!("#/components/responses/{name}") });
    let items = paths.as_object_mut().into_iter().flat_map(Map::values_mut);
    for (method, operation) in items.filter_map(Value::as_object_mut).flatten() {
        if let Some(answers) = operation.get_mut("responses").and_then(Value::as_object_mut) {
            answers.insert("431".to_owned(), answer("HeadTooLarge"));
            if method != "get" {
                answers.insert("403".to_owned(), answer("Forbidden"));
            }
        }
    }
}

#[cfg(test)]
mod tests;
