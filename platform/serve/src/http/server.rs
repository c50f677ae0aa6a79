//! Accepting HTTP connections.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use super::error::ApiError;
use super::routes::router;
use crate::listen::Gate;
use crate::node::Node;
use crate::slow::Slow;

/// How long the head of a request may take, and a connection may be idle between two.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// How long a client may refuse to take a byte of an answer.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);
/// Most bytes of the head of a request: a key is at most 4 KiB, each byte `%xx`.
const HEAD_BYTES_MAX: usize = 32 << 10;

/// The HTTP server of a node.
#[derive(Debug)]
pub struct HttpServer {
    node: Arc<Node>,
    listener: TcpListener,
}

impl HttpServer {
    /// A server on a bound listener.
    #[must_use]
    pub fn new(node: Arc<Node>, listener: TcpListener) -> Self {
        Self { node, listener }
    }

    /// Serves until the node's shutdown begins. Requests in flight are answered; the shutdown waits
    /// for them.
    pub async fn run(self) {
        let Self { node, listener } = self;
        let gate = Gate::new(node.connections_max, node.shutdown.clone());
        let router = router(Arc::clone(&node));
        let serve = |stream, _, place| {
            let (node, router) = (Arc::clone(&node), router.clone());
            async move {
                node.metrics.http.accepted.inc();
                serve(&node, stream, router).await;
                node.metrics.http.ended.inc();
                drop(place);
            }
        };
        let refuse = |stream| {
            node.metrics.http.refused.inc();
            refuse(stream, gate.limit())
        };
        gate.accept(listener, serve, refuse).await;
    }
}

async fn serve(node: &Node, stream: TcpStream, router: Router) {
    let io = TokioIo::new(Slow::new(stream, WRITE_PATIENCE));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(io, TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = node.shutdown.begun() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        if error.is_timeout() {
            node.metrics.http.too_slow.inc();
        }
        tracing::debug!(%error, "HTTP connection ended");
    }
}

/// Answers a connection above the limit without reading its request.
async fn refuse(mut stream: TcpStream, limit: usize) {
    let body = serde_json::json!({ "error": ApiError::TooManyConnections(limit).to_string() });
    let body = body.to_string();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    // A new connection's send buffer is empty: this does not wait, and who does not listen is lost.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}
