//! Events as a ZeroMQ publisher (feature `zeromq`): ZMTP 3 over TCP with the mechanism `NULL`, for any
//! `SUB` socket.
//!
//! A message has two frames: `<namespace>.<model>`, which subscriptions are prefixes of, and JSON.
//! There is no queue for a subscriber either: each has a cursor for every namespace that it listens
//! to, and while its socket takes nothing its cursors stay where they are. A subscriber that takes
//! nothing for too long is dropped. One that comes back begins with what is new, for the protocol has
//! no place to say what was seen.

mod connection;
mod event;
mod protocol;
mod subscriber;

use std::sync::Arc;

use tokio::net::TcpListener;

use crate::listen::Gate;
use crate::node::Node;

/// Serves until the node's shutdown begins.
pub(crate) async fn run(node: Arc<Node>, listener: TcpListener) {
    let gate = Gate::new(node.connections_max, node.shutdown.clone());
    let serve = |stream, peer, place| {
        let node = Arc::clone(&node);
        async move {
            let ended = connection::serve(&node, stream).await;
            if let Err(error) = ended {
                tracing::debug!(%peer, %error, "ZeroMQ subscriber left");
            }
            drop(place);
        }
    };
    // The protocol has no word for it: the socket is closed, and its owner tries again by itself.
    let refuse = |stream| async move { drop(stream) };
    gate.accept(listener, serve, refuse).await;
}
