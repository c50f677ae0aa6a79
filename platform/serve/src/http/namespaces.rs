//! `/api/v1`: listing, making and dropping namespaces.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use serde::{Deserialize, Serialize};
use unison_base::NamespaceName;
use unison_linux::store::Namespace;

use super::body::{parse, read};
use super::error::ApiError;
use super::kv::refuse_on_follower;
use super::path::{InNamespace, no_namespace, split};
use super::whole::Whole;
use crate::DEFAULT_NAMESPACE;
use crate::config::ByteSize;
use crate::node::Node;

/// Largest quota that means anything: an exbibyte.
const QUOTA_MAX: u64 = 1 << 60;
/// Most bytes of a body that names a namespace.
const BODY_MAX: usize = 4 << 10;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    name: String,
    log_id: String,
    applied: u64,
    #[serde(flatten)]
    space: Space,
}

/// The disk of a namespace: what it has, and the most it may have.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Space {
    disk_bytes: u64,
    quota_bytes: Option<u64>,
}

impl Space {
    /// Looks at the file system.
    pub(super) fn of(namespace: &Namespace) -> Self {
        // A directory that was just dropped takes nothing.
        let disk_bytes = namespace.disk_bytes().unwrap_or_default();
        Self { disk_bytes, quota_bytes: namespace.quota_bytes() }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct List {
    namespaces: Vec<Listed>,
}

#[derive(Deserialize)]
struct Create {
    name: String,
}

#[derive(Deserialize)]
struct Quota {
    /// `null` for no limit.
    #[serde(deserialize_with = "Option::deserialize")]
    bytes: Option<Size>,
}

/// A number of bytes, or with a unit.
#[derive(Deserialize)]
#[serde(untagged, expecting = "`bytes` is a whole number, or a text such as `64GiB`")]
enum Size {
    Bytes(Whole),
    Text(String),
}

impl Size {
    fn bytes(self) -> Result<u64, ApiError> {
        let bytes = match self {
            Self::Bytes(bytes) => bytes.0,
            Self::Text(text) => {
                let size: Result<ByteSize, _> = text.parse();
                size.map_err(|error| ApiError::Malformed(format!("`bytes`: {error}")))?.0
            }
        };
        let most =
            || ApiError::Malformed(format!("`bytes` is at most {QUOTA_MAX}; null ends the limit"));
        Some(bytes).filter(|bytes| *bytes <= QUOTA_MAX).ok_or_else(most)
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Limited {
    success: bool,
    quota_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Success {
    success: bool,
    name: String,
}

pub(super) async fn list(State(node): State<Arc<Node>>) -> Result<Json<List>, ApiError> {
    let listed = |namespace: Arc<Namespace>| Listed {
        name: namespace.name().to_string(),
        log_id: namespace.log_id().to_string(),
        applied: namespace.reader().applied().0,
        space: Space::of(&namespace),
    };
    let list = move || node.store.list().into_iter().map(listed).collect();
    Ok(Json(List { namespaces: tokio::task::spawn_blocking(list).await? }))
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

/// Limits the disk of a namespace, or ends the limit.
pub(super) async fn limit(
    InNamespace(namespace): InNamespace,
    State(node): State<Arc<Node>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Limited>, ApiError> {
    refuse_on_follower(&node)?;
    let quota: Quota = parse(&read(&node, &headers, body, BODY_MAX).await?)?;
    let quota_bytes = quota.bytes.map(Size::bytes).transpose()?;
    tokio::task::spawn_blocking(move || namespace.set_quota(quota_bytes)).await??;
    Ok(Json(Limited { success: true, quota_bytes }))
}
