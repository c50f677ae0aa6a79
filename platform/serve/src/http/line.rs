//! Whether an edge that tells events hears of them itself: said in its streams, so that silence means
//! what it seems to mean.

use std::sync::Arc;

use axum::body::Bytes;
use tokio::sync::watch;
use unison_base::NamespaceName;

use crate::node::{Node, Role};

/// The line to the hub, as the client of one stream knows it.
pub(super) struct Line {
    node: Arc<Node>,
    namespace: NamespaceName,
    turns: watch::Receiver<()>,
    /// There may be news.
    turned: bool,
    /// What it was told last; a stream that says nothing follows.
    told: bool,
}

impl Line {
    pub(super) fn new(node: &Arc<Node>, namespace: &NamespaceName) -> Self {
        let (node, namespace) = (Arc::clone(node), namespace.clone());
        let (turns, turned) = (node.health.turns(), node.role != Role::Hub);
        Self { node, namespace, turns, turned, told: true }
    }

    /// Returns once there may be news. May be dropped and called again.
    pub(super) async fn turn(&mut self) {
        // The sender lives as long as the node.
        let _ = self.turns.changed().await;
        self.turned = true;
    }

    /// An event, if the client does not know how it is. It has no id: what was seen stays what it was.
    pub(super) fn news(&mut self) -> Option<Bytes> {
        let turned = std::mem::take(&mut self.turned) || self.turns.has_changed().unwrap_or(false);
        if !turned {
            return None;
        }
        self.turns.mark_unchanged();
        let upstream = self.node.health.upstream();
        let reason = match &upstream {
            Some(upstream) => upstream.obstacle(self.namespace.as_str()),
            None => Some("the node has not begun to follow its hub yet".to_owned()),
        };
        let follows = reason.is_none();
        if std::mem::replace(&mut self.told, follows) == follows {
            return None;
        }
        let followed = upstream.as_ref().and_then(|it| it.namespaces.get(self.namespace.as_str()));
        let durable = followed.map_or(0, |followed| followed.upstream_durable);
        let data = match reason {
            Some(reason) => {
                serde_json::json!({ "following": false, "upstreamDurable": durable, "reason": reason })
            }
            None => serde_json::json!({ "following": true, "upstreamDurable": durable }),
        };
        Some(format!("event: link\ndata: {data}\n\n").into())
    }
}
