//! Which path is what.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, Uri};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};

use super::error::ApiError;
use super::query::Query;
use super::{
    backup, cors, kv, list, log, namespaces, object, object_list, openapi, process, row, row_batch,
    row_list, row_read, topics, topics_read, topics_settings, topics_subscribe, transaction,
    transaction_write, tree_backup, watch,
};
use crate::node::Node;

/// Each path and what it does. The document that `openapi` serves has the same paths.
pub(super) fn routes() -> Vec<(&'static str, MethodRouter<Arc<Node>>)> {
    let key = get(kv::get).merge(plain(put(kv::put).delete(kv::delete)));
    let one_row = get(row_read::get).merge(plain(put(row::put).delete(row::delete)));
    let object = get(object::get).merge(plain(put(object::put).delete(object::delete)));
    let settings = get(topics_settings::get).merge(plain(put(topics_settings::put)));
    vec![
        ("/healthz", get(process::health)),
        ("/readyz", get(process::readiness)),
        ("/status", get(process::status)),
        ("/metrics", get(process::metrics)),
        ("/openapi.json", get(openapi::openapi)),
        ("/api/v1", get(namespaces::list).merge(plain(post(namespaces::create)))),
        ("/api/v1/{namespace}", plain(delete(namespaces::remove))),
        ("/api/v1/{namespace}/quota", plain(put(namespaces::limit))),
        ("/api/v1/{namespace}/kv", get(list::list)),
        // A key may be called `batch` like any other: only POST means the batch.
        ("/api/v1/{namespace}/kv/batch", key.clone().merge(plain(post(kv::batch)))),
        ("/api/v1/{namespace}/kv/{*key}", key),
        ("/api/v1/{namespace}/row", get(row_list::list)),
        ("/api/v1/{namespace}/row/batch", one_row.clone().merge(plain(post(row_batch::batch)))),
        ("/api/v1/{namespace}/row/{rowKey}", one_row),
        ("/api/v1/{namespace}/row/{rowKey}/columns", plain(delete(row::delete_columns))),
        ("/api/v1/{namespace}/topics", get(topics_read::list)),
        ("/api/v1/{namespace}/topics/publish", plain(post(topics::publish))),
        ("/api/v1/{namespace}/topics/publish-pattern", plain(post(topics::publish_pattern))),
        ("/api/v1/{namespace}/topics/messages", get(topics_read::messages)),
        ("/api/v1/{namespace}/topics/messages/{id}", plain(delete(topics::delete))),
        ("/api/v1/{namespace}/topics/retained", get(topics_read::retained)),
        ("/api/v1/{namespace}/topics/settings", settings),
        ("/api/v1/{namespace}/topics/subscribe", get(topics_subscribe::subscribe)),
        ("/api/v1/{namespace}/topics/trim", plain(post(topics::trim))),
        ("/api/v1/{namespace}/lob", get(object_list::list)),
        ("/api/v1/{namespace}/lob/{*key}", object),
        ("/api/v1/{namespace}/tx/begin", plain(post(transaction::begin))),
        ("/api/v1/{namespace}/tx/{txnId}/kv", plain(post(transaction_write::key))),
        ("/api/v1/{namespace}/tx/{txnId}/row", plain(post(transaction_write::row))),
        ("/api/v1/{namespace}/tx/{txnId}/topics", plain(post(transaction_write::messages))),
        (
            "/api/v1/{namespace}/tx/{txnId}/lob",
            post(transaction::append_object)
                .get(transaction::object_progress)
                .delete(transaction::delete_object),
        ),
        ("/api/v1/{namespace}/tx/{txnId}/commit", plain(post(transaction::commit))),
        ("/api/v1/{namespace}/tx/{txnId}/abort", plain(post(transaction::abort))),
        ("/api/v1/{namespace}/offset", get(log::offset)),
        ("/api/v1/{namespace}/stats", get(log::stats)),
        ("/api/v1/{namespace}/checkpoint", get(log::checkpoint)),
        ("/api/v1/{namespace}/watch", get(watch::watch)),
        ("/api/v1/{namespace}/wal/backup", plain(post(backup::backup))),
        ("/api/v1/{namespace}/btree/backup", plain(post(tree_backup::backup))),
    ]
}

/// Requests without a query: what one says would be left out without a word, a `ttl` for instance.
fn plain(does: MethodRouter<Arc<Node>>) -> MethodRouter<Arc<Node>> {
    does.route_layer(from_fn(refuse_query))
}

async fn refuse_query(request: Request, next: Next) -> Response {
    match Query::parse(request.uri().query(), &[]) {
        Ok(_) => next.run(request).await,
        Err(error) => error.into_response(),
    }
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
