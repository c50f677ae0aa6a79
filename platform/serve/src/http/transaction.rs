//! `/tx`: several writes, visible at once or never.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use serde::{Deserialize, Serialize};
use unison_base::TxnId;
use unison_engine::{Condition, Operation, Write};

use super::body::{or_default, parse, read};
use super::error::ApiError;
use super::kv::refuse_on_follower;
use super::path::{AtTransaction, InNamespace};
use super::query::Query;
use super::upload::{Upload, check_announced, new_transaction};
use crate::commit::commit_one;
use crate::node::Node;

/// Most bytes of a body that begins a transaction.
const BODY_MAX: usize = 4 << 10;

/// What is done where a write does not say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Change {
    #[default]
    Put,
    Delete,
    DeleteColumns,
}

/// The one model of a transaction that has declared one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Model {
    Kv,
    Row,
    Lob,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Begin {
    #[serde(default, deserialize_with = "or_default")]
    operation: Change,
    entry_type: Option<Model>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Begun {
    txn_id: String,
    success: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Success {
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

impl Success {
    pub(super) const PLAIN: Self = Self { success: true, bytes: None };
}

#[derive(Debug, Serialize)]
pub(super) struct Committed {
    success: bool,
    /// CRC-32 (IEEE) of all values that were put, one behind the other.
    checksum: u32,
    lsn: u64,
}

/// What was declared at the beginning is a part of the identity: nothing has to be remembered, and
/// three of its bits less are random.
fn declare(id: TxnId, begin: &Begin) -> TxnId {
    let model = match begin.entry_type {
        None => 0,
        Some(Model::Kv) => 1,
        Some(Model::Row) => 2,
        Some(Model::Lob) => 3,
    };
    let deletes = u8::from(begin.operation != Change::Put);
    let TxnId(mut bytes) = id;
    let [.., last] = &mut bytes;
    *last = *last & !7 | deletes << 2 | model;
    TxnId(bytes)
}

/// What is done by a write that does not say it; refused when another model was declared.
pub(super) fn declared(id: TxnId, model: Model) -> Result<Change, ApiError> {
    let [.., last] = id.0;
    let is = match last & 3 {
        1 => Some(Model::Kv),
        2 => Some(Model::Row),
        3 => Some(Model::Lob),
        _ => None,
    };
    match is {
        Some(is) if is != model => Err(other_model()),
        _ => Ok(if last & 4 == 0 { Change::Put } else { Change::Delete }),
    }
}

/// Refused when one model was declared: messages are of none of those that can be.
pub(super) fn takes_any_model(id: TxnId) -> Result<(), ApiError> {
    let [.., last] = id.0;
    if last & 3 == 0 { Ok(()) } else { Err(other_model()) }
}

fn other_model() -> ApiError {
    let why = "the transaction began with another entryType; without one it takes any";
    ApiError::Malformed(why.to_owned())
}

pub(super) async fn begin(
    InNamespace(namespace): InNamespace,
    State(node): State<Arc<Node>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Begun>, ApiError> {
    refuse_on_follower(&node)?;
    let body = read(&node, &headers, body, BODY_MAX).await?;
    let begin = if body.is_empty() { Begin::default() } else { parse(&body)? };
    let id = declare(new_transaction(), &begin);
    commit_one(&namespace, Write::new(Operation::Begin).within(id)).await?;
    Ok(Json(Begun { txn_id: id.to_string(), success: true }))
}

pub(super) async fn commit(at: AtTransaction) -> Result<Json<Committed>, ApiError> {
    let commit = Write::new(Operation::Commit(&[])).within(at.id);
    let written = commit_one(&at.namespace, commit).await?;
    let checksum = written.checksum.unwrap_or_default();
    Ok(Json(Committed { success: true, checksum, lsn: written.lsn.0 }))
}

pub(super) async fn abort(at: AtTransaction) -> Result<Json<Success>, ApiError> {
    commit_one(&at.namespace, Write::new(Operation::Abort).within(at.id)).await?;
    Ok(Json(Success::PLAIN))
}

/// The object of the query, and where in it the body begins.
fn object_of(uri: &Uri) -> Result<(Vec<u8>, Option<u64>), ApiError> {
    let query = Query::parse(uri.query(), &["key", "offset"])?;
    let missing = || ApiError::Malformed("the query names the object: ?key=".to_owned());
    Ok((query.bytes("key").ok_or_else(missing)?.to_vec(), query.number("offset")?))
}

/// Bytes that the transaction has of an object: where an upload that was cut off goes on.
fn uploaded(at: &AtTransaction, key: &[u8]) -> Result<u64, ApiError> {
    let uploaded = at.namespace.with_engine(|engine| engine.uploaded_bytes(at.id, key))?;
    Ok(uploaded.map_err(unison_engine::WriteError::from)?)
}

/// The same, where that is what the request goes on from.
fn goes_on(at: &AtTransaction, key: &[u8], offset: Option<u64>) -> Result<u64, ApiError> {
    let bytes = uploaded(at, key)?;
    match offset {
        Some(offset) if offset != bytes => Err(ApiError::UploadOffset { expected: bytes }),
        _ => Ok(bytes),
    }
}

/// Adds a body to an object. What came before a connection broke stays: `GET` tells how much.
pub(super) async fn append_object(
    at: AtTransaction,
    State(node): State<Arc<Node>>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Success>, ApiError> {
    let (key, offset) = object_of(&uri)?;
    if declared(at.id, Model::Lob)? == Change::Delete {
        return remove(&node, &at, &key).await;
    }
    check_announced(&headers)?;
    let (namespace, transaction) = (&*at.namespace, at.id);
    let goes_on = || goes_on(&at, &key, offset);
    let (turn, bytes) = node.uploads.take(namespace.name(), transaction, &key, goes_on).await?;
    let (condition, turn) = (Condition::Always, Some(turn));
    let mut upload = Upload { namespace, transaction, object: &key, condition, bytes, turn };
    upload.receive(&node, body).await?;
    Ok(Json(Success { success: true, bytes: Some(upload.bytes) }))
}

async fn remove(node: &Node, at: &AtTransaction, key: &[u8]) -> Result<Json<Success>, ApiError> {
    // What does not go on is refused by the write itself, and then no upload to it does either.
    let any = || Ok::<_, ApiError>(());
    let _turn = node.uploads.take(at.namespace.name(), at.id, key, any).await?;
    let objects = [key];
    let delete = Write::new(Operation::DeleteObjects(&objects)).within(at.id);
    commit_one(&at.namespace, delete).await?;
    Ok(Json(Success::PLAIN))
}

pub(super) async fn delete_object(
    at: AtTransaction,
    State(node): State<Arc<Node>>,
    uri: Uri,
) -> Result<Json<Success>, ApiError> {
    declared(at.id, Model::Lob)?;
    remove(&node, &at, &object_of(&uri)?.0).await
}

pub(super) async fn object_progress(
    at: AtTransaction,
    uri: Uri,
) -> Result<Json<Success>, ApiError> {
    let (key, _) = object_of(&uri)?;
    Ok(Json(Success { success: true, bytes: Some(uploaded(&at, &key)?) }))
}

#[cfg(test)]
mod tests {
    use super::{Begin, Change, Model, declare, declared, takes_any_model};
    use unison_base::TxnId;

    #[test]
    fn what_was_declared_is_read_from_the_identity() {
        for (entry_type, operation) in [
            (None, Change::Put),
            (Some(Model::Kv), Change::Put),
            (Some(Model::Row), Change::Delete),
            (Some(Model::Lob), Change::Delete),
        ] {
            let id = declare(TxnId([0xff; 16]), &Begin { operation, entry_type });
            assert_eq!(id.0[..15], [0xff; 15]);
            for model in [Model::Kv, Model::Row, Model::Lob] {
                let is_it = entry_type.is_none_or(|declared| declared == model);
                assert_eq!(declared(id, model).ok(), is_it.then_some(operation));
            }
            assert_eq!(takes_any_model(id).is_ok(), entry_type.is_none());
        }
    }
}
