//! Which path is what.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{MethodRouter, delete, get, post, put};

use super::error::ApiError;
use super::{
    backup, cors, kv, list, log, namespaces, object, object_list, openapi, process, row, row_batch,
    row_list, row_read, topics, topics_read, topics_settings, topics_subscribe, transaction,
    transaction_write, tree_backup, watch,
};
use crate::node::Node;

/// Each path and what it does. The document that `openapi` serves has the same paths.
pub(super) fn routes() -> Vec<(&'static str, MethodRouter<Arc<Node>>)> {
    let key = get(kv::get).put(kv::put).delete(kv::delete);
    let one_row = get(row_read::get).put(row::put).delete(row::delete);
    vec![
        ("/healthz", get(process::health)),
        ("/readyz", get(process::readiness)),
        ("/status", get(process::status)),
        ("/metrics", get(process::metrics)),
        ("/openapi.json", get(openapi::openapi)),
        ("/api/v1", get(namespaces::list).post(namespaces::create)),
        ("/api/v1/{namespace}", delete(namespaces::remove)),
        ("/api/v1/{namespace}/quota", put(namespaces::limit)),
        ("/api/v1/{namespace}/kv", get(list::list)),
        // A key may be called `batch` like any other: only POST means the batch.
        ("/api/v1/{namespace}/kv/batch", key.clone().post(kv::batch)),
        ("/api/v1/{namespace}/kv/{*key}", key),
        ("/api/v1/{namespace}/row", get(row_list::list)),
        ("/api/v1/{namespace}/row/batch", one_row.clone().post(row_batch::batch)),
        ("/api/v1/{namespace}/row/{rowKey}", one_row),
        ("/api/v1/{namespace}/row/{rowKey}/columns", delete(row::delete_columns)),
        ("/api/v1/{namespace}/topics", get(topics_read::list)),
        ("/api/v1/{namespace}/topics/publish", post(topics::publish)),
        ("/api/v1/{namespace}/topics/publish-pattern", post(topics::publish_pattern)),
        ("/api/v1/{namespace}/topics/messages", get(topics_read::messages)),
        ("/api/v1/{namespace}/topics/messages/{id}", delete(topics::delete)),
        ("/api/v1/{namespace}/topics/retained", get(topics_read::retained)),
        (
            "/api/v1/{namespace}/topics/settings",
            get(topics_settings::get).put(topics_settings::put),
        ),
        ("/api/v1/{namespace}/topics/subscribe", get(topics_subscribe::subscribe)),
        ("/api/v1/{namespace}/topics/trim", post(topics::trim)),
        ("/api/v1/{namespace}/lob", get(object_list::list)),
        (
            "/api/v1/{namespace}/lob/{*key}",
            get(object::get).put(object::put).delete(object::delete),
        ),
        ("/api/v1/{namespace}/tx/begin", post(transaction::begin)),
        ("/api/v1/{namespace}/tx/{txnId}/kv", post(transaction_write::key)),
        ("/api/v1/{namespace}/tx/{txnId}/row", post(transaction_write::row)),
        ("/api/v1/{namespace}/tx/{txnId}/topics", post(transaction_write::messages)),
        (
            "/api/v1/{namespace}/tx/{txnId}/lob",
            post(transaction::append_object)
                .get(transaction::object_progress)
                .delete(transaction::delete_object),
        ),
        ("/api/v1/{namespace}/tx/{txnId}/commit", post(transaction::commit)),
        ("/api/v1/{namespace}/tx/{txnId}/abort", post(transaction::abort)),
        ("/api/v1/{namespace}/offset", get(log::offset)),
        ("/api/v1/{namespace}/stats", get(log::stats)),
        ("/api/v1/{namespace}/checkpoint", get(log::checkpoint)),
        ("/api/v1/{namespace}/watch", get(watch::watch)),
        ("/api/v1/{namespace}/wal/backup", post(backup::backup)),
        ("/api/v1/{namespace}/btree/backup", post(tree_backup::backup)),
    ]
}

pub(super) fn router(node: Arc<Node>) -> Router {
    let routes = routes().into_iter();
    routes
        .fold(Router::new(), |router, (path, does)| router.route(path, does))
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
        .layer(from_fn_with_state(Arc::clone(&node), cors::answer))
        .layer(from_fn_with_state(Arc::clone(&node), count))
        .with_state(node)
}

async fn unknown(uri: Uri) -> ApiError {
    ApiError::NotFound(format!("there is nothing at {}", uri.path()))
}

async fn not_allowed(method: Method) -> ApiError {
    ApiError::Method(method.to_string())
}

async fn count(
    axum::extract::State(node): axum::extract::State<Arc<Node>>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    node.metrics.http.requests.inc();
    if response.status().is_client_error() || response.status().is_server_error() {
        node.metrics.http.errors.inc();
    }
    response
}
