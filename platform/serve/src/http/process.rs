//! `/healthz`, `/readyz`, `/status`, `/metrics`: the process itself.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::error::ApiError;
use crate::metrics;
use crate::node::Node;
use crate::report::{Report, report};

#[derive(Debug, Serialize)]
pub(super) struct Alive {
    status: &'static str,
}

#[derive(Debug, Serialize)]
struct Readiness {
    ready: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
}

/// The process answers.
pub(super) async fn health() -> Json<Alive> {
    Json(Alive { status: "ok" })
}

/// The node serves what it should: 503 and the reasons when it does not.
pub(super) async fn readiness(State(node): State<Arc<Node>>) -> Response {
    let reasons = crate::report::obstacles(&node);
    let ready = reasons.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, reasons })).into_response()
}

pub(super) async fn status(State(node): State<Arc<Node>>) -> Result<Json<Report>, ApiError> {
    Ok(Json(tokio::task::spawn_blocking(move || report(&node)).await?))
}

pub(super) async fn metrics(State(node): State<Arc<Node>>) -> Result<Response, ApiError> {
    let page = tokio::task::spawn_blocking(move || metrics::page(&node)).await?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], page).into_response())
}
