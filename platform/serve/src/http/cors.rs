//! Web pages of other origins (`--http-allow-origin`): the headers of CORS, which tell a browser
//! whose pages may read an answer, and its question beforehand.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
    VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::ApiError;
use crate::config::Origins;
use crate::node::Node;

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE");
/// Nothing here is known by a cookie, so that `*` is all headers.
const EVERY: HeaderValue = HeaderValue::from_static("*");
/// Seconds for which a browser need not ask again: the most that one of them takes.
const ASKED_FOR_SECONDS: HeaderValue = HeaderValue::from_static("7200");

/// A browser sends some writes of any page without asking, and only keeps the answer from it.
const FOREIGN: ApiError = ApiError::Forbidden(
    "pages of this origin may not write here: it is named with --http-allow-origin",
);

/// Answers what a browser asks before a page's request, refuses writes of pages that are not named,
/// and says in every other answer whose pages may read it.
pub(super) async fn answer(
    State(node): State<Arc<Node>>,
    request: Request,
    next: Next,
) -> Response {
    let origins = &node.allow_origin;
    let allowed = |origin: &&HeaderValue| origins.allow(origin.as_bytes());
    let origin = request.headers().get(ORIGIN).filter(allowed).cloned();
    let is_foreign = !request.headers().get_all(ORIGIN).iter().all(|origin| allowed(&origin));
    let asks = request.method() == Method::OPTIONS
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match &origin {
        Some(_) if asks => permission(),
        _ if is_foreign && !request.method().is_safe() => FOREIGN.into_response(),
        _ => next.run(request).await,
    };
    sign(origins, origin, response.headers_mut());
    response
}

fn permission() -> Response {
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (ACCESS_CONTROL_ALLOW_HEADERS, EVERY),
        (ACCESS_CONTROL_MAX_AGE, ASKED_FOR_SECONDS),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

fn sign(origins: &Origins, origin: Option<HeaderValue>, headers: &mut HeaderMap) {
    match origins {
        Origins::Off => return,
        Origins::Any => {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, EVERY);
        }
        Origins::These(_) => {
            headers.append(VARY, HeaderValue::from_static("Origin"));
            let Some(origin) = origin else { return };
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        }
    }
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EVERY);
}
