//! `/kv/{key}` and `/kv/batch`.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use base64::Engine as _;
use serde::{Deserialize, Serialize};
use unison_base::Lsn;
use unison_base::limits::{BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, VALUE_MAX};
use unison_engine::{Condition, Operation, Write};
use unison_linux::store::Namespace;

use super::body::{or_default, parse, read};
use super::condition::{condition, unneeded, versioned};
use super::error::ApiError;
use super::item::{BASE64, KeyEncoding, decoded};
use super::path::{AtKey, InNamespace};
use super::ttl::{Ttl, end, expires_at, shown};
use super::whole::Whole;
use crate::commit::commit_one;
use crate::node::Node;

/// Most bytes of a body with one value: base64 is four bytes for three, the rest is JSON.
const VALUE_BODY_MAX: usize = VALUE_MAX / 3 * 4 + (64 << 10);
/// Most bytes of a body with a batch: each item has its braces, names and quotes.
pub(super) const BATCH_BODY_MAX: usize =
    BATCH_BYTES_MAX / 3 * 4 + BATCH_OPERATIONS_MAX * 128 + (64 << 10);

#[derive(Deserialize)]
struct Put<'a> {
    #[serde(borrow)]
    value: Cow<'a, str>,
    ttl: Option<Ttl>,
}

#[derive(Debug, Serialize)]
struct Success {
    success: bool,
    lsn: u64,
}

#[derive(Debug, Serialize)]
struct Found {
    value: String,
    found: bool,
    lsn: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
}

pub(super) async fn put(
    at: AtKey,
    State(node): State<Arc<Node>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    refuse_on_follower(&node)?;
    let condition = condition(&headers)?;
    let body = read(&node, &headers, body, VALUE_BODY_MAX).await?;
    let put = parse::<Put<'_>>(&body)?;
    let value = decoded(&put.value, "value")?;
    let expires_at = expires_at(put.ttl.as_ref(), &at.namespace)?;
    write(&at.namespace, Write::put(&at.key, &value).expiring_at(expires_at), condition).await
}

pub(super) async fn delete(
    at: AtKey,
    State(node): State<Arc<Node>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    refuse_on_follower(&node)?;
    let condition = condition(&headers)?;
    write(&at.namespace, Write::delete(&at.key), condition).await
}

pub(super) async fn write(
    namespace: &Namespace,
    write: Write<'_>,
    condition: Condition,
) -> Result<Response, ApiError> {
    let write = Write { condition, ..write };
    let lsn = commit_one(namespace, write).await?.lsn;
    Ok(versioned(lsn, Success { success: true, lsn: lsn.0 }))
}

/// A missing key is an answer too: 200, `found` false, version 0.
pub(super) async fn get(at: AtKey, headers: HeaderMap) -> Result<Response, ApiError> {
    let found = at.namespace.reader().get(&at.key)?;
    let lsn = found.as_ref().map_or(Lsn::ZERO, unison_linux::store::ValueRef::lsn);
    if let Some(answer) = unneeded(&headers, lsn) {
        return Ok(answer);
    }
    let value = match &found {
        Some(value) => BASE64.encode(&*value.bytes()?),
        None => String::new(),
    };
    let expires = found.as_ref().map_or(0, unison_linux::store::ValueRef::expires_at);
    let body = Found { value, found: found.is_some(), lsn: lsn.0, expires: shown(expires) };
    Ok(versioned(lsn, body))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Batch {
    operation: BatchOperation,
    #[serde(default, deserialize_with = "or_default")]
    items: Vec<BatchItem>,
    #[serde(default, deserialize_with = "or_default")]
    keys: Vec<String>,
    /// How `keys` are written.
    #[serde(default, deserialize_with = "or_default")]
    key_encoding: KeyEncoding,
    /// How long all items live, or when they expire.
    ttl: Option<Ttl>,
    expires: Option<Whole>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum BatchOperation {
    Put,
    Delete,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchItem {
    key: String,
    value: String,
    #[serde(default, deserialize_with = "or_default")]
    key_encoding: KeyEncoding,
}

#[derive(Debug, Serialize)]
pub(super) struct BatchSuccess {
    pub(super) success: bool,
    pub(super) count: usize,
    pub(super) lsn: u64,
}

/// One record: all of it or nothing.
pub(super) async fn batch(
    InNamespace(namespace): InNamespace,
    State(node): State<Arc<Node>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<BatchSuccess>, ApiError> {
    refuse_on_follower(&node)?;
    let batch: Batch = parse(&read(&node, &headers, body, BATCH_BODY_MAX).await?)?;
    let (count, outcome) = match batch.operation {
        BatchOperation::Put => {
            refuse_unless_empty(batch.keys.is_empty(), "put", "items")?;
            let expires_at = end(batch.ttl.as_ref(), batch.expires, &namespace)?;
            put_batch(&namespace, batch.items, expires_at).await?
        }
        BatchOperation::Delete => {
            refuse_unless_empty(batch.items.is_empty(), "delete", "keys")?;
            let keys: Result<Vec<_>, _> =
                batch.keys.into_iter().map(|key| batch.key_encoding.decode(key)).collect();
            let keys = keys?;
            let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
            (keys.len(), commit_one(&namespace, Write::new(Operation::DeleteBatch(&keys))).await)
        }
    };
    Ok(Json(BatchSuccess { success: true, count, lsn: outcome?.lsn.0 }))
}

/// What the other operation takes would be left out without a word.
fn refuse_unless_empty(is_empty: bool, operation: &str, takes: &str) -> Result<(), ApiError> {
    let why = || ApiError::Malformed(format!("`{operation}` takes `{takes}` and nothing else"));
    is_empty.then_some(()).ok_or_else(why)
}

async fn put_batch(
    namespace: &Namespace,
    items: Vec<BatchItem>,
    expires_at: u64,
) -> Result<(usize, crate::commit::Outcome), ApiError> {
    let pairs: Result<Vec<_>, ApiError> = items
        .into_iter()
        .map(|item| Ok((item.key_encoding.decode(item.key)?, decoded(&item.value, "value")?)))
        .collect();
    let pairs = pairs?;
    let pairs: Vec<(&[u8], &[u8])> =
        pairs.iter().map(|(key, value)| (key.as_slice(), value.as_slice())).collect();
    let write = Write::new(Operation::PutBatch(&pairs)).expiring_at(expires_at);
    Ok((pairs.len(), commit_one(namespace, write).await))
}

/// Writes belong to the hub: says where it is.
pub(super) fn refuse_on_follower(node: &Node) -> Result<(), ApiError> {
    node.read_only().map_or(Ok(()), |why| Err(ApiError::ReadOnly(why)))
}
