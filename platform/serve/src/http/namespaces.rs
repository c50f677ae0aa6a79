//! `/api/v1`: listing, making and dropping namespaces.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use serde::{Deserialize, Serialize};
use unison_base::NamespaceName;

use super::body::{parse, read};
use super::error::ApiError;
use super::kv::refuse_on_follower;
use super::path::{no_namespace, split};
use crate::DEFAULT_NAMESPACE;
use crate::node::Node;

/// Most bytes of a body that names a namespace.
const BODY_MAX: usize = 4 << 10;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    name: String,
    log_id: String,
    applied: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct List {
    namespaces: Vec<Listed>,
}

#[derive(Deserialize)]
struct Create {
    name: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Success {
    success: bool,
    name: String,
}

pub(super) async fn list(State(node): State<Arc<Node>>) -> Json<List> {
    let listed = node.store.list().into_iter().map(|namespace| Listed {
        name: namespace.name().to_string(),
        log_id: namespace.log_id().to_string(),
        applied: namespace.reader().applied().0,
    });
    Json(List { namespaces: listed.collect() })
}

pub(super) async fn create(
    State(node): State<Arc<Node>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Success>, ApiError> {
    refuse_on_follower(&node)?;
    let create: Create = parse(&read(&node, &headers, body, BODY_MAX).await?)?;
    let malformed = |error: unison_base::NameError| ApiError::Malformed(error.to_string());
    let name = NamespaceName::new(&create.name).map_err(malformed)?;
    if node.store.namespace(name.as_str()).is_some() {
        return Err(ApiError::Exists(format!("namespace {name} exists already")));
    }
    let made = name.clone();
    tokio::task::spawn_blocking(move || node.store.create(&made)).await??;
    Ok(Json(Success { success: true, name: name.to_string() }))
}

pub(super) async fn remove(
    State(node): State<Arc<Node>>,
    uri: Uri,
) -> Result<Json<Success>, ApiError> {
    refuse_on_follower(&node)?;
    let (text, _) = split(uri.path())?;
    let name = NamespaceName::new(&text).map_err(|_| no_namespace(&text))?;
    if name.as_str() == DEFAULT_NAMESPACE {
        return Err(ApiError::Forbidden("the namespace `default` always exists"));
    }
    tokio::task::spawn_blocking(move || node.store.drop_namespace(&name)).await??;
    Ok(Json(Success { success: true, name: text }))
}
