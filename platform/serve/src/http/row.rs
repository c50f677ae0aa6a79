//! Writes to `/row/{rowKey}` and `/row/{rowKey}/columns`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use serde::de::IgnoredAny;
use unison_engine::{ColumnNames, ColumnValues, Operation, Write};

use super::body::{parse, read};
use super::condition::condition;
use super::error::ApiError;
use super::item::decoded;
use super::kv::{BATCH_BODY_MAX, refuse_on_follower, write};
use super::path::AtRow;
use super::ttl::{Ttl, expires_at};
use crate::node::Node;

#[derive(Deserialize)]
struct Put {
    columns: Columns,
    /// How long the whole row lives; without it that stays as it is.
    ttl: Option<Ttl>,
}

/// Names and values in base64.
pub(super) type Columns = BTreeMap<String, String>;

/// Names and values, decoded.
pub(super) fn values(columns: &Columns) -> Result<Vec<(&str, Vec<u8>)>, ApiError> {
    let value =
        |(name, value): (&'_ String, &String)| decoded(value, &format!("value of `{name}`"));
    columns.iter().map(|column| Ok((column.0.as_str(), value(column)?))).collect()
}

pub(super) async fn put(
    at: AtRow,
    State(node): State<Arc<Node>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    refuse_on_follower(&node)?;
    let condition = condition(&headers)?;
    let put: Put = parse(&read(&node, &headers, body, BATCH_BODY_MAX).await?)?;
    let values = values(&put.columns)?;
    let columns: Vec<(&str, &[u8])> =
        values.iter().map(|(name, value)| (*name, &**value)).collect();
    let rows = [ColumnValues { row: &at.row, columns: &columns }];
    let expires_at = expires_at(put.ttl.as_ref(), &at.namespace)?;
    let operation = Write::new(Operation::PutColumns(&rows));
    write(&at.namespace, operation.expiring_at(expires_at), condition).await
}

pub(super) async fn delete(
    at: AtRow,
    State(node): State<Arc<Node>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    refuse_on_follower(&node)?;
    let condition = condition(&headers)?;
    write(&at.namespace, Write::new(Operation::DeleteRows(&[&at.row])), condition).await
}

#[derive(Deserialize)]
struct Delete {
    columns: Names,
}

/// Names alone, or with values that mean nothing.
#[derive(Deserialize)]
#[serde(untagged, expecting = "`columns` is a list of names, or an object with these names")]
pub(super) enum Names {
    List(Vec<String>),
    Map(BTreeMap<String, IgnoredAny>),
}

impl Names {
    pub(super) fn all(&self) -> Vec<&str> {
        match self {
            Self::List(names) => names.iter().map(String::as_str).collect(),
            Self::Map(names) => names.keys().map(String::as_str).collect(),
        }
    }
}

pub(super) async fn delete_columns(
    at: AtRow,
    State(node): State<Arc<Node>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    refuse_on_follower(&node)?;
    let condition = condition(&headers)?;
    let delete: Delete = parse(&read(&node, &headers, body, BATCH_BODY_MAX).await?)?;
    let rows = [ColumnNames { row: &at.row, columns: &delete.columns.all() }];
    write(&at.namespace, Write::new(Operation::DeleteColumns(&rows)), condition).await
}
