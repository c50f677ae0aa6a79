//! `POST /row/batch`: several rows, one record: all of it or nothing.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use unison_engine::{ColumnNames, ColumnValues, Operation, Write};
use unison_linux::store::Namespace;

use super::body::{or_default, parse, read};
use super::error::ApiError;
use super::item::KeyEncoding;
use super::kv::{BATCH_BODY_MAX, BatchSuccess, refuse_on_follower};
use super::path::InNamespace;
use super::row::{Columns, Names, values};
use super::ttl::{Ttl, expires_at};
use crate::commit::commit_one;
use crate::node::Node;

/// What happens to all rows of a batch.
#[derive(Deserialize)]
#[serde(tag = "operation", rename_all = "camelCase")]
enum Batch {
    Put { rows: Vec<Item<Columns>>, ttl: Option<Ttl> },
    Delete { rows: Vec<Item<Option<serde::de::IgnoredAny>>> },
    DeleteColumns { rows: Vec<Item<Names>> },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item<C> {
    row_key: String,
    #[serde(default, deserialize_with = "or_default")]
    key_encoding: KeyEncoding,
    columns: C,
}

impl<C> Item<C> {
    fn split(self) -> Result<(Vec<u8>, C), ApiError> {
        Ok((self.key_encoding.decode(self.row_key)?, self.columns))
    }
}

pub(super) async fn batch(
    InNamespace(namespace): InNamespace,
    State(node): State<Arc<Node>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<BatchSuccess>, ApiError> {
    refuse_on_follower(&node)?;
    let (count, lsn) = match parse(&read(&node, &headers, body, BATCH_BODY_MAX).await?)? {
        Batch::Put { rows, ttl } => {
            let expires_at = expires_at(ttl.as_ref(), &namespace)?;
            (rows.len(), put(&namespace, split(rows)?, expires_at).await?)
        }
        Batch::Delete { rows } => {
            let rows = split(rows)?;
            let rows: Vec<&[u8]> = rows.iter().map(|(row, _)| row.as_slice()).collect();
            (rows.len(), commit(&namespace, Write::new(Operation::DeleteRows(&rows))).await?)
        }
        Batch::DeleteColumns { rows } => {
            let rows = split(rows)?;
            let names: Vec<Vec<&str>> = rows.iter().map(|(_, names)| names.all()).collect();
            let rows = rows.iter().zip(&names);
            let rows = rows.map(|((row, _), columns)| ColumnNames { row, columns });
            let rows: Vec<ColumnNames<'_>> = rows.collect();
            (rows.len(), commit(&namespace, Write::new(Operation::DeleteColumns(&rows))).await?)
        }
    };
    Ok(Json(BatchSuccess { success: true, count, lsn }))
}

fn split<C>(items: Vec<Item<C>>) -> Result<Vec<(Vec<u8>, C)>, ApiError> {
    items.into_iter().map(Item::split).collect()
}

async fn put(
    namespace: &Namespace,
    rows: Vec<(Vec<u8>, Columns)>,
    expires_at: u64,
) -> Result<u64, ApiError> {
    let decoded: Result<Vec<_>, ApiError> =
        rows.iter().map(|(_, columns)| values(columns)).collect();
    let decoded = decoded?;
    let borrowed: Vec<Vec<(&str, &[u8])>> = decoded
        .iter()
        .map(|columns| columns.iter().map(|(name, value)| (*name, &**value)).collect())
        .collect();
    let rows = rows.iter().zip(&borrowed);
    let rows: Vec<ColumnValues<'_>> =
        rows.map(|((row, _), columns)| ColumnValues { row, columns }).collect();
    commit(namespace, Write::new(Operation::PutColumns(&rows)).expiring_at(expires_at)).await
}

async fn commit(namespace: &Namespace, write: Write<'_>) -> Result<u64, ApiError> {
    Ok(commit_one(namespace, write).await?.lsn.0)
}
