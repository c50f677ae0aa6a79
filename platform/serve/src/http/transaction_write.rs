//! `/tx/{txnId}/kv`, `/row` and `/topics`: writes that wait for their commit.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use unison_engine::{ColumnNames, ColumnValues, Operation, Write};

use super::body::{or_default, parse, read};
use super::condition::condition;
use super::error::ApiError;
use super::item::{KeyEncoding, decoded};
use super::kv::BATCH_BODY_MAX;
use super::path::AtTransaction;
use super::row::{Columns, Names, values};
use super::topics::{Target, publish_within};
use super::transaction::{Change, Model, Success, declared, takes_any_model};
use super::ttl::{Ttl, expires_at};
use crate::commit::commit_one;
use crate::node::Node;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyWrite {
    key: String,
    #[serde(default, deserialize_with = "or_default")]
    key_encoding: KeyEncoding,
    value: Option<String>,
    operation: Option<Change>,
    /// Of what is put.
    ttl: Option<Ttl>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RowWrite {
    row_key: String,
    #[serde(default, deserialize_with = "or_default")]
    key_encoding: KeyEncoding,
    columns: Option<RowColumns>,
    operation: Option<Change>,
    /// Of what is put.
    ttl: Option<Ttl>,
}

/// Values for a put, names for a delete.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "`columns` is names with values in base64, or names alone where they are deleted"
)]
enum RowColumns {
    Values(Columns),
    Names(Names),
}

fn missing(what: &str) -> ApiError {
    ApiError::Malformed(format!("the body has no `{what}`, which this operation needs"))
}

/// Adds one write, on the condition of its headers.
async fn add(
    at: &AtTransaction,
    headers: &HeaderMap,
    write: Write<'_>,
) -> Result<Json<Success>, ApiError> {
    let condition = condition(headers)?;
    let write = Write { condition, ..write.within(at.id) };
    commit_one(&at.namespace, write).await?;
    Ok(Json(Success::PLAIN))
}

pub(super) async fn key(
    at: AtTransaction,
    State(node): State<Arc<Node>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Success>, ApiError> {
    let change = declared(at.id, Model::Kv)?;
    let body: KeyWrite = parse(&read(&node, &headers, body, BATCH_BODY_MAX).await?)?;
    let key = body.key_encoding.decode(body.key)?;
    match body.operation.unwrap_or(change) {
        Change::Put => {
            let value = decoded(&body.value.ok_or_else(|| missing("value"))?, "value")?;
            let expires_at = expires_at(body.ttl.as_ref(), &at.namespace)?;
            add(&at, &headers, Write::put(&key, &value).expiring_at(expires_at)).await
        }
        Change::Delete => add(&at, &headers, Write::delete(&key)).await,
        Change::DeleteColumns => Err(ApiError::Malformed("a key has no columns".to_owned())),
    }
}

pub(super) async fn row(
    at: AtTransaction,
    State(node): State<Arc<Node>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Success>, ApiError> {
    let change = declared(at.id, Model::Row)?;
    let body: RowWrite = parse(&read(&node, &headers, body, BATCH_BODY_MAX).await?)?;
    let row = body.key_encoding.decode(body.row_key)?;
    match (body.operation.unwrap_or(change), body.columns) {
        (Change::Put, Some(RowColumns::Values(columns))) => {
            let values = values(&columns)?;
            let columns: Vec<(&str, &[u8])> =
                values.iter().map(|(name, value)| (*name, &**value)).collect();
            let rows = [ColumnValues { row: &row, columns: &columns }];
            let expires_at = expires_at(body.ttl.as_ref(), &at.namespace)?;
            let put = Write::new(Operation::PutColumns(&rows)).expiring_at(expires_at);
            add(&at, &headers, put).await
        }
        (Change::DeleteColumns, Some(columns)) => {
            let names = match &columns {
                RowColumns::Values(columns) => columns.keys().map(String::as_str).collect(),
                RowColumns::Names(names) => names.all(),
            };
            let rows = [ColumnNames { row: &row, columns: &names }];
            add(&at, &headers, Write::new(Operation::DeleteColumns(&rows))).await
        }
        (Change::Delete, _) => {
            let rows = [row.as_slice()];
            add(&at, &headers, Write::new(Operation::DeleteRows(&rows))).await
        }
        (Change::Put | Change::DeleteColumns, _) => Err(missing("columns")),
    }
}

/// Adds messages; their ids and their time are those of the commit.
pub(super) async fn messages(
    at: AtTransaction,
    State(node): State<Arc<Node>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Success>, ApiError> {
    takes_any_model(at.id)?;
    let body = read(&node, &headers, body, BATCH_BODY_MAX).await?;
    publish_within(Target::Topics, &at, &body).await?;
    Ok(Json(Success::PLAIN))
}
