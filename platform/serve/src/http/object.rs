//! `/lob/{key}`: large objects, of any size, in both directions chunk by chunk.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use unison_base::Lsn;
use unison_engine::{Condition, Operation, Write};

use super::condition::{condition, etag, unneeded, versioned};
use super::error::ApiError;
use super::kv::{refuse_on_follower, write};
use super::object_body::ObjectBody;
use super::path::AtKey;
use super::range::{Range, range};
use super::upload::{AbortOnDrop, Upload, check_announced, new_transaction};
use crate::commit::commit_one;
use crate::node::Node;

/// CRC-32 (IEEE) of the whole object, as a decimal number.
const CHECKSUM: HeaderName = HeaderName::from_static("x-checksum-crc32");

#[derive(Debug, Serialize)]
struct Uploaded {
    success: bool,
    bytes: u64,
    checksum: u32,
    lsn: u64,
}

/// One transaction: visible when all of it is there, gone when the client goes away before.
pub(super) async fn put(
    at: AtKey,
    State(node): State<Arc<Node>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    refuse_on_follower(&node)?;
    let condition = condition(&headers)?;
    check_announced(&headers)?;
    refuse_in_time(&at, condition).await?;
    let transaction = new_transaction();
    commit_one(&at.namespace, Write::new(Operation::Begin).within(transaction)).await?;
    let abort = AbortOnDrop::new(&at.namespace, transaction);
    let (namespace, object) = (&*at.namespace, at.key.as_slice());
    let mut upload = Upload { namespace, transaction, object, condition, bytes: 0, turn: None };
    upload.receive(&node, body).await?;
    let bytes = upload.bytes;
    let commit = Write::new(Operation::Commit(&[])).within(transaction);
    let written = commit_one(&at.namespace, commit).await?;
    abort.disarm();
    let (lsn, checksum) = (written.lsn, written.checksum.unwrap_or_default());
    let body = Uploaded { success: true, bytes, checksum, lsn: lsn.0 };
    Ok(versioned(lsn, body))
}

/// Says that a condition does not hold before the octets come. It has to hold at the commit too.
async fn refuse_in_time(at: &AtKey, condition: Condition) -> Result<(), ApiError> {
    if condition == Condition::Always {
        return Ok(());
    }
    let (reader, key) = (at.namespace.reader(), at.key.clone());
    let found = tokio::task::spawn_blocking(move || reader.snapshot().object(&key)).await??;
    let current = found.map(|object| object.lsn());
    let holds = match condition {
        Condition::Always => true,
        Condition::Absent => current.is_none(),
        Condition::Present => current.is_some(),
        Condition::UnchangedSince(lsn) => current.unwrap_or(Lsn::ZERO) == lsn,
    };
    if holds { Ok(()) } else { Err(ApiError::Conflict(current)) }
}

pub(super) async fn delete(
    at: AtKey,
    State(node): State<Arc<Node>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    refuse_on_follower(&node)?;
    let condition = condition(&headers)?;
    let objects = [at.key.as_slice()];
    write(&at.namespace, Write::new(Operation::DeleteObjects(&objects)), condition).await
}

/// The octets, or a range of them. The framework drops them for `HEAD`, which knows no ranges.
pub(super) async fn get(
    at: AtKey,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (reader, key) = (at.namespace.reader().clone(), at.key);
    let found = tokio::task::spawn_blocking(move || reader.snapshot().object(&key)).await??;
    let missing = || ApiError::NotFound("there is no such large object".to_owned());
    let object = found.ok_or_else(missing)?;
    let (lsn, bytes) = (object.lsn(), object.len());
    if let Some(answer) = unneeded(&headers, lsn) {
        return Ok(answer);
    }
    let asked = range(&headers, lsn).filter(|_| method == Method::GET);
    let partial = asked.is_some();
    let Range { first, length } = match asked {
        None => Range { first: 0, length: bytes },
        Some(asked) => asked.within(bytes).ok_or(ApiError::Range { bytes })?,
    };
    let status = if partial { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let checksum = object.checksum();
    let mut response = Body::new(ObjectBody::new(object, first, length)).into_response();
    *response.status_mut() = status;
    describe(response.headers_mut(), lsn, length, checksum);
    if partial {
        let text = format!("bytes {first}-{}/{bytes}", (first + length).saturating_sub(1));
        let value = HeaderValue::try_from(text).map_err(|_| ApiError::Abandoned)?;
        response.headers_mut().insert(header::CONTENT_RANGE, value);
    }
    Ok(response)
}

fn describe(headers: &mut HeaderMap, lsn: Lsn, length: u64, checksum: u32) {
    let octets = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, octets);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::ETAG, etag(lsn));
    headers.insert(CHECKSUM, HeaderValue::from(checksum));
}
